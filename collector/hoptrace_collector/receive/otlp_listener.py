"""Listens for OTLP/HTTP on the loopback: anyone's traces, metrics and logs ("OTLP/HTTP" of the OTLP specification).

A thread for each connection, a few at a time, and one request for each connection: Lambda freezes this process between
events, and a connection kept open over that is dead when it is used again. Who sends is never made to wait for the
backend: the answer says whether the batch is in our hands.
"""

import socket
import threading
import time

from hoptrace_collector.counters import Counters
from hoptrace_collector.receive.answers import Answer, Takes, kind_of, refuse, take
from hoptrace_collector.receive.otlp import PATHS, PROTOBUF, Refused, parse
from hoptrace_collector.transport import Stream, TooLong, read_body, read_head

__all__ = ["OtlpListener"]

_CONNECTIONS = 16
_CONNECTION_SECONDS = 5.0
_LINGER_SECONDS = 0.2
_CHUNK = 64 * 1024
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    411: "Length Required",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    503: "Service Unavailable",
}


class OtlpListener:
    """Receives on `port` of 127.0.0.1, or on another one when that is taken; `port` says which."""

    def __init__(self, port: int, counters: Counters) -> None:
        """Bind and listen; raises OSError when there is no port at all."""
        self._counters = counters
        try:
            self._socket = socket.create_server(("127.0.0.1", port), backlog=64)
        except OSError:
            self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._socket.getsockname()[1]
        self._free = threading.BoundedSemaphore(_CONNECTIONS)
        self._inbox: Takes
        self._thread = threading.Thread(target=self._serve, daemon=True, name="hoptrace-otlp")

    def start(self, inbox: Takes) -> None:
        """Begin to answer; what is understood goes into `inbox`."""
        self._inbox = inbox
        self._thread.start()

    def close(self) -> None:
        """Stop listening; connections that are open are answered."""
        # Closing alone does not wake a thread that is in accept().
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def _serve(self) -> None:
        while True:
            self._free.acquire()
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            try:
                threading.Thread(target=self._connection, args=(connection,), daemon=True).start()
            except RuntimeError:  # no more threads: answer here
                self._connection(connection)

    def _connection(self, connection: socket.socket) -> None:
        try:
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._exchange(connection)
        except OSError:
            self._counters.add("otlp_refused", "broken_off")
        except Exception as error:  # whatever is sent, the next connection is answered
            self._counters.failed("otlp", error)
        finally:
            self._free.release()

    def _exchange(self, connection: socket.socket) -> None:
        stream = Stream(connection, time.monotonic() + _CONNECTION_SECONDS)
        kind, read = PROTOBUF, False
        try:
            first_line, headers = read_head(stream)
            kind = kind_of(headers.get("content-type", ""))
            signal = _signal(first_line)
            body = self._body(connection, stream, headers)
            read = True
            batch = parse(
                signal,
                headers.get("content-type", ""),
                headers.get("content-encoding", ""),
                body,
                self._inbox.limit,
            )
            answer = take(self._inbox, batch, kind, self._counters)
        except Refused as refused:
            answer = refuse(refused.status, refused.reason, kind, self._counters)
        except TooLong as error:
            answer = refuse(413, str(error), kind, self._counters)
        except ValueError as error:
            answer = refuse(400, str(error), kind, self._counters)
        except TimeoutError:
            answer = refuse(408, "the request did not come to its end", kind, self._counters)
        connection.settimeout(_CONNECTION_SECONDS)
        connection.sendall(_encoded(answer, kind))
        if not read:
            _let_finish(connection)

    def _body(self, connection: socket.socket, stream: Stream, headers: dict[str, str]) -> bytes:
        length = headers.get("content-length")
        if length is None and "chunked" not in headers.get("transfer-encoding", "").lower():
            raise Refused(411, "neither content-length nor chunks")
        if length is not None and length.isascii() and length.isdigit() and int(length[:18]) > self._inbox.limit:
            raise Refused(413, f"at most {self._inbox.limit} bytes")
        if headers.get("expect", "").lower() == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return read_body(stream, headers, self._inbox.limit)


def _signal(first_line: str) -> str:
    parts = first_line.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise Refused(400, "no HTTP/1.1")
    signal = PATHS.get(parts[1].partition("?")[0])
    if signal is None:
        raise Refused(404, "there are /v1/traces, /v1/metrics and /v1/logs")
    if parts[0] != "POST":
        raise Refused(405, "only POST")
    return signal


def _encoded(answer: Answer, kind: str) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}", f"content-type: {kind}"]
    lines += [f"content-length: {len(answer.body)}", "connection: close"]
    if answer.status == 405:
        lines.append("allow: POST")
    if answer.wait:
        lines.append(f"retry-after: {answer.wait}")
    return "\r\n".join([*lines, "", ""]).encode() + answer.body


def _let_finish(connection: socket.socket) -> None:
    """Read on for a moment: closing before the other side has sent everything would take our answer from it."""
    connection.shutdown(socket.SHUT_WR)
    end = time.monotonic() + _LINGER_SECONDS
    while (left := end - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            if not connection.recv(_CHUNK):
                return
        except TimeoutError:
            return
