"""The front itself: an HTTP server on 127.0.0.1 that hands on what its rules let through."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from . import topics
from .buses import Buses
from .queues import Queues
from .wire import Answer, Request

_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


class StrictFront:
    """Stands before the emulator at `target` ("http://127.0.0.1:4566").

    Args:
        target: the emulator's address.
        timeout: seconds that the emulator may take for one answer.
    """

    def __init__(self, target: str, timeout: float = 60.0) -> None:
        self._target = urlsplit(target)
        self._timeout = timeout
        self._buses = Buses()
        self._rules = (Queues(self._buses).handle, self._buses.handle, topics.handle)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.front = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="strict-front", daemon=True).start()

    @property
    def url(self) -> str:
        """What `AWS_ENDPOINT_URL` must be to speak with the emulator through here."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def trace_header(self, event: bytes) -> str:
        """The trace header that a bus gives to the function behind a rule with this event; empty for any other."""
        return self._buses.header_of(event.decode(errors="replace"))

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def answer(self, request: Request) -> Answer:
        """What AWS would answer, with the emulator's help."""
        for rule in self._rules:
            answer = rule(request, self._send)
            if answer is not None:
                return answer
        return self._send(request)

    def _send(self, request: Request) -> Answer:
        connection = http.client.HTTPConnection(self._target.hostname or "", self._target.port, timeout=self._timeout)
        try:
            connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name not in _HOP_BY_HOP:
                    connection.putheader(name, value)
            connection.putheader("content-length", str(len(request.body)))
            connection.endheaders(request.body)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    front: StrictFront


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __getattr__(self, name: str) -> Any:
        """Every method of HTTP is answered alike."""
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        assert isinstance(self.server, _Server)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, self._body())
        try:
            answer = self.server.front.answer(request)
        except (OSError, http.client.HTTPException) as error:
            answer = Answer(502, {"Content-Type": "text/plain"}, f"the emulator does not answer: {error}".encode())
        self.send_response(answer.status)
        length = str(len(answer.body))
        for name, value in answer.headers.items():
            if name.lower() == "content-length" and self.command == "HEAD":
                length = value  # of the body that is not sent
            elif name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(answer.body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return found

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the standard library's
        """Nobody reads it."""
