"""Who descends from whom: an arrival laid out as spans.

One message, or all of one trace: the producer is the parent of the invocation. Several traces: the invocation begins a
trace of its own and links to every record's. Each hop, the time in which a service held the message, is a span between
the producer and what came of it, so that waiting shows as waiting; each record of a batch has a CONSUMER span in its
own trace, tied to the invocation by a link (OpenTelemetry's "Messaging spans": links by default, a parent for a single
message).
"""

from __future__ import annotations

from .spans import CONSUMER, INTERNAL, SERVER, Link, Span
from .spans.context import SpanContext
from .spans.span import new_span_id, new_trace_id

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .triggers import Arrival, Hop, Record


class Lineage:
    """The spans of an arrival.

    Attributes:
        invocation: the open SERVER span.
        hops: finished spans of the time before it.
        records: `(item identifier, open CONSUMER span)` of each record, in the batch's order.
    """

    __slots__ = ("hops", "invocation", "records")

    def __init__(self, invocation: Span) -> None:
        self.invocation = invocation
        self.hops: list[Span] = []
        self.records: list[tuple[str, Span]] = []


def lay_out(
    arrival: Arrival, name: str, now: int, request_id: str, root: str | None, limit: int, current: Span | None = None
) -> Lineage:
    """Make the spans of an arrival.

    Args:
        name: of the invocation's span.
        now: the invocation's begin, nanoseconds since the epoch.
        root: the trace id for an invocation that nobody sent context to, or `None` for a new one.
        limit: of how many records spans and links are made.
        current: the span in whose course the handler is called, where nobody sent context.
    """
    records = arrival.records[:limit]
    single = len(arrival.records) == 1
    traces = {record.context.trace_id for record in records if record.context is not None}
    of_one_trace = len(traces) == 1 and all(record.context is not None for record in records)
    carried = records[0].root if single else ""
    trace_id = next(iter(traces)) if of_one_trace else carried or root or new_trace_id()
    invocation = Span(name, SERVER, SpanContext(trace_id, new_span_id()), "", now, request_id)
    if not traces and current is not None:
        invocation.context.trace_id = current.context.trace_id
        invocation.parent_id = current.context.span_id
    if len(arrival.records) > limit:
        invocation.set_attribute("hoptrace.batch.untraced_records", len(arrival.records) - limit)
    lineage = Lineage(invocation)
    of_batch = arrival.partial_failures or len(records) > 1
    for position, record in enumerate(records):
        producer = record.context
        if producer is None and not single:
            producer = invocation.context
        upstream = _hops(lineage, record.hops, producer, invocation.context.trace_id, now, request_id)
        nested = not traces and current is not None
        if upstream is not None and not nested and (single or (of_one_trace and position == 0)):
            invocation.parent_id = upstream.span_id
            invocation.context.trace_state = upstream.trace_state
        elif upstream is not None and record.context is not None:
            invocation.links.append(Link(upstream))
        if of_batch:
            lineage.records.append((record.item_id, _record(record, invocation, None if single else upstream, now)))
    return lineage


def _hops(
    lineage: Lineage, hops: Iterable[Hop], upstream: SpanContext | None, trace_id: str, now: int, request_id: str
) -> SpanContext | None:
    """A finished span for each hop, each the child of the one before; what comes last is whose child follows."""
    for hop in hops:
        state = upstream.trace_state if upstream else ""
        context = SpanContext(upstream.trace_id if upstream else trace_id, new_span_id(), 1, state)
        start, end = hop.times(now)
        span = Span(hop.name, INTERNAL, context, upstream.span_id if upstream else "", start, request_id)
        span.set_attributes(hop.attributes)
        span.attributes["hoptrace.hop"] = True
        span.end_time = end
        lineage.hops.append(span)
        upstream = context
    return upstream


def _record(record: Record, invocation: Span, upstream: SpanContext | None, now: int) -> Span:
    """A record's own CONSUMER span: in its producer's trace, or inside the invocation when it came alone."""
    parent = upstream or invocation.context
    context = SpanContext(parent.trace_id, new_span_id(), 1, parent.trace_state)
    span = Span(record.name or "process", CONSUMER, context, parent.span_id, now, invocation.request_id)
    span.set_attributes(record.attributes)
    if "messaging.operation.type" in record.attributes:
        span.set_attribute("messaging.operation.name", "process")
    if parent is not invocation.context:
        span.links.append(Link(invocation.context))
    return span
