"""Who descends from whom: an arrival laid out as spans.

One message, or all of one trace: the producer is the parent of the invocation. Several traces: the invocation begins a
trace of its own and links to every record's. Each hop, the time in which a service held the message, is a span between
the producer and what came of it, so that waiting shows as waiting; each record of a batch has a CONSUMER span in its
own trace, tied to the invocation by a link (OpenTelemetry's "Messaging spans": links by default, a parent for a single
message). A setting has producers linked to only, as those conventions would have it.

A record that came with a bare trace id, without a span, has its hops and its CONSUMER span at the root of that trace.

Each trace has a decision of its own about whether it is recorded, its producer's where there is one
(`OTEL_TRACES_SAMPLER`): of a batch some records' spans may be recorded and others not. An invocation that begins a
trace for a batch is recorded when one of its producers is, or when a record came that nobody has decided about.
"""

from __future__ import annotations

from .settings import Settings, settings
from .spans import CONSUMER, INTERNAL, SERVER, Link, Span
from .spans.context import SAMPLED, SpanContext
from .spans.span import begun, below, new_span_id, new_trace_id, root_context

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
    upstreams = [below(record.context) if record.context is not None else None for record in records]
    nested = current is not None and not producers
    around = current.context if current is not None and nested else None
    if around is not None:
        context = around.child(new_span_id())
    else:
        context = _decided(root_context(trace_id, new_span_id()), upstreams, trace_id if joins else "", knobs)
    invocation = begun(name, SERVER, context, around.span_id if around is not None else "", now, request_id)
    invocation.silence()
    if len(producers) == len(arrival.records) and len({producer.baggage for producer in producers}) == 1:
        invocation.context.baggage = producers[0].baggage
    lineage = Lineage(arrival, invocation)
    alone = single and not nested
    adopts = not nested and (joins or (single and not producers))
    of_batch = arrival.partial_failures or len(records) > 1
    for record, upstream in zip(records, upstreams, strict=True):
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
                invocation.add_link(upstream)
        span = invocation
        if of_batch:
            apart = not single and not knobs.link_producers
            span = _record(record, invocation, upstream, apart=apart)
            if knobs.link_producers and known and upstream is not None:
                span.add_link(upstream)
            lineage.records.append((record.item_id, span))
        _relate(span, record)
        if record.since_ns is not None:
            span.attributes[AGE] = _age(now, record.since_ns)
    _sum_up(invocation, arrival, len(records))
    return lineage


def _decided(context: SpanContext, upstreams: list[SpanContext | None], joined: str, knobs: Settings) -> SpanContext:
    """The invocation's context, with the decision of those that sent it something; `joined` is their one trace."""
    producers = [upstream for upstream in upstreams if upstream is not None]
    if joined:
        # A trace id that came without a span is no decision.
        producers = [producer for producer in producers if producer.trace_id == joined]
    if not producers:
        return context
    if joined:
        first = producers[0]
        kept = any(producer.flags & SAMPLED for producer in producers)
        return SpanContext(context.trace_id, context.span_id, first.flags & ~SAMPLED | kept)
    if knobs.sampler is not None and not knobs.sampler[0].startswith("parentbased_"):
        return context  # decided by itself
    undecided = len(producers) < len(upstreams) and context.sampled
    kept = undecided or any(producer.flags & SAMPLED for producer in producers)
    # How likely that was, nobody knows: without `th`.
    return SpanContext(context.trace_id, context.span_id, SAMPLED if kept else 0)


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
        if upstream is not None:
            parent, context = upstream.span_id, upstream.child(new_span_id())
        else:
            parent, context = "", _beginning(record.root, lineage.invocation)
        upstream = context
        if not context.sampled:
            continue
        start, end = hop.times(lineage.now)
        span = Span(hop.name, INTERNAL, context, parent, start, lineage.invocation.request_id)
        _describe(span, hop.attributes)
        span.attributes["hoptrace.hop"] = True
        span.end_time = end
        lineage.hops.append(span)
    return upstream


def _beginning(root: str, invocation: Span) -> SpanContext:
    """The context of what stands at the root of a record's trace, or of the invocation's."""
    ours = invocation.context
    if root and root != ours.trace_id:
        return root_context(root, new_span_id())
    return SpanContext(ours.trace_id, new_span_id(), ours.flags, ours.trace_state)


def _record(record: Record, invocation: Span, upstream: SpanContext | None, *, apart: bool) -> Span:
    """A record's own CONSUMER span: in its producer's trace, or inside the invocation when it came alone."""
    parent = upstream if apart else invocation.context
    if parent is None and not record.root:
        parent = invocation.context
    context = _beginning(record.root, invocation) if parent is None else parent.child(new_span_id())
    parent_id = "" if parent is None else parent.span_id
    span = begun(record.name or "process", CONSUMER, context, parent_id, invocation.start, invocation.request_id)
    if not span.recording:
        return span
    _describe(span, record.attributes)
    if "messaging.operation.type" in record.attributes:
        span.attributes["messaging.operation.name"] = "process"
    if parent is not invocation.context:
        span.links.append(Link(invocation.context))
    return span


def _relate(span: Span, record: Record) -> None:
    """Link to what a record has to do with beside its producer; where none is known, to where both ends can meet."""
    if not span.recording:
        return
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
        beyond = arrival.records[laid_out:] if invocation.recording else ()
        invocation.links.extend(Link(record.context) for record in beyond if record.context is not None)
    times = [record.since_ns for record in arrival.records if record.since_ns is not None]
    if times:
        invocation.set_attribute(AGE, _age(invocation.start, min(times)))
        last = arrival.records[-1].since_ns
        if arrival.ordered and last is not None:
            # As Lambda's metric of that name counts it: by the last record of the batch.
            invocation.set_attribute("hoptrace.iterator.age", _age(invocation.start, last))
