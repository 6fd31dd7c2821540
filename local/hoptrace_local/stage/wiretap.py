"""Listens on the line between the emulator and the local Lambda, and changes nothing but a trace header it is told of.

The emulator POSTs each event to a URL; this one passes it to the local Lambda and the answer back, and remembers both.
That is how the checks know what a function was really asked and what it really answered.
"""

import http.client
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from hoptrace_local.stage.loopback import open_url

OWN_HEADERS = frozenset({"host", "connection", "content-length", "transfer-encoding", "accept-encoding"})


@dataclass(frozen=True, slots=True)
class Answered:
    """One invocation as the emulator that asked for it saw it; `payload` is parsed JSON."""

    function: str
    event: Any
    payload: Any
    error: bool


class Wiretap:
    """A server on 127.0.0.1 that stands before the local Lambda at `target`.

    Args:
        target: the local Lambda's URL; paths are taken over.
        timeout: seconds that one invocation may take.
        trace_header: the header that AWS would invoke a function with for an event, where the emulator forgets it.
    """

    def __init__(self, target: str, timeout: float = 120.0, trace_header: Callable[[bytes], str] | None = None) -> None:
        self.target = target
        self.trace_header = trace_header
        self.timeout = timeout
        self._lock = threading.Lock()
        self._answered: list[Answered] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.wiretap = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="wiretap", daemon=True).start()

    @property
    def url(self) -> str:
        """What stands before `/proxy/NAME`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def answered(self) -> list[Answered]:
        """Every invocation that came back so far, in the order of the answers."""
        with self._lock:
            return list(self._answered)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def note(self, path: str, event: bytes, status: int, payload: bytes) -> None:
        """Remember one invocation."""
        answer = Answered(path.rpartition("/")[2], _parsed(event), _parsed(payload), error=status != 200)
        with self._lock:
            self._answered.append(answer)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    wiretap: Wiretap


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        tap = self.server.wiretap
        event = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {key: value for key, value in self.headers.items() if key.lower() not in OWN_HEADERS}
        told = tap.trace_header(event) if tap.trace_header is not None else ""
        if told:
            headers["X-Amzn-Trace-Id"] = told
        request = urllib.request.Request(tap.target + self.path, event, headers, method="POST")
        try:
            with open_url(request, timeout=tap.timeout) as response:
                status, payload, answer_headers = response.status, response.read(), response.headers
        except urllib.error.HTTPError as error:
            status, payload, answer_headers = error.code, error.read(), error.headers
        except (OSError, http.client.HTTPException) as error:
            status, payload, answer_headers = 502, json.dumps({"errorMessage": str(error)}).encode(), None
        tap.note(self.path, event, status, payload)
        self.send_response(status)
        for key, value in answer_headers.items() if answer_headers else ():
            if key.lower() not in OWN_HEADERS:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the standard library's
        """Keep the terminal for the report."""


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")
