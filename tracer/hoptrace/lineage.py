"""Who descends from whom: an arrival laid out as spans.

One message, or all of one trace: the producer is the parent of the invocation. Several traces: the invocation begins a
trace of its own and links to every record's. Each hop, the time in which a service held the message, is a span between
the producer and what came of it, so that waiting shows as waiting; each record of a batch has a CONSUMER span in its
own trace, tied to the invocation by a link (OpenTelemetry's "Messaging spans": links by default, a parent for a single
message). A setting has producers linked to only, as those conventions would have it.

A record that came with a bare trace id, without a span, has its hops and its CONSUMER span at the root of that trace.
"""

from __future__ import annotations

from .settings import Settings, settings
from .spans import CONSUMER, INTERNAL, SERVER, Link, Span
from .spans.context import SpanContext
from .spans.span import new_span_id, new_trace_id

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .triggers import Arrival, Record


class Lineage:
    """The spans of an arrival.

    Attributes:
        arrival: what they were made of.
        invocation: the open SERVER span.
        hops: finished spans of the time before it.
        records: `(item identifier, open CONSUMER span)` of each record, in the batch's order.
        event: what the handler was called with.
        write: where a record for the collector goes, while the invocation runs.
        batch: which records are in work, once somebody follows that (`hoptrace.batch`).
    """

    __slots__ = ("arrival", "batch", "event", "hops", "invocation", "now", "records", "write")

    def __init__(self, arrival: Arrival, invocation: Span) -> None:
        self.arrival = arrival
        self.invocation = invocation
        self.now = invocation.start
        self.hops: list[Span] = []
        self.records: list[tuple[str, Span]] = []
        self.event: Any = None
        self.write: Callable[[bytes], object] | None = None
        self.batch: Any = None  # a `Batch`, of the room above


AGE = "hoptrace.message.age"

open_lineages: list[Lineage] = []
"""Of the invocations that this process is working on and that brought records; in Lambda, one at most."""


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
    single = len(arrival.records) == 1
    records = arrival.records if single else arrival.records[: knobs.max_batch_records]
    producers, shared = _origins(arrival.records)
    # A trace id that came without a span is no producer: it is joined also where producers are only linked to.
    joins = shared != "" and not (knobs.link_producers and producers)
    trace_id = shared if joins else root or new_trace_id()
    invocation = Span(name, SERVER, SpanContext(trace_id, new_span_id()), "", now, request_id)
    nested = current is not None and not producers
    if current is not None and nested:
        invocation.context.trace_id = current.context.trace_id
        invocation.parent_id = current.context.span_id
    if len(producers) == len(arrival.records) and len({producer.baggage for producer in producers}) == 1:
        invocation.context.baggage = producers[0].baggage
    lineage = Lineage(arrival, invocation)
    alone = single and not nested
    adopts = not nested and (joins or (single and not producers))
    of_batch = arrival.partial_failures or len(records) > 1
    for record in records:
        upstream = record.context
        if upstream is None and not record.root and not alone:
            upstream = invocation.context
        if knobs.hop_spans:
            upstream = _hops(lineage, record, upstream)
        known = record.context is not None or record.root != ""
        if upstream is not None and (known or alone):
            if adopts and not invocation.parent_id and (record.context is not None or not producers):
                invocation.parent_id = upstream.span_id
                invocation.context.trace_state = upstream.trace_state
            else:
                invocation.links.append(Link(upstream))
        span = invocation
        if of_batch:
            apart = not single and not knobs.link_producers
            span = _record(record, invocation, upstream, apart=apart)
            if knobs.link_producers and known and upstream is not None:
                span.links.append(Link(upstream))
            lineage.records.append((record.item_id, span))
        _relate(span, record)
        if record.since_ns is not None:
            span.attributes[AGE] = _age(now, record.since_ns)
    _sum_up(invocation, arrival, len(records))
    return lineage


