"""What holds for the spans of any arrival: nothing is dropped, nothing invented, and each is in its own trace."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoptrace.lineage import Lineage, lay_out
from hoptrace.settings import Settings
from hoptrace.spans import Span
from hoptrace.spans.context import SpanContext
from hoptrace.triggers import identify
from hoptrace.triggers.arrival import Arrival, Hop, Record, chain
from tests.batches.scene import event

NOW = 1_790_000_000_000_000_000
SECOND = 10**9
TRACES = [f"{number:032x}" for number in (0xA, 0xB, 0xC)]

_times = st.integers(NOW - 5 * SECOND, NOW + 2 * SECOND)
_contexts = st.builds(
    SpanContext,
    st.sampled_from(TRACES),
    st.integers(1, 2**64 - 1).map("{:016x}".format),
    flags=st.just(1),
    trace_state=st.sampled_from(("", "vendor=1")),
    remote=st.just(True),
    baggage=st.sampled_from(("", "user=1")),
)
_hops = st.lists(_times.map(lambda start: Hop("SQS q", "aws_sqs", start)), max_size=3)


@st.composite
def _records(draw: st.DrawFn) -> Record:
    kind = draw(st.sampled_from(("context", "root", "neither")))
    record = Record(
        draw(st.sampled_from(("", "m1", "m2"))),
        draw(st.sampled_from(("", "process q"))),
        draw(_contexts) if kind == "context" else None,
        "traceparent",
        draw(st.sampled_from(TRACES)) if kind == "root" else "",
        hops=list(chain(list(draw(_hops)))) if draw(st.booleans()) else draw(_hops),
    )
    record.since_ns = draw(st.none() | _times)
    return record


@dataclass
class Case:
    """What is laid out, and how it is asked for."""

    arrival: Arrival
    knobs: Settings
    root: str | None
    current: Span | None

    @property
    def read(self) -> list[Record]:
        """The records that get spans and links."""
        records = self.arrival.records
        return records if len(records) == 1 else records[: self.knobs.max_batch_records]


@st.composite
def _cases(draw: st.DrawFn) -> Case:
    environ = {
        "HOPTRACE_HOP_SPANS": draw(st.sampled_from(("true", "false"))),
        "HOPTRACE_PRODUCER": draw(st.sampled_from(("parent", "link"))),
        "HOPTRACE_MAX_BATCH_RECORDS": draw(st.sampled_from(("100", "100", "2", "0"))),
    }
    # Often all of one trace, or of one kind: chance alone would seldom have it.
    records = draw(st.lists(_records(), max_size=5))
    if records and draw(st.booleans()):
        for record in records:
            record.root = TRACES[0] if record.root else ""
            if record.context is not None:
                record.context.trace_id = TRACES[0]
    arrival = Arrival("sqs", records=records, partial_failures=draw(st.booleans()), ordered=draw(st.booleans()))
    current = Span("outer", 1, SpanContext("f" * 32, "f" * 16), "", NOW, "") if draw(st.booleans()) else None
    return Case(arrival, Settings(environ), draw(st.sampled_from((None, "e" * 32))), current)


def _lay_out(case: Case) -> Lineage:
    return lay_out(case.arrival, "f", NOW, "r", case.root, case.knobs, case.current)


def _known(case: Case, lineage: Lineage) -> set[tuple[str, str]]:
    """Trace and id of every span that exists."""
    spans = [lineage.invocation, *lineage.hops, *(span for _, span in lineage.records)]
    contexts = [span.context for span in spans]
    contexts += [record.context for record in case.arrival.records if record.context is not None]
    if case.current is not None:
        contexts.append(case.current.context)
    return {(context.trace_id, context.span_id) for context in contexts}


@given(_cases())
def test_no_span_ends_before_it_starts_and_no_hop_after_the_invocation_began(case: Case) -> None:
    lineage = _lay_out(case)
    for hop in lineage.hops:
        assert hop.start <= hop.end_time <= NOW
    for _, span in lineage.records:
        assert span.start == NOW and span.recording
    ages = [span.attributes.get("hoptrace.message.age", 0) for _, span in lineage.records]
    assert all(age >= 0 for age in [*ages, lineage.invocation.attributes.get("hoptrace.iterator.age", 0)])


@given(_cases())
def test_every_parent_exists_in_the_childs_own_trace(case: Case) -> None:
    lineage = _lay_out(case)
    known = _known(case, lineage)
    for span in (lineage.invocation, *lineage.hops, *(span for _, span in lineage.records)):
        if span.parent_id:
            assert (span.context.trace_id, span.parent_id) in known
        for link in span.links:
            assert (link.context.trace_id, link.context.span_id) in known
    assert len(known) >= 1 + len(lineage.hops) + len(lineage.records)


def _reached(lineage: Lineage, span: Span) -> set[str]:
    """The spans that one leads to, by its parent and links and through hops."""
    hops = {hop.context.span_id: hop.parent_id for hop in lineage.hops}
    found = {span.parent_id, *(link.context.span_id for link in span.links)}
    waiting = list(found)
    while waiting:
        parent = hops.get(waiting.pop())
        if parent and parent not in found:
            found.add(parent)
            waiting.append(parent)
    return found


@given(_cases())
def test_no_producer_is_dropped(case: Case) -> None:
    lineage = _lay_out(case)
    reached = _reached(lineage, lineage.invocation)
    for record in case.read:
        if record.context is not None:
            assert record.context.span_id in reached
    for (_, span), record in zip(lineage.records, case.read, strict=False):
        if record.context is not None and len(case.arrival.records) > 1:
            assert record.context.span_id in _reached(lineage, span)


@given(_cases())
def test_the_hops_of_a_record_are_a_chain_in_its_own_trace(case: Case) -> None:
    lineage = _lay_out(case)
    expected = sum(len(record.hops) for record in case.read) if case.knobs.hop_spans else 0
    assert len(lineage.hops) == expected
    hops = iter(lineage.hops)
    for record in case.read if case.knobs.hop_spans else ():
        before = "" if record.context is None else record.context.span_id
        for number in range(len(record.hops)):
            hop = next(hops)
            if number or record.context is not None:
                assert hop.parent_id == before
            own = record.root if record.context is None else record.context.trace_id
            assert hop.context.trace_id == (own or lineage.invocation.context.trace_id)
            before = hop.context.span_id


@given(_cases())
def test_a_record_of_a_batch_is_in_its_own_trace_and_tied_to_the_invocation(case: Case) -> None:
    lineage = _lay_out(case)
    batch = case.arrival.partial_failures or len(case.read) > 1
    assert len(lineage.records) == (len(case.read) if batch else 0)
    ids = {hop.context.span_id: hop for hop in lineage.hops}
    for (item_id, span), record in zip(lineage.records, case.read, strict=False):
        assert item_id == record.item_id
        own = record.root if record.context is None else record.context.trace_id
        if len(case.arrival.records) > 1 and not case.knobs.link_producers and own:
            assert span.context.trace_id == own
        elif not own or case.knobs.link_producers:
            assert span.context.trace_id == lineage.invocation.context.trace_id
        linked = {link.context.span_id for link in span.links}
        above = span.parent_id
        while above in ids:
            above = ids[above].parent_id
        assert lineage.invocation.context.span_id in {*linked, above}


@given(_cases())
def test_the_producer_is_the_parent_when_there_is_one_trace_and_nobody_asked_for_links(case: Case) -> None:
    lineage = _lay_out(case)
    records = case.arrival.records
    traces = {record.context.trace_id if record.context is not None else record.root for record in records}
    producers = {record.context.span_id for record in records if record.context is not None}
    ids = {hop.context.span_id: hop for hop in lineage.hops}
    above = lineage.invocation.parent_id
    while above in ids:
        above = ids[above].parent_id
    if case.current is not None and not producers:
        assert above == case.current.context.span_id
    elif producers and len(traces) == 1 and not case.knobs.link_producers and case.read:
        assert above in producers
    else:
        assert above == ""


@given(_cases())
def test_baggage_goes_on_only_where_all_records_brought_the_same(case: Case) -> None:
    lineage = _lay_out(case)
    brought = {"" if record.context is None else record.context.baggage for record in case.arrival.records}
    assert lineage.invocation.context.baggage == (brought.pop() if len(brought) == 1 else "")


def _message(number: int, root: str) -> dict[str, Any]:
    (message,) = event("recorded/sqs.json")["Records"][:1]
    attributes = {
        **message["attributes"],
        "AWSTraceHeader": f"Root=1-{root[:8]}-{root[8:]};Parent=00000000000000aa;Sampled=0",
    }
    return {**message, "messageId": f"m{number}", "messageAttributes": {}, "attributes": attributes}


def test_messages_with_a_bare_trace_id_are_in_that_trace_each() -> None:
    from hoptrace.triggers import identify

    roots = [f"{number:032x}" for number in (1, 2, 3)]
    arrival = identify({"Records": [_message(number, root) for number, root in enumerate(roots)]})
    lineage = lay_out(arrival, "f", NOW, "r", None, Settings({}))
    assert [span.context.trace_id for _, span in lineage.records] == roots
    assert {hop.context.trace_id for hop in lineage.hops} == set(roots)
    assert lineage.invocation.context.trace_id not in roots
    assert {link.context.trace_id for link in lineage.invocation.links} == set(roots)
    assert lineage.invocation.parent_id == ""


def test_messages_of_one_bare_trace_id_are_joined_by_the_invocation() -> None:
    from hoptrace.triggers import identify

    root = f"{1:032x}"
    arrival = identify({"Records": [_message(number, root) for number in range(3)]})
    lineage = lay_out(arrival, "f", NOW, "r", "e" * 32, Settings({}))
    assert lineage.invocation.context.trace_id == root


@pytest.mark.parametrize(("name", "ordered"), [("sam/kinesis-get-records.json", True), ("recorded/sqs.json", False)])
def test_how_far_behind_a_stream_is_is_told_by_its_last_record(name: str, ordered: bool) -> None:
    from hoptrace.triggers import identify

    batch = event(name)["Records"][:1] * 150
    arrival = identify({"Records": batch})
    now = (arrival.records[-1].since_ns or 0) + 7 * SECOND
    arrival.records[0].since_ns = now - 9 * SECOND
    invocation = lay_out(arrival, "f", now, "r", None, Settings({})).invocation
    assert invocation.attributes.get("hoptrace.iterator.age") == (7.0 if ordered else None)
    assert invocation.attributes["hoptrace.message.age"] == 9.0


def test_producers_of_records_without_spans_of_their_own_are_linked_to_all_the_same() -> None:
    woken = {
        "Records": [
            {
                "eventSource": "aws:sqs",
                "messageId": f"m{number}",
                "messageAttributes": {"traceparent": {"stringValue": f"00-{number + 1:032x}-{number + 1:016x}-01"}},
            }
            for number in range(1_200)
        ]
    }
    lineage = lay_out(identify(woken), "f", NOW, "r", None, Settings({}))
    assert len(lineage.records) == 100
    beyond = {link.context.trace_id for link in lineage.invocation.links}
    assert beyond == {f"{number + 1:032x}" for number in range(1_000)}
    assert lineage.invocation.attributes["hoptrace.batch.untraced_records"] == 1_100
