"""An OTLP/HTTP receiver that keeps what it gets, for the demo and for tests.

    with OtlpSink() as sink:
        ...                      # send to sink.endpoint
        sink.wait_for(lambda: len(sink.spans) >= 3, timeout=10)

It takes what the OTLP specification lets a sender send (protobuf or JSON, gzip or not), answers as a backend does, and
can hand every body on, byte for byte, to a second backend.
"""

import gzip
import threading
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from hoptrace_local import otlp
from hoptrace_local.forward import Forwarder
from hoptrace_local.otlp import MalformedOtlp, Point, Span

MAX_BODY = 64 * 1024 * 1024  # OTLP specification, "OTLP/HTTP Request": the default limit of a receiver
PROTOBUF = "application/x-protobuf"
JSON = "application/json"


class OtlpSink:
    """Receive OTLP/HTTP on 127.0.0.1 and keep every span and metric point in memory.

    Args:
        port: the port to listen on; 0 for a free one.
        forward: where to send every accepted body on to; None to keep it here.

    Raises:
        OSError: the port is in use.
    """

    def __init__(self, port: int = 0, forward: Forwarder | None = None) -> None:
        self._forward = forward
        self._changed = threading.Condition()
        self._spans: list[Span] = []
        self._points: list[Point] = []
        self.requests: list[tuple[str, int]] = []
        """Signal and HTTP status of every request, in order."""
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.sink = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="otlp-sink", daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        """What `OTEL_EXPORTER_OTLP_ENDPOINT` must be to send here."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def spans(self) -> list[Span]:
        """Every span received so far, in the order of arrival."""
        with self._changed:
            return list(self._spans)

    @property
    def metrics(self) -> list[Point]:
        """Every metric point received so far, in the order of arrival."""
        with self._changed:
            return list(self._points)

    def wait_for(self, predicate: Callable[[], Any], timeout: float) -> bool:
        """Wait until `predicate()` holds; it is asked again at each arrival.

        Args:
            predicate: must be quick; nothing is received while it is asked.
            timeout: seconds.

        Returns:
            Whether it held in time.
        """
        with self._changed:
            return bool(self._changed.wait_for(predicate, timeout))

    def close(self) -> None:
        """Stop listening; what was received stays readable."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def receive(self, signal: str, body: bytes, headers: dict[str, str]) -> None:
        """Take one export request; `headers` as they came, keys in lower case.

        Raises:
            MalformedOtlp: the body is not what its headers say.
        """
        content = _decompressed(body, headers.get("content-encoding", "identity"))
        request = otlp.parse(signal, content, as_json=_media_type(headers) == JSON)
        spans = otlp.spans_of(request) if signal == "traces" else []
        points = otlp.points_of(request) if signal == "metrics" else []
        with self._changed:
            self._spans += spans
            self._points += points
            self._changed.notify_all()
        if self._forward is not None:
            self._forward.put(signal, body, headers)

    def note(self, signal: str, status: int) -> None:
        """Remember how a request was answered."""
        with self._changed:
            self.requests.append((signal, status))
            self._changed.notify_all()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    sink: OtlpSink


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        headers = {key.lower(): value for key, value in self.headers.items()}
        signal = self.path.partition("?")[0].removeprefix("/v1/")
        status, reason = self._take(self.server.sink, signal, headers)
        self.server.sink.note(signal, status)
        # An empty response message is zero bytes of protobuf and `{}` of JSON, in the type of the request.
        media_type = JSON if _media_type(headers) == JSON else PROTOBUF
        answer = reason.encode() if reason else b"{}" if media_type == JSON else b""
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if reason else media_type)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _take(self, sink: OtlpSink, signal: str, headers: dict[str, str]) -> tuple[int, str]:
        length = headers.get("content-length", "")
        if not length.isdigit():
            self.close_connection = True
            return 411, "Content-Length is needed"
        if int(length) > MAX_BODY:
            self.close_connection = True
            return 413, f"more than {MAX_BODY} bytes"
        body = self.rfile.read(int(length))
        if signal not in otlp.REQUESTS:
            return 404, f"no such path: {self.path}"
        if _media_type(headers) not in {PROTOBUF, JSON}:
            return 415, f"neither {PROTOBUF} nor {JSON}"
        try:
            sink.receive(signal, body, headers)
        except MalformedOtlp as error:
            return 400, f"malformed: {error}"
        return 200, ""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the standard library's
        """Keep the terminal for the report."""


def _media_type(headers: dict[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _decompressed(body: bytes, encoding: str) -> bytes:
    if encoding.lower() in {"", "identity"}:
        return body
    if encoding.lower() != "gzip":
        raise MalformedOtlp(f"unknown content encoding {encoding}")
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error) as error:
        raise MalformedOtlp(f"not gzip: {error}") from error
