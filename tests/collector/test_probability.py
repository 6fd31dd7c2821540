"""The share of traces that is kept: thresholds and chance, as OpenTelemetry's own and the specification have them."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace._sampling_experimental import composable_traceid_ratio_based, composite_sampler
from opentelemetry.sdk.trace._sampling_experimental._trace_state import OtelTraceState
from opentelemetry.sdk.trace._sampling_experimental._util import calculate_threshold
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import TraceState

from hoptrace_collector.sampling.probability import NEVER, chance_of, threshold_of, threshold_passed, with_threshold

TRACE_IDS = st.binary(min_size=16, max_size=16).filter(any)
HEX = st.text("0123456789abcdef", min_size=1, max_size=14)
KEYS = st.text("abcdefgh", min_size=1, max_size=6).filter(lambda key: key not in ("ot", "th", "rv"))


@pytest.mark.parametrize(
    ("times", "th"),
    [(1, "0"), (2, "8"), (3, "aaab"), (4, "c"), (5, "cccd"), (8, "e"), (10, "e666"), (16, "f"), (100, "fd70a"),
     (1_000, "ffbe77"), (10_000, "fff9724"), (100_000, "ffff583a"), (1_000_000, "ffffef39")],
)  # fmt: skip
def test_the_thresholds_are_those_of_the_specifications_table(times: int, th: str) -> None:
    """Of "TraceState: Probability Sampling", "Converting floating-point probability to threshold value", 4 digits."""
    assert with_threshold("", threshold_of(1 / times)) == f"ot=th:{th}"


@given(st.floats(1e-12, 1.0))
def test_a_threshold_is_opentelemetrys_own_to_four_digits_of_the_share(share: float) -> None:
    ours, theirs = threshold_of(share), min(calculate_threshold(share), NEVER - 1)
    assert abs((NEVER - ours) - (NEVER - theirs)) <= (NEVER - theirs) / 1000 + 1
    assert 0 <= ours < NEVER
    assert threshold_of(0) == NEVER, "which no chance reaches"


@given(TRACE_IDS, st.sampled_from([0.5, 0.25, 0.125, 0.0625, 1.0]), HEX.filter(lambda rv: len(rv) == 14) | st.none())
def test_a_trace_is_kept_when_opentelemetrys_sampler_keeps_it(trace_id: bytes, share: float, rv: str | None) -> None:
    state = f"ot=rv:{rv}" if rv else ""
    theirs = composite_sampler(composable_traceid_ratio_based(share)).should_sample(
        None, int.from_bytes(trace_id), "f", trace_state=TraceState.from_header([state]) if state else None
    )
    kept = chance_of(trace_id, state) >= threshold_of(share)
    assert kept == (theirs.decision is Decision.RECORD_AND_SAMPLE)
    if kept:
        told = OtelTraceState.parse(TraceState.from_header([with_threshold(state, threshold_of(share))]))
        assert theirs.trace_state is not None
        assert told == OtelTraceState.parse(theirs.trace_state)


@given(TRACE_IDS, st.floats(0, 1), st.floats(0, 1))
def test_what_is_kept_with_a_share_is_kept_with_every_larger_one(trace_id: bytes, one: float, other: float) -> None:
    less, more = sorted((one, other))
    if chance_of(trace_id, "") >= threshold_of(less):
        assert chance_of(trace_id, "") >= threshold_of(more)


FIELDS = st.tuples(KEYS, st.text("abcABC019._-", max_size=6)).map(":".join)
OWN = st.tuples(
    st.lists(FIELDS, max_size=3, unique_by=lambda field: field.partition(":")[0]), HEX | st.none(), st.booleans()
).map(
    lambda parts: ";".join([*([f"th:{parts[1]}"] if parts[1] else []), *(["rv:0123456789abcd"] * parts[2]), *parts[0]])
)
OTHERS = st.dictionaries(KEYS, st.text("abc:;@", min_size=1, max_size=20), max_size=3).map(lambda found: found.items())
STATES = st.tuples(OTHERS, OWN | st.none()).map(
    lambda parts: ",".join([*map("=".join, parts[0]), *([f"ot={parts[1]}"] if parts[1] else [])])
)


@given(STATES, st.integers(0, NEVER - 1))
def test_a_threshold_is_written_where_opentelemetry_reads_it_and_nothing_else_changes(state: str, value: int) -> None:
    before = OtelTraceState.parse(TraceState.from_header([state]) if "ot=" in state else None)
    written = with_threshold(state, value)
    after = OtelTraceState.parse(TraceState.from_header([written]))
    assert after.threshold == value == threshold_passed(written)
    assert after.random_value == before.random_value
    assert sorted(after.rest) == sorted(before.rest)
    assert [each for each in written.split(",") if not each.startswith("ot=")] == [
        each.strip() for each in state.split(",") if each.strip() and not each.strip().startswith("ot=")
    ]
    erased = with_threshold(written, None)
    assert threshold_passed(erased) is None
    assert "th:" not in erased.partition("ot=")[2].partition(",")[0]


@given(st.text(max_size=700) | STATES)
def test_whatever_came_over_the_wire_is_read_and_written(state: str) -> None:
    passed = threshold_passed(state)
    assert passed is None or 0 <= passed < NEVER
    assert 0 <= chance_of(b"\\1" * 16, state) < NEVER
    written = with_threshold(state, 7 << 40)
    assert len(written) <= 512
    assert threshold_passed(written) == 7 << 40 or len(state) > 200


def test_the_share_is_about_what_it_says() -> None:
    ids = [hashlib.sha256(b"%d" % number).digest()[:16] for number in range(20_000)]
    kept = sum(chance_of(trace_id, "") >= threshold_of(0.1) for trace_id in ids)
    assert 1_850 < kept < 2_150
