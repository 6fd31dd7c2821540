"""An OTLP backend that fails in every way that one can, over real sockets, and knows which spans it has taken."""

import socket
import ssl
import struct
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
HTML = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 14\r\n\r\n<html>hi</html"
TOO_MANY = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"

KINDS = ("refused", "stalled", "429", "500", "reset", "tls", "wrong type", "slow")


class FaultyBackend:
    """Answers as it should until `fail(kind)`: then one request meets it. With a `certificate`, over https."""

    def __init__(self, certificate: tuple[str, str] | None = None) -> None:
        self.taken: Counter[int] = Counter()
        self.faults = 0
        self._fault = ""
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*certificate)
        self._server: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._broken_off: set[socket.socket] = set()
        # What has been taken is answered before a connection is broken off: else nobody could tell.
        self._answering = threading.Lock()
        self.port = 0
        self._up()
        self.url = f"{'https' if certificate else 'http'}://localhost:{self.port}"

    def fail(self, kind: str) -> None:
        """Have the next request fail so."""
        self._fault = kind
        if kind in ("refused", "tls"):
            # These are of a connection, so that there must be a new one.
            self._close_all()
        if kind == "refused":
            self._down()

    def mend(self) -> None:
        """Answer as it should again."""
        if self._server is None:
            self._up()
            self.faults += 1
        self._fault = ""

    def _up(self) -> None:
        self._server = socket.create_server(("127.0.0.1", self.port), backlog=100)
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def _down(self) -> None:
        if self._server is not None:
            self._server.shutdown(socket.SHUT_RDWR)
            self._server.close()
            self._server = None

    def _close_all(self) -> None:
        with self._answering:
            for connection in list(self._open):
                self._broken_off.add(connection)
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        raw = connection
        try:
            if self._context is not None:
                if self._met("tls"):
                    connection.sendall(b"this is no TLS\r\n")
                    return
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as stream:
                while line := stream.readline():
                    if not self._request(raw, connection, stream, line.split()[1]):
                        return
        except OSError:
            pass
        finally:
            self._open.discard(raw)
            raw.close()

    def _request(self, raw: socket.socket, connection: socket.socket, stream: "object", path: bytes) -> bool:
        read: Callable[..., bytes] = stream.read  # type: ignore[attr-defined]
        length = 0
        while (header := stream.readline()) not in (b"\r\n", b""):  # type: ignore[attr-defined]
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if not path.endswith(b"/traces"):
            read(length)
            connection.sendall(OK)
            return True
        if self._met("reset"):
            read(length // 2)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        body = read(length)
        if self._met("stalled"):
            connection.settimeout(30)
            connection.recv(1)
            return False
        if self._met("429"):
            connection.sendall(TOO_MANY)
            return True
        if self._met("500"):
            connection.sendall(BROKEN)
            return True
        answer = HTML if self._met("wrong type") else OK
        step = 4 if self._met("slow") else len(answer)
        with self._answering:
            if raw in self._broken_off:
                return False
            self._take(body)
            for at in range(0, len(answer), step):
                connection.sendall(answer[at : at + step])
                time.sleep(0 if step > 4 else 0.002)
        return True

    def _met(self, kind: str) -> bool:
        if self._fault != kind:
            return False
        self._fault = ""
        self.faults += 1
        return True

    def _take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.taken.update(int.from_bytes(span.span_id, "big") for span in scope.spans)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._down()
        self._close_all()


def self_signed(directory: Path) -> tuple[str, str]:
    """Make a certificate of localhost and its key; return their paths."""
    certificate, key = directory / "certificate", directory / "key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return str(certificate), str(key)
