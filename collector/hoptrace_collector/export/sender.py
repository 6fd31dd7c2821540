"""Sends one OTLP request and says what became of it.

What may be tried again follows the OTLP specification (OTLP/HTTP, Response and Failures): 429, 502, 503, 504 and lost
connections; a partial success never.
"""

import zlib
from collections.abc import Callable, Mapping

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from hoptrace_collector.connections import Certificates, Connections
from hoptrace_collector.export.exporter import REFUSED, RETRY, SENT, TOO_LARGE, Limits, Result
from hoptrace_collector.settings import Otlp
from hoptrace_collector.transport import Response, TransportError

__all__ = ["Sender", "retry_after"]

_RETRYABLE = (429, 502, 503, 504)
_LONGEST_RETRY_AFTER = 3600.0


class Sender:
    """Posts to one signal's endpoint: an `Exporter`."""

    name = "the OTLP backend"
    advice = "Check OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_HEADERS"
    limits = Limits()

    def __init__(self, target: Otlp, *, now: Callable[[], float], connections: Connections | None = None) -> None:
        """Send to `target`, by `connections` that others may share; `now` gives seconds since the epoch."""
        self._target = target
        self._now = now
        self._connections = connections or Connections(now=now)
        self._certificates = Certificates(target.certificate, target.client_certificate, target.client_key)
        self.timeout = target.timeout

    @property
    def configured(self) -> bool:
        """Whether there is an endpoint at all."""
        return self._target.url is not None

    def send(self, body: bytes, deadline: float) -> Result:
        """Post `body`; the answer must come before `deadline` (a time of `time.monotonic`). Never raises."""
        url = self._target.url
        if url is None:
            return Result(REFUSED, "no endpoint is set")
        headers = [("content-type", "application/x-protobuf"), ("user-agent", "hoptrace-collector/0.1.0")]
        headers += [(name, value.reveal()) for name, value in self._target.headers]
        if self._target.gzip:
            packer = zlib.compressobj(6, zlib.DEFLATED, 31)
            body = packer.compress(body) + packer.flush()
            headers.append(("content-encoding", "gzip"))
        try:
            answer = self._connections.request(
                "POST", url, headers, body, deadline=deadline, certificates=self._certificates
            )
            return self._judge(answer)
        except TransportError as error:
            return Result(RETRY, str(error))
        except OSError as error:  # a certificate file that cannot be read
            return Result(RETRY, f"TLS: {error}")

    def _judge(self, response: Response) -> Result:
        status = response.status
        if 200 <= status < 300:
            count, reason = _partial_success(response.body)
            return Result(SENT, reason, count)
        if status == 413:
            return Result(TOO_LARGE, "HTTP 413")
        if status in _RETRYABLE:
            wait = retry_after(response.headers, self._now())
            return Result(RETRY, f"HTTP {status}", wait=wait)
        return Result(REFUSED, f"HTTP {status}{_explanation(response)}")


def retry_after(headers: Mapping[str, str], now: float) -> float:
    """Return the seconds that a Retry-After header asks for (a number or an HTTP date), at most an hour; 0 if none."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return 0.0
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), _LONGEST_RETRY_AFTER)
    from calendar import timegm
    from time import strptime

    try:
        at = timegm(strptime(value, "%a, %d %b %Y %H:%M:%S GMT"))
    except ValueError:
        return 0.0
    return min(max(0.0, at - now), _LONGEST_RETRY_AFTER)


def _partial_success(body: bytes) -> tuple[int, str]:
    """Return how many items were rejected and why: the fields have the same numbers in the answers of all signals."""
    response = ExportTraceServiceResponse()
    try:
        response.ParseFromString(body)
    except Exception:  # protobuf's own DecodeError; some backends answer 200 with JSON or HTML
        return 0, ""
    return max(0, response.partial_success.rejected_spans), str(response.partial_success.error_message)


def _explanation(response: Response) -> str:
    """Return the beginning of a readable body: it says what is wrong with the key or the path."""
    kind = response.headers.get("content-type", "")
    if not kind.startswith(("text/plain", "application/json")):
        return ""
    shown = "".join(c if c.isprintable() else " " for c in response.body[:200].decode("utf-8", "replace"))
    return f": {shown}" if shown.strip() else ""
