"""Turns what was read (records of the tracer, events of the Telemetry API) into the types of `model`.

Total: whatever stands in a record, the answer is a type or None, never an exception. A span without usable ids is
None, since no backend would take it.
"""

import binascii
from collections.abc import Callable
from functools import partial
from typing import Any

from hoptrace_collector.fit import UINT64_MAX, attributes, text
from hoptrace_collector.model import (
    Begin,
    Denied,
    Dropped,
    End,
    Event,
    Followed,
    Handed,
    InitError,
    Link,
    Origin,
    Record,
    Span,
    SpanBegun,
    SpanEnded,
)
from hoptrace_collector.told import Invoke

__all__ = ["decode", "decode_span"]

_NO_SCOPE = ("hoptrace", "")
_MOST = 1000  # of events or links in one span


def decode(record: dict[str, Any]) -> Record | None:
    """Return the record, or None when its type is unknown or it lacks what it cannot do without."""
    kind = record.get("type")
    parse = _PARSERS.get(kind) if isinstance(kind, str) else None
    return parse(record) if parse is not None else None


def decode_span(value: object) -> Span | None:
    """Return the span written in a record; None without a name for itself."""
    if not isinstance(value, dict):
        return None
    trace_id, span_id = _id(value.get("trace_id"), 16), _id(value.get("span_id"), 8)
    if not trace_id or not span_id:
        return None
    status = value.get("status")
    code, message = (status[0], status[1]) if isinstance(status, list) and len(status) > 1 else (0, "")
    kind = _whole(value.get("kind"))
    return Span(
        trace_id,
        span_id,
        text(value.get("name")),
        kind if 0 <= kind <= 5 else 0,
        _whole(value.get("start")),
        _whole(value.get("end")),
        parent_id=_id(value.get("parent_id"), 8),
        trace_state=text(value.get("trace_state")),
        flags=_whole(value.get("flags", 1)) & 0xFFFFFFFF,
        attributes=attributes(value.get("attributes")),
        events=[_event(item) for item in _dicts(value.get("events"))],
        links=[link for link in map(_link, _dicts(value.get("links"))) if link is not None],
        status=_whole(code) if _whole(code) in (0, 1, 2) else 0,
        status_message=text(message),
    )


def _begin(record: dict[str, Any]) -> Begin | None:
    span = decode_span(record.get("span"))
    if span is None:
        return None
    return Begin(
        request_id=text(record.get("request_id")),
        ordinal=_whole(record.get("ordinal")),
        pid=_whole(record.get("pid")),
        deadline_ms=_whole(record.get("deadline")),
        origin=_origin(record),
        span=span,
        records=[open_span for open_span in map(decode_span, _dicts(record.get("records"))) if open_span is not None],
        raw=record,
        notes=[note for note in map(decode_span, _dicts(record.get("notes"))) if note is not None],
        started=[begun for begun in map(_span_begun, _dicts(record.get("started"))) if begun is not None],
    )


def _followed(record: dict[str, Any]) -> Followed | None:
    span = decode_span(record.get("span"))
    return None if span is None else Followed(text(record.get("request_id")), span, record["span"])


def _span_begun(record: dict[str, Any]) -> SpanBegun | None:
    span = record.get("span")
    span_id = _id(span.get("span_id"), 8) if isinstance(span, dict) else b""
    if not span_id:
        return None
    start = _whole(record["span"].get("start"))
    return SpanBegun(text(record.get("request_id")), span_id, start, partial(_span_ended, record), record)


def _span_ended(record: dict[str, Any]) -> SpanEnded | None:
    span = decode_span(record.get("span"))
    if span is None:
        return None
    scope = record.get("scope")
    made_by = (text(scope[0]), text(scope[1])) if isinstance(scope, list) and len(scope) > 1 else None
    return SpanEnded(text(record.get("request_id")), span, made_by, attributes(record.get("resource")))


