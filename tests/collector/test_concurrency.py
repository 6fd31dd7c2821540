"""Peak concurrency."""

from hypothesis import given
from hypothesis import strategies as st

from hoptrace_collector.concurrency import peak_concurrency


def test_nothing_has_no_peak() -> None:
    assert peak_concurrency([]) == 0


def test_one_that_begins_when_another_ends_does_not_overlap_it() -> None:
    assert peak_concurrency([(0, 10), (10, 20), (20, 30)]) == 1


def test_a_moment_inside_an_interval_overlaps_it() -> None:
    assert peak_concurrency([(0, 10), (5, 5)]) == 2
    assert peak_concurrency([(0, 10), (5, 1)]) == 2, "an end before the beginning is a moment too"


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)), max_size=12))
def test_the_peak_is_what_counting_at_every_moment_finds(intervals: list[tuple[int, int]]) -> None:
    spans = [(start, start + length) for start, length in intervals]
    counted = max((sum(start <= moment < end for start, end in spans) for moment in range(45)), default=0)
    assert peak_concurrency(spans) == counted