def own_record(lineage: Lineage) -> Span:
    """A CONSUMER span inside the invocation for a message that came alone, by a way that reports no failed items."""
    (record,) = lineage.arrival.records
    span = _record(record, lineage.invocation, None, apart=False)
    span.course = lineage.invocation.course
    lineage.records.append((record.item_id, span))
    return span


def _origins(records: list[Record]) -> tuple[list[SpanContext], str]:
    """The producers, and the trace id that all records share, "" when they do not or one has none."""
    producers = []
    shared: str | None = None
    for record in records:
        trace_id = record.root
        if record.context is not None:
            producers.append(record.context)
            trace_id = record.context.trace_id
        shared = trace_id if shared is None or shared == trace_id else ""
    return producers, shared or ""


def _hops(lineage: Lineage, record: Record, upstream: SpanContext | None) -> SpanContext | None:
    """A finished span for each hop, each the child of the one before; what comes last is whose child follows."""
    for hop in record.hops:
        if upstream is None:
            parent, context = "", SpanContext(record.root or lineage.invocation.context.trace_id, new_span_id())
        else:
            parent, context = upstream.span_id, upstream.child(new_span_id())
        start, end = hop.times(lineage.now)
        span = Span(hop.name, INTERNAL, context, parent, start, lineage.invocation.request_id)
        _describe(span, hop.attributes)
        span.attributes["hoptrace.hop"] = True
        span.end_time = end
        lineage.hops.append(span)
        upstream = context
    return upstream


def _record(record: Record, invocation: Span, upstream: SpanContext | None, *, apart: bool) -> Span:
    """A record's own CONSUMER span: in its producer's trace, or inside the invocation when it came alone."""
    parent = upstream if apart else invocation.context
    if parent is None and not record.root:
        parent = invocation.context
    context = SpanContext(record.root, new_span_id()) if parent is None else parent.child(new_span_id())
    parent_id = "" if parent is None else parent.span_id
    span = Span(record.name or "process", CONSUMER, context, parent_id, invocation.start, invocation.request_id)
    _describe(span, record.attributes)
    if "messaging.operation.type" in record.attributes:
        span.attributes["messaging.operation.name"] = "process"
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


def _age(now: int, since_ns: int) -> float:
    """Seconds that a record was there to be fetched; none when the clocks contradict each other."""
    return round(max(0, now - since_ns) / 1e9, 3)


def _describe(span: Span, attributes: Mapping[str, object]) -> None:
    """`Span.set_attributes` for what the readers made: a batch has hundreds of them, and nearly all are short texts."""
    limits = settings()
    length, kept = limits.attribute_length_limit, span.attributes
    if len(attributes) >= limits.attribute_count_limit:
        span.set_attributes(attributes)
        return
    for key, value in attributes.items():
        kind = type(value)
        if kind is int or (kind is str and len(value) <= length):  # type: ignore[arg-type]
            kept[key] = value
        else:
            span.set_attribute(key, value)


def _sum_up(invocation: Span, arrival: Arrival, laid_out: int) -> None:
    """What holds for all records together: how many have no span, how old the oldest is, how far behind a stream is."""
    if len(arrival.records) > laid_out:
        invocation.set_attribute("hoptrace.batch.untraced_records", len(arrival.records) - laid_out)
        # Spans of a thousand records would cost 25 ms and fill a megabyte; a link to who sent each costs a tenth.
        beyond = (record.context for record in arrival.records[laid_out:])
        invocation.links.extend(Link(producer) for producer in beyond if producer is not None)
    times = [record.since_ns for record in arrival.records if record.since_ns is not None]
    if times:
        invocation.set_attribute(AGE, _age(invocation.start, min(times)))
        last = arrival.records[-1].since_ns
        if arrival.ordered and last is not None:
            # As Lambda's metric of that name counts it: by the last record of the batch.
            invocation.set_attribute("hoptrace.iterator.age", _age(invocation.start, last))
