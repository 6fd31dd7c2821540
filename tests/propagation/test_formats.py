"""Our formats against OpenTelemetry's own propagators: what either writes, the other reads, and rubbish is rubbish."""

import io
import itertools
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.baggage import get_all, set_baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import hoptrace
from hoptrace import settings
from hoptrace.carriers.headers import extract_headers, extract_headers_root, inject_headers
from hoptrace.propagation import aws_headers, choices, has_context
from hoptrace.shape import Shape
from hoptrace.spans.context import SpanContext
from hoptrace.testing import LambdaContext, recorder
from tests.support import propagators

sys.path.append(str(propagators.installed()))

from opentelemetry.propagators.aws import AwsXRayPropagator  # type: ignore[import-not-found]
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat  # type: ignore[import-not-found]

THEIRS: dict[str, TextMapPropagator] = {
    "tracecontext": TraceContextTextMapPropagator(),
    "b3": B3SingleFormat(),
    "b3multi": B3MultiFormat(),
    "xray": AwsXRayPropagator(),
}
HEX = "0123456789abcdef"
ids = st.tuples(
    st.text(HEX, min_size=32, max_size=32).filter(lambda text: text.strip("0")),
    st.text(HEX, min_size=16, max_size=16).filter(lambda text: text.strip("0")),
)
flags = st.integers(0, 1)


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    settings.use(None)


def use(listed: str) -> None:
    settings.use(settings.Settings({"OTEL_PROPAGATORS": listed}))


def theirs_of(context: Any) -> SpanContext | None:
    found = trace.get_current_span(context).get_span_context()
    if not found.is_valid:
        return None
    return SpanContext(
        f"{found.trace_id:032x}",
        f"{found.span_id:016x}",
        int(found.trace_flags),
        found.trace_state.to_header(),
        remote=True,
    )


def as_theirs(context: SpanContext) -> Any:
    return trace.set_span_in_context(
        trace.NonRecordingSpan(
            trace.SpanContext(
                int(context.trace_id, 16),
                int(context.span_id, 16),
                is_remote=False,
                trace_flags=trace.TraceFlags(context.flags),
                trace_state=trace.TraceState.from_header([context.trace_state]),
            )
        )
    )


def theirs_reads(name: str, headers: Mapping[str, str]) -> SpanContext | None:
    """In HTTP the case of a header's name means nothing; their readers leave that to others."""
    spelt = {"x-amzn-trace-id": "X-Amzn-Trace-Id"}
    return theirs_of(THEIRS[name].extract({spelt.get(key, key): value for key, value in headers.items()}))


def ours_reads(headers: Mapping[str, str]) -> SpanContext | None:
    return extract_headers(Shape(dict(headers)))


@pytest.mark.parametrize("name", THEIRS)
@given(ids, flags, st.sampled_from(["", "vendor=1", "a=1,b=2"]))
@examples(deadline=None, max_examples=60)
def test_what_we_write_they_read(name: str, found: tuple[str, str], flag: int, state: str) -> None:
    use(name)
    state = state if name == "tracecontext" else ""
    context = SpanContext(*found, flag, state)
    assert theirs_reads(name, inject_headers((), context)) == SpanContext(*found, flag, state, remote=True)


@pytest.mark.parametrize("name", THEIRS)
@given(ids, flags, st.sampled_from(["", "vendor=1", "a=1,b=2"]))
@examples(deadline=None, max_examples=60)
def test_what_they_write_we_read(name: str, found: tuple[str, str], flag: int, state: str) -> None:
    use(name)
    state = state if name == "tracecontext" else ""
    headers: dict[str, str] = {}
    THEIRS[name].inject(headers, as_theirs(SpanContext(*found, flag, state)))
    expected = SpanContext(*found, flag, state, remote=True)
    # X-Ray's header without a decision to record names a span that nobody has: of that the trace id is kept.
    assert ours_reads(headers) == (None if name == "xray" and not flag else expected)
    if name == "xray":
        assert extract_headers_root(Shape(headers)) == found[0]


