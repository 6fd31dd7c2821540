"""Whole traces are kept or left out, when all their functions have had time to tell."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from hoptrace_collector.counters import Counters
from hoptrace_collector.gateway.traces import Traces
from hoptrace_collector.otlp_request import Part
from hoptrace_collector.sampling.probability import chance_of, threshold_of
from hoptrace_collector.settings.sampling import Sampling, parse_rules
from tests.collector.support import Backend, attributes_of, spans_of

from .support import SECOND, Running
from .test_gateway import wait

NEVER = 0.0
CHANCE = threshold_of(0.25)


def spans(*told: tuple[int, dict[str, Any]], **resource: str) -> Part:
    """A ResourceSpans; a span is its trace, and what is special: `error`, `kind`, `seconds`, `state`, attributes."""
    message = ResourceSpans(schema_url="https://opentelemetry.io/schemas/1.40.0")
    for key, value in resource.items():
        message.resource.attributes.add(key=key).value.string_value = value
    for at, (trace, special) in enumerate(told):
        if at % 3 == 0:
            message.scope_spans.add().scope.name = f"scope {at // 3}"
        special = dict(special)
        span = message.scope_spans[-1].spans.add(
            trace_id=trace.to_bytes(16, "big"),
            span_id=((trace * 1000 + at + 1) % 2**64).to_bytes(8, "big"),
            name="one",
            kind=special.pop("kind", 2),
            trace_state=special.pop("state", ""),
            start_time_unix_nano=SECOND,
            end_time_unix_nano=SECOND + int(special.pop("seconds", 0.1) * SECOND),
        )
        if special.pop("error", False):
            span.status.code = 2  # type: ignore[assignment]
        for key, value in special.items():
            span.attributes.add(key=key).value.string_value = value
    return Part(message.SerializeToString(), len(told))


def traces(ratio: float = NEVER, keep: str = "error,cold", *, limit: int = 10**7) -> tuple[Traces, Counters]:
    counters = Counters(lambda _: None)
    return Traces(Sampling(ratio, parse_rules(keep)), 30.0, limit, counters), counters


def of(parts: list[Part]) -> list[tuple[int, int]]:
    """Which spans: (trace, span id)."""
    found = []
    for part in parts:
        message = ResourceSpans.FromString(part.data)
        ours = [span for scope in message.scope_spans for span in scope.spans]
        assert len(ours) == part.amount
        found += [(int.from_bytes(s.trace_id, "big"), int.from_bytes(s.span_id, "big")) for s in ours]
    return sorted(found)


def test_an_error_of_one_function_keeps_the_whole_trace_of_all() -> None:
    held, counters = traces()
    assert held.take([spans((1, {}), (2, {}), name="first")], 0) == []
    assert held.take([spans((1, {"error": True}), name="second")], 10) == []
    assert held.take([spans((1, {"kind": 3}), name="third")], 29) == []
    assert held.due(29.9) == []
    assert {trace for trace, _ in of(held.due(30))} == {1}
    assert held.size == 0
    assert counters.total("sampled_out") == 1


def test_what_comes_after_the_decision_goes_the_same_way() -> None:
    held, counters = traces()
    held.take([spans((1, {"error": True}), (2, {}))], 0)
    held.due(30)
    assert of(held.take([spans((1, {}), (2, {}))], 40)) == [(1, 1001)]
    assert counters.total("sampled_out") == 2
    # What a rule keeps is kept even then, and what follows it.
    assert of(held.take([spans((2, {"error": True}))], 50)) == [(2, 2001)]
    assert of(held.take([spans((2, {}))], 51)) == [(2, 2001)]


@pytest.mark.parametrize(
    ("rule", "special"),
    [
        ("error", {"error": True, "kind": 3}),
        ("timeout", {"error": True, "error.type": "timeout"}),
        ("crash", {"error": True, "error.type": "Runtime.ExitError", "hoptrace.closed_by": "collector"}),
        ("slow>2s", {"seconds": 2.5}),
        ("attr:customer=gold", {"customer": "gold"}),
    ],
)
def test_every_rule_of_the_collector_holds_for_traces(rule: str, special: dict[str, Any]) -> None:
    held, _ = traces(keep=rule)
    held.take([spans((1, special), (2, {"error.type": "x", "seconds": 1.0}))], 0)
    assert {trace for trace, _ in of(held.due(30))} == {1}


@given(st.lists(st.tuples(st.integers(0, 2**128 - 1), st.integers(1, 4)), max_size=30, unique_by=lambda each: each[0]))
def test_chance_keeps_whole_traces_the_same_as_everywhere_and_says_how_likely_that_was(
    told: list[tuple[int, int]],
) -> None:
    held, counters = traces(0.25)
    every = [(trace, {}) for trace, amount in told for _ in range(amount)]
    held.take([spans(*every)] if every else [], 0)
    kept = held.due(30)
    wanted = {t for t, _ in told if chance_of(t.to_bytes(16, "big"), "") >= CHANCE}
    assert {trace for trace, _ in of(kept)} == wanted
    assert len(of(kept)) + counters.total("sampled_out") == len(every)
    for part in kept:
        message = ResourceSpans.FromString(part.data)
        assert {span.trace_state for scope in message.scope_spans for span in scope.spans} == {"ot=th:c"}


@settings(max_examples=60)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=12))
def test_laid_apart_nothing_is_lost_or_changed(told: list[int]) -> None:
    held, _ = traces(keep="attr:service.name")  # all
    part = spans(*((trace, {"kind": 2, "n": str(n)}) for n, trace in enumerate(told)), **{"service.name": "x"})
    held.take([part], 0)
    found: dict[bytes, bytes] = {}
    for each in held.due(30):
        message = ResourceSpans.FromString(each.data)
        assert message.schema_url == "https://opentelemetry.io/schemas/1.40.0"
        assert attributes_of(message.resource) == {"service.name": "x"}
        for scope in message.scope_spans:
            for span in scope.spans:
                found[span.span_id] = span.SerializeToString() + scope.scope.name.encode()
    whole = ResourceSpans.FromString(part.data)
    assert found == {
        span.span_id: span.SerializeToString() + scope.scope.name.encode()
        for scope in whole.scope_spans
        for span in scope.spans
    }


def test_what_is_held_is_bounded_and_the_oldest_is_decided_early() -> None:
    held, counters = traces(keep="error", limit=20_000)
    for trace in range(1, 101):
        held.take([spans((trace, {"error": trace % 2 == 0}))], trace)
        assert held.size <= 20_000
    assert counters.total("traces_early") > 30
    assert counters.total("sampled_out") > 15


def test_a_request_that_would_grow_without_end_is_kept_whole() -> None:
    held, counters = traces()
    part = spans(*((trace, {}) for trace in range(1, 300)), large="x" * 100_000)
    assert held.take([part], 0) == [part]
    assert held.size == 0
    assert counters.total("traces_whole") == 299


def test_a_gateway_keeps_the_whole_trace_of_an_error_and_counts_every_invocation() -> None:
    env = {"HOPTRACE_SAMPLING_RATIO": "0", "HOPTRACE_SAMPLING_KEEP": "error"}
    with Backend() as backend, Running(backend, env=env, trace_wait=0.2) as gateway:
        for number, error in ((1, False), (2, False), (1, True)):
            body = ExportTraceServiceRequest()
            body.resource_spans.add().MergeFromString(spans((number, {"error": error})).data)
            assert gateway.post(body.SerializeToString())[0] == 200
        assert gateway.backlog.held > 0
        assert not spans_of(backend)
        wait(lambda: gateway.tick() or len(spans_of(backend)) == 2)
        assert {span.trace_id[-1] for span in spans_of(backend)} == {1}
        assert gateway.counters.total("sampled_out") == 1
        assert gateway.backlog.held == 0


def test_at_the_end_every_trace_is_decided() -> None:
    env = {"HOPTRACE_SAMPLING_RATIO": "0", "HOPTRACE_SAMPLING_KEEP": "error"}
    with Backend() as backend, Running(backend, env=env, trace_wait=3600.0) as gateway:
        body = ExportTraceServiceRequest()
        body.resource_spans.add().MergeFromString(spans((1, {"error": True}), (2, {})).data)
        assert gateway.post(body.SerializeToString())[0] == 200
        assert gateway.stop() == 0
        assert [span.trace_id[-1] for span in spans_of(backend)] == [1]
