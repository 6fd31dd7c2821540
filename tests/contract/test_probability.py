"""Tracer and collector, which share no code, agree about thresholds, chance and what stands in a `tracestate`."""

from hypothesis import given
from hypothesis import strategies as st

from hoptrace.spans import probability as tracers
from hoptrace_collector.sampling import probability as collectors

MEMBERS = ["ot=th:e666", "ot=rv:0123456789abcd;th:8", "v=1", "ot=x:1", "ot=", "ot=th:;rv:zz", " a=b "]
STATES = st.text("ot=th:rv;,.abcdef0189 x", max_size=60) | st.lists(st.sampled_from(MEMBERS), max_size=4).map(",".join)


@given(st.floats(0, 1))
def test_the_same_share_is_the_same_threshold(share: float) -> None:
    assert tracers.threshold(share) == collectors.threshold_of(share)


@given(st.binary(min_size=16, max_size=16), STATES)
def test_the_same_trace_has_the_same_chance(trace_id: bytes, state: str) -> None:
    assert tracers.randomness(trace_id.hex(), state) == collectors.chance_of(trace_id, state)


@given(STATES, st.integers(0, collectors.NEVER - 1) | st.none())
def test_what_one_writes_the_other_reads(state: str, value: int | None) -> None:
    assert tracers.passed(state) == collectors.threshold_passed(state)
    for written in (tracers.with_threshold(state, value), collectors.with_threshold(state, value)):
        assert tracers.passed(written) == collectors.threshold_passed(written) == value
