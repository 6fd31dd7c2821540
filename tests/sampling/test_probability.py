"""`th` and `rv`, against the specification's own table and OpenTelemetry's SDK."""

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import _sampling_experimental as sdk
from opentelemetry.sdk.trace._sampling_experimental._trace_state import OtelTraceState
from opentelemetry.trace import TraceState

from hoptrace.spans.probability import NEVER, passed, randomness, threshold, with_threshold

# "Converting floating-point probability to threshold value", precision 4.
SPECIFIED = {
    1: "0", 1 / 2: "8", 1 / 3: "aaab", 1 / 4: "c", 1 / 5: "cccd", 1 / 8: "e", 1 / 10: "e666", 1 / 16: "f",
    1 / 100: "fd70a", 1 / 1000: "ffbe77", 1 / 10_000: "fff9724", 1e-5: "ffff583a", 1e-6: "ffffef39",
}  # fmt: skip

_ids = st.integers(1, 2**128 - 1).map("{:032x}".format)
_shares = st.floats(0, 1)
_values = st.text("0123456789abcdefxyz:;", max_size=40)
_states = st.one_of(
    st.text(max_size=80),
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(("ot", "vendor", "a@b")), _values).map("=".join),
            st.builds("ot=th:{};rv:{}".format, st.sampled_from(("8", "c", "0")), st.just("1" * 14)),
        ),
        max_size=40,
    ).map(",".join),
)


def test_thresholds_are_those_of_the_specification() -> None:
    for share, th in SPECIFIED.items():
        assert with_threshold("", threshold(share)) == f"ot=th:{th}", share
    assert threshold(0) == NEVER


@given(_shares, _ids, st.sampled_from(("", "ot=rv:" + "a" * 14, "v=1,ot=th:8;rv:00000000000001;x:y")))
def test_a_trace_is_kept_when_the_sdks_consistent_sampler_keeps_it(share: float, trace_id: str, state: str) -> None:
    theirs = sdk.composite_sampler(sdk.composable_traceid_ratio_based(share)).should_sample(
        None, int(trace_id, 16), "x", trace_state=TraceState.from_header([state]) if state else None
    )
    chance, exact = randomness(trace_id, state), NEVER - round(share * 2**56)
    low, high = sorted((threshold(share), exact))
    if not low <= chance < high:  # between the two only the digits decide that we leave out
        assert (chance >= threshold(share)) == theirs.decision.is_sampled()
    assert abs(threshold(share) - exact) <= max(2**40 * min(1, 16 * share), 1)


@given(_ids, st.lists(_shares, min_size=2, max_size=2).map(sorted))
def test_what_a_smaller_share_keeps_a_larger_one_keeps_too(trace_id: str, shares: list[float]) -> None:
    small, large = shares
    assert threshold(small) >= threshold(large)
    assert randomness(trace_id, "") < threshold(small) or randomness(trace_id, "") >= threshold(large)


@given(_states, st.one_of(st.none(), st.integers(0, NEVER - 1)))
def test_whatever_came_a_threshold_that_was_written_is_read_again(state: str, value: int | None) -> None:
    found = with_threshold(state, value)
    assert len(found) <= 512
    inside = [member for member in found.split(",") if member.startswith("ot=")]
    if value is not None and inside:
        assert passed(found) == value
    if value is None:
        assert passed(found) is None
    assert with_threshold(found, value) == found


@given(st.integers(0, NEVER - 1), st.integers(0, NEVER - 1))
def test_the_sdk_reads_what_is_written(value: int, rv: int) -> None:
    state = with_threshold(f"vendor=1,ot=x:y;rv:{rv:014x}", value)
    theirs = OtelTraceState.parse(TraceState.from_header([state]))
    assert (theirs.threshold, theirs.random_value, list(theirs.rest)) == (value, rv, ["x:y"])
    assert (passed(state), randomness("1" * 32, state)) == (value, rv)
    assert state.startswith("ot=") and state.endswith(",vendor=1")


@given(_states, _ids)
def test_garbage_is_no_threshold_and_leaves_the_trace_ids_chance(state: str, trace_id: str) -> None:
    assert 0 <= randomness(trace_id, state) < NEVER
    assert passed(state) is None or 0 <= passed(state) < NEVER
