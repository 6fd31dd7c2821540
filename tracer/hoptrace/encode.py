"""Spans as records: the lines that tracer and collector agree on.

One line of ASCII JSON a record; the shapes stand in `docs/architecture.md`. The collector has the reading half.
"""

from __future__ import annotations

import json

from .spans import UNSET, Span
from .spans.exceptions import told, told_all
from .version import __version__

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Iterable


PROTOCOL = 1
_MOST_LINKS = 128  # OpenTelemetry's own limit, where there is one at all
SCOPE = ("hoptrace", __version__)

_dumps = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), check_circular=False, default=str).encode
_quoted = json.encoder.encode_basestring_ascii


def span_record(span: Span) -> bytes:
    """A finished span; with its scope where another library made it, and what its resource has beside ours."""
    record: dict[str, object] = {"v": PROTOCOL, "type": "span", "request_id": span.request_id, "span": as_dict(span)}
    if span.scope is not None:
        record["scope"] = span.scope
    if span.resource:
        record["resource"] = span.resource
    return _line(record)


def start_record(span: Span) -> bytes:
    """A span that has begun: what the collector needs to close it should its invocation never come back.

    Written for every span, so by hand: a span without attributes costs a tenth of what the encoder would take.
    """
    context = span.context
    line = (
        f'{{"v":{PROTOCOL},"type":"start","request_id":{_quoted(span.request_id)},'
        f'"span":{{"trace_id":"{context.trace_id}","span_id":"{context.span_id}","parent_id":"{span.parent_id}",'
        f'"name":{_quoted(told("", span.name, 256))},"kind":{span.kind},"start":{span.start},"flags":{context.flags}'
    )
    if context.trace_state:
        line += f',"trace_state":{_quoted(context.trace_state)}'
    if span.attributes:
        line += f',"attributes":{_dumps(span.attributes)}'
    if span.links:
        line += f',"links":{_dumps(_links(span))}'
    line += "}"
    if span.scope is not None:
        line += f',"scope":{_dumps(span.scope)}'
    if span.resource:
        line += f',"resource":{_dumps(span.resource)}'
    return (line + "}\n").encode("ascii")


def begin_record(
    span: Span, ordinal: int, pid: int, deadline: int, resource: dict[str, object], records: Iterable[Span]
) -> bytes:
    """An invocation that has begun: what the collector needs to close its spans should it never come back.

    Args:
        ordinal: of the invocation in this process, from 1.
        deadline: epoch milliseconds, 0 when unknown.
        records: the open spans of the batch's records.
    """
    return _line(
        {
            "v": PROTOCOL,
            "type": "begin",
            "request_id": span.request_id,
            "ordinal": ordinal,
            "pid": pid,
            "deadline": deadline,
            "resource": resource,
            "scope": SCOPE,
            "span": as_dict(span),
            "records": [_brief(record) for record in records],
        }
    )


def followed_record(span: Span, begun: int, done: int, *, whole: bool) -> bytes:
    """What was done with a record of the batch: it is in work since `begun`, or was until `done`.

    Args:
        span: the record's, still open.
        done: 0 while it is in work.
        whole: whether the collector needs more than the times: it has not had the span, or an error came out of it.
    """
    found = _brief(span)
    if not whole:
        found = {key: found[key] for key in ("trace_id", "span_id", "name", "kind")}
    found["start"] = begun
    if done:
        found["end"] = done
    return _line({"v": PROTOCOL, "type": "record", "request_id": span.request_id, "span": found})


def end_record(span: Span, ordinal: int, outcome: str, cpu: int = 0) -> bytes:
    """An invocation that has come back; `outcome` is `ok` or `error`, `cpu` the nanoseconds of CPU time it used."""
    return _line(
        {
            "v": PROTOCOL,
            "type": "end",
            "request_id": span.request_id,
            "ordinal": ordinal,
            "outcome": outcome,
            "cpu": cpu,
            "span": as_dict(span),
        }
    )


def init_error_record(
    resource: dict[str, object], error_type: str, message: str, stack: str, start: int, end: int
) -> bytes:
    """The handler could not be loaded; times in nanoseconds since the epoch."""
    return _line(
        {
            "v": PROTOCOL,
            "type": "init_error",
            "resource": resource,
            "error_type": error_type,
            "message": message,
            "stack": stack,
            "start": start,
            "end": end,
        }
    )


def shrink(span: Span) -> None:
    """Leave out what makes a span large and keep what it says: identity, times, status, short attributes."""
    span.events = []
    dropped = len(span.links) - _MOST_LINKS
    span.links = span.links[:_MOST_LINKS]
    span.attributes = {
        key[:256]: value[:256] if isinstance(value, str) else value
        for key, value in list(span.attributes.items())[:128]
        if not isinstance(value, list)
    }
    span.attributes["hoptrace.shrunk"] = True
    if dropped > 0:
        span.attributes["hoptrace.links.dropped"] = dropped


def dropped_record(reason: str, count: int) -> bytes:
    """How many records could not be written, and why."""
    return _line({"v": PROTOCOL, "type": "dropped", "reason": reason, "count": count})


def denied_record(request_id: str, mode: str, operation: str, rule: str) -> bytes:
    """A call that the policy does not allow; `mode` is `observe` or `block`."""
    return _line(
        {
            "v": PROTOCOL,
            "type": "denied",
            "request_id": request_id,
            "mode": mode,
            "operation": operation[:256],
            "rule": rule[:256],
        }
    )


def as_dict(span: Span) -> dict[str, object]:
    """A span in the records' shape; keys that would be empty are left out."""
    context = span.context
    found: dict[str, object] = {
        "trace_id": context.trace_id,
        "span_id": context.span_id,
        "name": told("", span.name, 256),
        "kind": span.kind,
        "start": span.start,
        "flags": context.flags,
    }
    if span.end_time:
        found["end"] = span.end_time
    if span.parent_id:
        found["parent_id"] = span.parent_id
    if context.trace_state:
        found["trace_state"] = context.trace_state
    if span.attributes:
        found["attributes"] = span.attributes
    if span.events:
        found["events"] = [
            {"name": told("", e.name, 256), "time": e.time, "attributes": e.attributes} for e in span.events
        ]
    if span.links:
        found["links"] = _links(span)
    if span.status[0] != UNSET:
        found["status"] = span.status
    return found


def _links(span: Span) -> list[dict[str, object]]:
    return [
        {
            "trace_id": link.context.trace_id,
            "span_id": link.context.span_id,
            "trace_state": link.context.trace_state,
            "attributes": told_all(link.attributes),
        }
        for link in span.links
    ]


def _brief(span: Span) -> dict[str, object]:
    """An open record's span; its producers' trace state is in the hop's span already."""
    found = as_dict(span)
    found.pop("trace_state", None)
    return found


def _line(record: dict[str, object]) -> bytes:
    return (_dumps(record) + "\n").encode("ascii")
