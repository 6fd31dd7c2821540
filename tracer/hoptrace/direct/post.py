"""One request to the backend, and what became of it.

A new connection each time: between two invocations this process is frozen, and what was kept open is dead by then. What
may be tried again follows the OTLP specification ("OTLP/HTTP Response" and "Failures"): 429, 502, 503, 504 and lost
connections; a partial success never.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401  else the first look-up imports it, and a child forked meanwhile never can
import http.client
import socket
import time
import zlib
from contextlib import suppress

from ..version import __version__
from . import as_json, as_protobuf
from .batches import LOGS, TRACES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .batches import Batch
    from .settings import Target

SENT, RETRY, TOO_LARGE, REFUSED = "sent", "retry", "too large", "refused"

_RETRYABLE = (429, 502, 503, 504)
_LONGEST_WAIT = 3600.0
_MOST_READ = 64 << 10


class Result:
    """What became of a request.

    Attributes:
        kind: `SENT`, `RETRY` (nothing was taken, later it may be), `TOO_LARGE` or `REFUSED` (for good).
        reason: for people.
        rejected: spans (points, records) of a sent request that the backend did not take.
        wait: seconds that it asks for.
    """

    __slots__ = ("kind", "reason", "rejected", "wait")

    def __init__(self, kind: str, reason: str = "", rejected: int = 0, wait: float = 0.0) -> None:
        self.kind = kind
        self.reason = reason
        self.rejected = rejected
        self.wait = wait


class Post:
    """Posts one signal of batches to its target; another thread may `abort` a request that takes too long."""

    def __init__(self, target: Target, signal: str = TRACES) -> None:
        self.target = self._target = target
        self._writer = as_protobuf if target.protobuf else as_json
        self._request = _request(signal, protobuf=target.protobuf)
        self._connection: http.client.HTTPConnection | None = None
        self._tls: object = None

    def send(self, batch: Batch, until: float) -> Result:
        """Post a batch; each step of it must be over by `until` (of `time.monotonic`). Does not raise."""
        headers = {"user-agent": f"hoptrace/{__version__}", **self._target.headers}
        headers["content-type"] = self._writer.CONTENT_TYPE
        body = self._request(batch)
        if self._target.gzip:
            packer = zlib.compressobj(6, zlib.DEFLATED, 31)
            body = packer.compress(body) + packer.flush()
            headers["content-encoding"] = "gzip"
        try:
            connection = self._connection = self._connect(max(0.05, until - time.monotonic()))
            vars(connection)["hoptrace_own"] = True  # `hoptrace.clients` makes no span of what carries the spans
            try:
                connection.request("POST", self._target.path, body, headers)
                response = connection.getresponse()
                answer = response.read(_MOST_READ)
            finally:
                connection.close()
                self._connection = None
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Result(RETRY, str(error) or type(error).__name__)
        return self._judged(response.status, response.getheader("retry-after") or "", answer)

    def abort(self) -> None:
        """End a request that another thread waits for."""
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _connect(self, seconds: float) -> http.client.HTTPConnection:
        target = self._target
        if not target.secure:
            return http.client.HTTPConnection(target.host, target.port, timeout=seconds)
        import ssl

        if not isinstance(self._tls, ssl.SSLContext):
            context = ssl.create_default_context(cafile=target.certificate or None)
            if target.client_certificate:
                context.load_cert_chain(target.client_certificate, target.client_key or None)
            self._tls = context
        return http.client.HTTPSConnection(target.host, target.port, timeout=seconds, context=self._tls)

    def _judged(self, status: int, retry_after: str, body: bytes) -> Result:
        if 200 <= status < 300:
            count, reason = self._writer.rejected(body)
            return Result(SENT, reason, count)
        if status == 413:
            return Result(TOO_LARGE, "HTTP 413")
        if status in _RETRYABLE:
            return Result(RETRY, f"HTTP {status}", wait=seconds_to_wait(retry_after, time.time()))
        return Result(REFUSED, f"HTTP {status}")


def _request(signal: str, *, protobuf: bool) -> Callable[[Batch], bytes]:
    if signal == TRACES:
        return as_protobuf.request if protobuf else as_json.request
    from . import signals_json, signals_protobuf  # only for who measures or logs through OpenTelemetry's API

    if signal == LOGS:
        return signals_protobuf.logs_request if protobuf else signals_json.logs_request
    return signals_protobuf.metrics_request if protobuf else signals_json.metrics_request


def seconds_to_wait(retry_after: str, now: float) -> float:
    """What a `Retry-After` asks for (a number or an HTTP date), at most an hour; 0 for anything else."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_WAIT)
    from calendar import timegm

    try:
        at = timegm(time.strptime(text, "%a, %d %b %Y %H:%M:%S GMT"))
    except ValueError:
        return 0.0
    return min(max(0.0, at - now), _LONGEST_WAIT)