RUBBISH = [
    "-",
    "--",
    "0" * 32,
    "0" * 16,
    "0",
    "d",
    "true",
    "ff",
    " ",
    "\t",
    "\r\n",
    "\x00",
    "٣",
    "é",
    ";",
    "=",
    "A" * 16,
]


@st.composite
def nearly(draw: Any, right: str) -> str:
    """A right value with up to two slices of it replaced, or anything at all."""
    if draw(st.integers(0, 9)) == 0:
        return str(draw(st.text(max_size=80)))
    text = right
    for _ in range(draw(st.integers(0, 2))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 3)))
        text = text[:start] + draw(st.sampled_from(["", *RUBBISH])) + text[end:]
    return text


RIGHT = {
    "tracecontext": {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"},
    "b3": {"b3": f"{'a' * 32}-{'b' * 16}-1-{'c' * 16}"},
    "b3multi": {"x-b3-traceid": "a" * 32, "x-b3-spanid": "b" * 16, "x-b3-sampled": "1", "x-b3-flags": "0"},
    "xray": {"x-amzn-trace-id": f"Root=1-{'a' * 8}-{'a' * 24};Parent={'b' * 16};Sampled=1"},
}


@pytest.mark.parametrize("name", THEIRS)
@given(st.data())
@examples(deadline=None, max_examples=400)
def test_of_a_hostile_header_we_read_what_they_read_or_nothing(name: str, data: Any) -> None:
    use(name)
    headers = {header: data.draw(nearly(value)) for header, value in RIGHT[name].items()}
    ours = ours_reads(headers)
    if ours is None:
        return
    try:
        theirs = theirs_reads(name, {key: value.strip() for key, value in headers.items()})
    except ValueError:  # of a digit that only Python's int() refuses
        theirs = None
    if theirs is None and name == "xray":  # they refuse the whole header for one field that is none
        headers["x-amzn-trace-id"] = ";".join(
            field for field in headers["x-amzn-trace-id"].split(";") if field.strip()[:5] in ("Root=", "Paren", "Sampl")
        )
        theirs = theirs_reads(name, headers)
    assert theirs is not None
    assert (ours.trace_id, ours.span_id) == (theirs.trace_id, theirs.span_id)
    assert ours.trace_id.strip(HEX) + ours.span_id.strip(HEX) == ""


@pytest.mark.parametrize("single", [f"{'a' * 32}-{'b' * 16}", f"{'a' * 16}-{'b' * 16}"])
def test_who_leaves_the_decision_to_us_is_recorded(single: str) -> None:
    use("b3")
    trace_id = single.partition("-")[0].rjust(32, "0")
    assert (
        ours_reads({"b3": single}) == theirs_reads("b3", {"b3": single}) == SpanContext(trace_id, "b" * 16, 1, "", True)
    )
    # In several headers theirs takes a missing decision for a no; the format has it as left open there too.
    assert ours_reads({"X-B3-TraceId": trace_id, "X-B3-SpanId": "b" * 16}) == SpanContext(
        trace_id, "b" * 16, 1, "", True
    )


@pytest.mark.parametrize(("decision", "flag"), [("1", 1), ("d", 1), ("0", 0)])
@pytest.mark.parametrize("parent", ["", "-" + "c" * 16])
def test_every_decision_of_the_single_header_is_read(decision: str, flag: int, parent: str) -> None:
    use("b3")
    header = {"b3": f"{'a' * 32}-{'b' * 16}-{decision}{parent}"}
    assert ours_reads(header) == theirs_reads("b3", header) == SpanContext("a" * 32, "b" * 16, flag, "", True)


@pytest.mark.parametrize("header", ["0", "1", "d", "", "a-b", f"{'a' * 32}-{'b' * 16}-1-{'c' * 16}-1"])
def test_a_bare_decision_is_no_context(header: str) -> None:
    use("b3")
    assert ours_reads({"b3": header}) is None
    assert theirs_reads("b3", {"b3": header}) is None


# --- several formats


W3C = {"traceparent": f"00-{'1' * 32}-{'1' * 16}-01"}
B3 = {"b3": f"{'2' * 32}-{'2' * 16}-1"}
XRAY = {"X-Amzn-Trace-Id": f"Root=1-{'3' * 8}-{'3' * 24};Parent={'3' * 16};Sampled=1"}


@pytest.mark.parametrize(
    ("listed", "trace_id"),
    [
        ("tracecontext,b3", "2"),
        ("b3,tracecontext", "1"),
        ("tracecontext", "1"),
        ("b3", "2"),
        ("tracecontext,baggage,xray", "1"),
        ("xray,b3", "2"),
        ("xray", "3"),
        ("b3multi", "2"),
    ],
)
def test_of_several_formats_the_one_listed_last_wins_and_x_rays_only_fills_in(listed: str, trace_id: str) -> None:
    use(listed)
    found = ours_reads({**W3C, **B3, **XRAY})
    assert found is not None
    assert found.trace_id == trace_id * 32


@pytest.mark.parametrize("listed", ["tracecontext,b3", "xray,tracecontext", "b3", "b3multi", "xray"])
def test_what_is_missing_is_filled_in_by_whatever_is_listed_and_there(listed: str) -> None:
    use(listed)
    for headers in (W3C, B3, XRAY):
        known = {"tracecontext": W3C, "b3": B3, "b3multi": B3, "xray": XRAY}
        expected = any(known[name] is headers for name in listed.split(","))
        assert (ours_reads(headers) is not None) == expected


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        ("tracecontext,baggage", {"traceparent", "tracestate", "baggage"}),
        ("tracecontext", {"traceparent", "tracestate"}),
        ("b3", {"b3"}),
        ("b3multi,baggage", {"x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "baggage"}),
        ("tracecontext,b3,xray", {"traceparent", "tracestate", "b3", "x-amzn-trace-id"}),
        ("datadog", set()),
        ("none", set()),
        ("none,tracecontext", set()),
        ("baggage", set()),
    ],
)
def test_exactly_the_formats_that_are_listed_are_written(listed: str, names: set[str]) -> None:
    use(listed)
    context = SpanContext("a" * 32, "b" * 16, 1, "v=1", baggage="k=v")
    assert set(inject_headers((), context)) == names


def test_none_reads_and_writes_nothing_of_anybodys() -> None:
    use("none")
    assert ours_reads({**W3C, **B3, **XRAY}) is None
    assert extract_headers_root(Shape(XRAY)) == ""
    assert choices(SpanContext("a" * 32, "b" * 16)) == []
    assert not has_context(["traceparent", "b3"])
    assert not aws_headers()


def test_with_none_an_invocation_begins_a_trace_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root=1-{'3' * 8}-{'3' * 24};Parent={'3' * 16};Sampled=1")
    for listed, joins in (("tracecontext", True), ("none", False)):
        with recorder({"OTEL_PROPAGATORS": listed}) as traced:
            hoptrace.trace(lambda event, context: None)({}, LambdaContext())
            (span,) = [span for span in traced.ended() if span["kind"] == 2]
        assert (span["trace_id"] == "3" * 32) == joins


def test_a_format_that_is_not_listed_is_not_loaded() -> None:
    import subprocess

    code = (
        "import sys; from hoptrace.propagation import extract, choices\n"
        "from hoptrace.spans.context import SpanContext\n"
        "extract({}.get); extract(lambda name: ''); choices(SpanContext('a' * 32, 'b' * 16))\n"
        "print(*[name for name in sys.modules if name.startswith('hoptrace.propagation.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("listed", "said", "left"),
    [
        ("jaeger,tracecontext", "'jaeger'", ("tracecontext",)),
        ("jaeger", "'jaeger'", ("tracecontext", "baggage")),
        ("jaeger,ottrace", "'jaeger'", ("tracecontext", "baggage")),
        (" TraceContext , BAGGAGE ,tracecontext", "", ("tracecontext", "baggage")),
        ("", "", ("tracecontext", "baggage")),
        (" , ", "", ("tracecontext", "baggage")),
        ("none", "", ()),
        ("x" * 500, "'" + "x" * 40 + "'", ("tracecontext", "baggage")),
    ],
)
def test_an_unknown_name_gives_one_line_and_the_others_stay(
    listed: str, said: str, left: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", log)
    assert settings.Settings({"OTEL_PROPAGATORS": listed}).propagators == left
    lines = log.getvalue().splitlines()
    assert len(lines) == (1 if said else 0)
    if said:
        assert said in lines[0]
        assert "OTEL_PROPAGATORS" in lines[0]


# --- baggage

BAGGAGE = W3CBaggagePropagator()
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=12)
keys = st.text("abcdefghijklmnopqrstuvwxyz-_.", min_size=1, max_size=8)


@given(st.dictionaries(keys, words, min_size=1, max_size=6))
@examples(deadline=None, max_examples=100)
def test_baggage_of_others_goes_on_as_it_came(entries: dict[str, str]) -> None:
    use("tracecontext,baggage")
    context: Any = None
    for key, value in entries.items():
        context = set_baggage(key, value, context)
    headers = dict(W3C)
    BAGGAGE.inject(headers, context)
    ours = ours_reads(headers)
    assert ours is not None
    sent = inject_headers((), ours.child("c" * 16))
    assert sent.get("baggage", "") == headers.get("baggage", "")
    assert dict(get_all(BAGGAGE.extract(sent, context=trace.set_span_in_context(trace.INVALID_SPAN)))) == dict(
        get_all(BAGGAGE.extract(headers, context=trace.set_span_in_context(trace.INVALID_SPAN)))
    )


@given(st.text(max_size=60) | st.text("k=v,;% \r\n\t\x00\x7f\x85\u2028é", max_size=40))
@example("k=v\r\nX-Evil: 1")
@example("k=v\x00")
@example("k=v\u2028X: 1")
@examples(deadline=None, max_examples=500)
def test_no_baggage_or_state_brings_a_control_character_into_a_header(value: str) -> None:
    use("tracecontext,baggage")
    ours = ours_reads({**W3C, "baggage": value, "tracestate": value})
    assert ours is not None
    for text in inject_headers((), ours).values():
        assert text.isascii()
        assert text.isprintable()


@pytest.mark.parametrize(("length", "kept"), [(8_192, True), (8_193, False)])
def test_as_much_baggage_is_carried_as_everybody_must_carry(length: int, kept: bool) -> None:
    use("tracecontext,baggage")
    ours = ours_reads({**W3C, "baggage": "k=" + "v" * (length - 2)})
    assert ours is not None
    assert bool(ours.baggage) == kept
    assert ("baggage" in inject_headers((), ours)) == kept


def test_baggage_is_not_read_or_sent_where_it_is_not_listed() -> None:
    use("tracecontext")
    ours = ours_reads({**W3C, "baggage": "k=v"})
    assert ours is not None
    assert ours.baggage == ""
    assert "baggage" not in inject_headers((), SpanContext("a" * 32, "b" * 16, baggage="k=v"))


@given(st.sampled_from(["", "v=1"]), st.sampled_from(["", "k=v"]), st.sampled_from(["tracecontext", "b3", "b3multi"]))
def test_choices_go_from_everything_to_the_least(state: str, baggage: str, name: str) -> None:
    use(f"{name},baggage")
    found = choices(SpanContext("a" * 32, "b" * 16, 1, state, baggage=baggage))
    for more, less in itertools.pairwise(found):
        assert set(less) < set(more)
    assert ("baggage" in found[0]) == bool(baggage)
    assert not {"baggage", "tracestate"} & set(found[-1])