def _end(record: dict[str, Any]) -> End | None:
    span = decode_span(record.get("span"))
    if span is None:
        return None
    return End(
        text(record.get("request_id")),
        _whole(record.get("ordinal")),
        record.get("outcome") != "error",
        span,
        _whole(record.get("cpu")),
    )


def _init_error(record: dict[str, Any]) -> InitError:
    return InitError(
        origin=_origin(record),
        error_type=text(record.get("error_type")),
        message=text(record.get("message")),
        start=_whole(record.get("start")),
        end=_whole(record.get("end")),
    )


def _handed_out(record: dict[str, Any]) -> Invoke | None:
    """An INVOKE that the shell has written down, as Lambda's Extensions API has it."""
    event = record.get("event")
    if not isinstance(event, dict) or not (request_id := text(event.get("requestId"))):
        return None
    tracing = event.get("tracing")
    header = text(tracing.get("value")) if isinstance(tracing, dict) else ""
    arn, deadline_ms = text(event.get("invokedFunctionArn")), _whole(event.get("deadlineMs"))
    return Invoke(request_id, arn, deadline_ms, header, _whole(record.get("time")))


def _dropped(record: dict[str, Any]) -> Dropped:
    return Dropped(text(record.get("reason"))[:40] or "unknown", min(_whole(record.get("count")), 10**9))


def _denied(record: dict[str, Any]) -> Denied | None:
    operation = text(record.get("operation"))[:256]
    mode = "block" if record.get("mode") == "block" else "observe"
    return Denied(text(record.get("request_id")), mode, operation) if operation else None


def _handed(record: dict[str, Any]) -> Handed | None:
    try:
        body = binascii.a2b_base64(text(record.get("body")))
    except ValueError:
        return None
    return Handed(text(record.get("path")), text(record.get("kind")), text(record.get("encoding")), body)


def _measured(record: dict[str, Any]) -> Record | None:
    from hoptrace_collector.receive.measured import read_metrics  # only for who measures

    return read_metrics(record)


def _logged(record: dict[str, Any]) -> Record | None:
    from hoptrace_collector.receive.measured import read_log

    return read_log(record)


_PARSERS: dict[str, Callable[[dict[str, Any]], Record | None]] = {
    "begin": _begin,
    "record": _followed,
    "start": _span_begun,
    "span": _span_ended,
    "end": _end,
    "init_error": _init_error,
    "denied": _denied,
    "invoke": _handed_out,
    "dropped": _dropped,
    "otlp": _handed,
    "metrics": _measured,
    "log": _logged,
}


def _origin(record: dict[str, Any]) -> Origin:
    scope = record.get("scope")
    if isinstance(scope, list) and len(scope) > 1:
        return Origin.of(attributes(record.get("resource")), (text(scope[0]), text(scope[1])))
    return Origin.of(attributes(record.get("resource")), _NO_SCOPE)


def _event(item: dict[str, Any]) -> Event:
    return Event(text(item.get("name")), _whole(item.get("time")), attributes(item.get("attributes")))


def _link(item: dict[str, Any]) -> Link | None:
    trace_id, span_id = _id(item.get("trace_id"), 16), _id(item.get("span_id"), 8)
    if not trace_id or not span_id:
        return None
    return Link(trace_id, span_id, text(item.get("trace_state")), attributes(item.get("attributes")))


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value[:_MOST] if isinstance(item, dict)] if isinstance(value, list) else []


def _id(value: object, size: int) -> bytes:
    """Return an id's bytes; empty when it is malformed or all zero, which stands for none."""
    if not isinstance(value, str) or len(value) != 2 * size:
        return b""
    try:
        out = bytes.fromhex(value)
    except ValueError:
        return b""
    return out if len(out) == size and any(out) else b""


def _whole(value: object) -> int:
    """Return a whole number from 0 to 2^64-1; 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    try:
        return min(max(int(value), 0), UINT64_MAX)
    except (ValueError, OverflowError):  # NaN, infinity
        return 0
