"""EventBridge: the reserved key in `Detail`, and `TraceHeader`, which X-Ray reads and the target never gets.

Calls: EventBridge PutEvents.
Written: `TraceHeader`, and the member `_hoptrace` in `Detail`, as text, no other byte changed.
Read: `detail._hoptrace`, then the same texts as members of `detail`.
Limits: less than 1,000,000 bytes for all entries: 14 for `Time`, then `Source`, `DetailType`, `Detail` and `Resources`.
Without room: first without `baggage`, then without `tracestate`, then `TraceHeader` alone, which does not count.
Default: on.
"""

from hoptrace.carriers.attributes import bytes_of, inject_each
from hoptrace.carriers.reserved import add, extract_reserved
from hoptrace.propagation import aws_headers
from hoptrace.shape import Shape
from hoptrace.spans.context import SpanContext, format_xray

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from hoptrace.carriers.attributes import Entry

# EventBridge PutEvents: "the total entry size must be less than 1MB", for all entries of a request. Which megabyte that
# is, it does not say, so the smaller.
EVENTBRIDGE_BYTES = 999_999
_TIME_BYTES = 14


def inject_entry(
    entry: "Entry",
    context: SpanContext,
    now_ms: int,
    trace_header: str | None = None,
    room: int = EVENTBRIDGE_BYTES,
    detail: bool = True,
) -> "Entry":
    """Write `context` into one entry of PutEvents; return a new one.

    The TraceHeader (X-Ray's, not counted in the size) is set unless the entry has one. The reserved key is appended to
    `Detail` as text, so no other byte changes, and only when `Detail` is an object and `room` bytes suffice. `now_ms`
    (epoch milliseconds) goes with it, because the event's own `time` has whole seconds only. `detail=False` leaves
    `Detail` alone.
    """
    if not isinstance(entry, dict):
        return entry
    ours: dict[str, Any] = {}
    if "TraceHeader" not in entry and aws_headers():
        ours["TraceHeader"] = format_xray(context, trace_header)
    text = entry.get("Detail")
    if detail and isinstance(text, str):
        longer = add(text, context, now_ms, room - _size(entry))
        if longer is not None:
            ours["Detail"] = longer
    return {**entry, **ours} if ours else entry


def inject_batch(
    entries: "Sequence[Entry]",
    context_for: "Callable[[int], SpanContext | None]",
    now_ms: int,
    trace_header: str | None = None,
    detail: bool = True,
) -> "Sequence[Entry]":
    """Write a context into each entry of a PutEvents request; the size limit is the whole request's."""

    def inject(entry: "Entry", context: SpanContext, room: int) -> "Entry":
        return inject_entry(entry, context, now_ms, trace_header, room, detail)

    return inject_each(entries, context_for, _size, EVENTBRIDGE_BYTES, inject)


def extract_event(event: Shape) -> SpanContext | None:
    """Read an EventBridge event, wherever it was found."""
    return extract_reserved(event.get("detail"))


def _size(entry: "Entry") -> int:
    """Size by the rule of the EventBridge guide, "Calculating PutEvents event entry size"."""
    size = _TIME_BYTES if entry.get("Time") is not None else 0
    size += bytes_of(entry.get("Source")) + bytes_of(entry.get("DetailType")) + bytes_of(entry.get("Detail"))
    resources = entry.get("Resources")
    if isinstance(resources, (list, tuple)):
        size += sum(bytes_of(resource) for resource in resources)
    return size
