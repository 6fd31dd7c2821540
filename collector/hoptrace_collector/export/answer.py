"""What a backend's answer means, by the OTLP specification (OTLP/HTTP, Response and Failures).

Untrusted: whatever an answer holds, the meaning is a `Result`. 429, 502, 503 and 504 may be tried again, a partial
success never.
"""

import json
from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from hoptrace_collector.export.exporter import REFUSED, RETRY, SENT, TOO_LARGE, Result
from hoptrace_collector.transport import Response

__all__ = ["judge", "retry_after"]

_RETRYABLE = (429, 502, 503, 504)
_LONGEST_RETRY_AFTER = 3600.0
_SHOWN = 200


def judge(response: Response, now: float) -> Result:
    """Return what became of a request; `now` is seconds since the epoch."""
    status = response.status
    if 200 <= status < 300:
        count, reason = _partial_success(response)
        return Result(SENT, reason, count)
    if status == 413:
        return Result(TOO_LARGE, "HTTP 413")
    if status in _RETRYABLE:
        return Result(RETRY, f"HTTP {status}", wait=retry_after(response.headers, now))
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


def _partial_success(response: Response) -> tuple[int, str]:
    """Return how many items were rejected and why: the fields have the same numbers in the answers of all signals."""
    if _kind(response) == "application/json":
        return _partial_success_of_json(response.body)
    said = ExportTraceServiceResponse()
    try:
        said.ParseFromString(response.body)
    except Exception:  # protobuf's own DecodeError; some backends answer 200 with HTML
        return 0, ""
    return max(0, said.partial_success.rejected_spans), str(said.partial_success.error_message)


def _partial_success_of_json(body: bytes) -> tuple[int, str]:
    partial = _object(_object_of(body).get("partialSuccess"))
    names = ("rejectedSpans", "rejectedDataPoints", "rejectedLogRecords")
    rejected = next((partial[name] for name in names if name in partial), 0)
    text = str(rejected)  # a text or a number, by the rules of protobuf's JSON
    count = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
    return count, str(partial.get("errorMessage", ""))


def _object_of(body: bytes) -> dict[str, Any]:
    try:
        return _object(json.loads(body))
    except (ValueError, RecursionError):
        return {}


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _kind(response: Response) -> str:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


def _explanation(response: Response) -> str:
    """Return the beginning of what the backend says is wrong: a Status (OTLP), or any readable text."""
    kind = _kind(response)
    if kind == "application/x-protobuf":
        text = _message_of_status(response.body)
    elif kind in ("text/plain", "application/json", "application/x-amz-json-1.0", "application/x-amz-json-1.1"):
        text = response.body[:_SHOWN]
    else:
        return ""
    shown = "".join(c if c.isprintable() else " " for c in text[:_SHOWN].decode("utf-8", "replace"))
    return f": {shown}" if shown.strip() else ""


def _message_of_status(body: bytes) -> bytes:
    """Return the message of a `google.rpc.Status`, its field 2.

    By hand: OTLP's own messages do not have it. Its code (field 1) is a number that may stand before.
    """
    at = 0
    while at < len(body):
        tag = body[at]
        value, at = _varint(body, at + 1)
        if tag == 2 << 3 | 2:
            return body[at : at + value]
        if tag & 7 == 2:
            at += value
        elif tag & 7:
            break
    return b""


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(body) and shift < 64:
        byte = body[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            break
    return value, at
