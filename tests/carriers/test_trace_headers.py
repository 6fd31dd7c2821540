"""traceparent as OpenTelemetry's own propagator reads and writes it, and X-Ray's header by its fields."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from hoptrace.spans.context import (
    SpanContext,
    format_traceparent,
    format_xray,
    parse_traceparent,
    parse_xray,
    parse_xray_root,
)

ORACLE = TraceContextTextMapPropagator()

hexes = st.text("0123456789abcdef")
trace_ids = st.text("0123456789abcdef", min_size=32, max_size=32).filter(lambda text: text.strip("0"))
span_ids = st.text("0123456789abcdef", min_size=16, max_size=16).filter(lambda text: text.strip("0"))
contexts = st.builds(SpanContext, trace_ids, span_ids, st.integers(0, 3), st.just(""), st.just(True))

nearly = st.builds(
    "{}{}{}{}{}{}{}{}".format,
    st.sampled_from(["00", "01", "cc", "ff", "0", "0g", "FF", ""]),
    st.sampled_from(["-", "-", "-", "_", ""]),
    trace_ids | st.sampled_from(["0" * 32, "a" * 31, "A" * 32, "a" * 33]),
    st.sampled_from(["-", "-", " -", ""]),
    span_ids | st.sampled_from(["0" * 16, "b" * 15, "B" * 16]),
    st.sampled_from(["-", "-", "-", "--"]),
    st.sampled_from(["00", "01", "ff", "1", "zz", ""]),
    st.sampled_from(["", "", "", "-", "-more", "more", " ", "\t"]),
)


def oracle(header: str) -> SpanContext | None:
    found = trace.get_current_span(ORACLE.extract({"traceparent": header})).get_span_context()
    if not found.is_valid:
        return None
    trace_id, span_id = trace.format_trace_id(found.trace_id), trace.format_span_id(found.span_id)
    return SpanContext(trace_id, span_id, int(found.trace_flags), "", remote=True)


@given(nearly | st.text(max_size=70))
@settings(max_examples=500, deadline=None)
@example("00-" + "a" * 32 + "-" + "b" * 16 + "-01")
@example("ff-" + "a" * 32 + "-" + "b" * 16 + "-01")
@example("cc-" + "a" * 32 + "-" + "b" * 16 + "-01-what-the-future-holds")
@example("cc-" + "a" * 32 + "-" + "b" * 16 + "-01.what-the-future-holds")
@example("00-" + "a" * 32 + "-" + "b" * 16 + "-01-")
@example(" 00-" + "a" * 32 + "-" + "b" * 16 + "-01\t")
def test_a_traceparent_is_read_as_opentelemetry_reads_it(header: str) -> None:
    assert parse_traceparent(header) == oracle(header)


@given(contexts)
@settings(deadline=None)
def test_a_traceparent_is_written_as_opentelemetry_writes_it(context: SpanContext) -> None:
    carrier: dict[str, str] = {}
    span = trace.NonRecordingSpan(
        trace.SpanContext(int(context.trace_id, 16), int(context.span_id, 16), False, trace.TraceFlags(context.flags))
    )
    ORACLE.inject(carrier, trace.set_span_in_context(span))
    assert format_traceparent(context) == carrier["traceparent"]
    assert parse_traceparent(format_traceparent(context)) == context


def test_flags_that_nobody_has_defined_are_not_sent_on() -> None:
    assert format_traceparent(SpanContext("a" * 32, "b" * 16, 0xFF)).endswith("-03")


@pytest.mark.parametrize("value", [None, 1, b"00", [], {}, "x" * 10_000, "\ud800"])
def test_what_is_no_header_is_no_context(value: object) -> None:
    assert parse_traceparent(value) is None
    assert parse_xray(value) is None
    assert parse_xray_root(value) is None


@pytest.mark.parametrize("state", ["a\nb", "a\x00", "\ud800", "ä", "x" * 513, None, 7])
def test_a_tracestate_that_a_service_would_refuse_is_dropped_and_the_parent_kept(state: object) -> None:
    found = parse_traceparent("00-" + "a" * 32 + "-" + "b" * 16 + "-01", state)
    assert found == SpanContext("a" * 32, "b" * 16, 1, "", remote=True)


@given(contexts)
@settings(deadline=None)
def test_an_xray_header_comes_back_as_it_was_written(context: SpanContext) -> None:
    found = parse_xray(format_xray(context))
    assert found == SpanContext(context.trace_id, context.span_id, context.flags & 1, "", remote=True)
    assert parse_xray_root(format_xray(context)) == context.trace_id


def test_replacing_an_xray_header_keeps_lineage_and_self() -> None:
    """Lambda's recursive loop detection counts in Lineage: losing it switches that off silently."""
    existing = (
        "Self=1-67891234-12456789abcdef012345678;Root=1-6684e6d3-0123456789abcdef01234567;Parent=0f1b000000000000"
    )
    written = format_xray(SpanContext("a" * 32, "b" * 16), existing + ";Sampled=0;Lineage=1:e547cb94:0")
    assert written == (
        "Root=1-aaaaaaaa-aaaaaaaaaaaaaaaaaaaaaaaa;Parent=bbbbbbbbbbbbbbbb;Sampled=1"
        ";Self=1-67891234-12456789abcdef012345678;Lineage=1:e547cb94:0"
    )


@pytest.mark.parametrize(
    ("header", "root", "parent"),
    [
        ("Root=1-5759e988-bd862e3fe1be46a994272793", True, None),
        ("root=1-5759e988-bd862e3fe1be46a994272793; PARENT=53995c3f42cd8ad8 ;sampled=0", True, 0),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8", True, 0),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=?", True, 0),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", True, 1),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=0000000000000000;Sampled=1", True, None),
        ("Root=1-00000000-000000000000000000000000;Parent=53995c3f42cd8ad8;Sampled=1", False, None),
        ("Root=2-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", False, None),
        ("Root=1-5759e988-bd862e3fe1be46a99427279;Parent=53995c3f42cd8ad8;Sampled=1", False, None),
        ("Parent=53995c3f42cd8ad8;Sampled=1", False, None),
        (";;;=;Root", False, None),
    ],
)
def test_an_xray_header_is_read_by_its_fields(header: str, root: bool, parent: int | None) -> None:
    assert (parse_xray_root(header) == "5759e988bd862e3fe1be46a994272793") is root
    found = parse_xray(header)
    assert (found.flags if found else None) == parent
