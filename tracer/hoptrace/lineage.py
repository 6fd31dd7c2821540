"""Who descends from whom: an arrival laid out as spans.

One message, or all of one trace: the producer is the parent of the invocation. Several traces: the invocation begins a
trace of its own and links to every record's. Each hop, the time in which a service held the message, is a span between
the producer and what came of it, so that waiting shows as waiting; each record of a batch has a CONSUMER span in its
own trace, tied to the invocation by a link (OpenTelemetry's "Messaging spans": links by default, a parent for a single
message). A setting has producers linked to only, as those conventions would have it.
"""

from __future__ import annotations

from .settings import Settings
from .spans import CONSUMER, INTERNAL, SERVER, Link, Span
from .spans.context import SpanContext
from .spans.span import new_span_id, new_trace_id

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from .triggers import Arrival, Record


class Lineage:
    """The spans of an arrival.

    Attributes:
        invocation: the open SERVER span.
        hops: finished spans of the time before it.
        records: `(item identifier, open CONSUMER span)` of each record, in the batch's order.
    """

    __slots__ = ("hops", "invocation", "now", "records")

    def __init__(self, invocation: Span) -> None:
        self.invocation = invocation
        self.now = invocation.start
        self.hops: list[Span] = []
        self.records: list[tuple[str, Span]] = []


def lay_out(
    arrival: Arrival,
    name: str,
    now: int,
    request_id: str,
    root: str | None,
    knobs: Settings,
    current: Span | None = None,
) -> Lineage:
    """Make the spans of an arrival.

    Args:
        name: of the invocation's span.
        now: the invocation's begin, nanoseconds since the epoch.
        root: the trace id for an invocation that nobody sent context to, or `None` for a new one.
        current: the span in whose course the handler is called, where nobody sent context.
    """
    limit = knobs.max_batch_records
    records = arrival.records[:limit]
    single = len(arrival.records) == 1
    producers = [record.context for record in records if record.context is not None]
    traces = {producer.trace_id for producer in producers}
    of_one_trace = len(traces) == 1 and len(producers) == len(records)
    adopts = of_one_trace and not knobs.link_producers
    carried = records[0].root if single else ""
    trace_id = producers[0].trace_id if adopts else carried or root or new_trace_id()
    invocation = Span(name, SERVER, SpanContext(trace_id, new_span_id()), "", now, request_id)
    nested = current is not None and not traces
    if current is not None and nested:
        invocation.context.trace_id = current.context.trace_id
        invocation.parent_id = current.context.span_id
    if len(arrival.records) > limit:
        invocation.set_attribute("hoptrace.batch.untraced_records", len(arrival.records) - limit)
    if len({producer.baggage for producer in producers}) == 1:
        invocation.context.baggage = producers[0].baggage
    lineage = Lineage(invocation)
    of_batch = arrival.partial_failures or len(records) > 1
    oldest = 0.0
    for position, record in enumerate(records):
        upstream = record.context if record.context is not None or single else invocation.context
        if knobs.hop_spans:
            upstream = _hops(lineage, record, upstream)
        parents = upstream is not None and not nested and (single or position == 0)
        if upstream is not None and parents and (adopts or (record.context is None and single)):
            invocation.parent_id = upstream.span_id
            invocation.context.trace_state = upstream.trace_state
        elif upstream is not None and record.context is not None:
            invocation.links.append(Link(upstream))
        span = invocation
        if of_batch:
            apart = upstream is not None and not single and not knobs.link_producers
            span = _record(record, invocation, upstream if apart else None, now)
            if knobs.link_producers and record.context is not None and upstream is not None:
                span.links.append(Link(upstream))
            lineage.records.append((record.item_id, span))
        _relate(span, record)
        if record.since_ns is not None:
            age = max(0, now - record.since_ns) / 1e9
            oldest = max(oldest, age)
            span.set_attribute("hoptrace.message.age", round(age, 3))
    _ages(lineage, oldest, records[-1].since_ns if arrival.ordered and records else None)
    return lineage


def _ages(lineage: Lineage, oldest: float, last_ns: int | None) -> None:
    """How long the oldest record has waited, and of a stream the last one, which is what Lambda's IteratorAge is."""
    if oldest:
        lineage.invocation.set_attribute("hoptrace.message.age", round(oldest, 3))
    if last_ns is not None:
        lineage.invocation.set_attribute("hoptrace.iterator.age", round(max(0, lineage.now - last_ns) / 1e9, 3))


def _hops(lineage: Lineage, record: Record, upstream: SpanContext | None) -> SpanContext | None:
    """A finished span for each hop, each the child of the one before; what comes last is whose child follows."""
    for hop in record.hops:
        parent = "" if upstream is None else upstream.span_id
        if upstream is None:
            context = SpanContext(lineage.invocation.context.trace_id, new_span_id())
        else:
            context = upstream.child(new_span_id())
        start, end = hop.times(lineage.now)
        span = Span(hop.name, INTERNAL, context, parent, start, lineage.invocation.request_id)
        span.set_attributes(hop.attributes)
        span.attributes["hoptrace.hop"] = True
        span.end_time = end
        lineage.hops.append(span)
        upstream = context
    return upstream


def _record(record: Record, invocation: Span, upstream: SpanContext | None, now: int) -> Span:
    """A record's own CONSUMER span: in its producer's trace, or inside the invocation when it came alone."""
    parent = upstream or invocation.context
    context = parent.child(new_span_id())
    span = Span(record.name or "process", CONSUMER, context, parent.span_id, now, invocation.request_id)
    span.set_attributes(record.attributes)
    if "messaging.operation.type" in record.attributes:
        span.set_attribute("messaging.operation.name", "process")
    if parent is not invocation.context:
        span.links.append(Link(invocation.context))
    return span


def _relate(span: Span, record: Record) -> None:
    """Link to what a record has to do with beside its producer; where none is known, to where both ends can meet."""
    for context, attributes in record.links:
        span.links.append(Link(context, attributes))
    if record.pointers and (record.context is None or record.shared):
        from .pointers import POINTER, derive

        for words in record.pointers:
            span.links.append(Link(derive(words), {POINTER: words[0]}))
