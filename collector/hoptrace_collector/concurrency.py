"""Counts how many of a set of intervals ever lay over one another.

From inside an environment nobody sees the others, so the exact peak over a function is for whoever sees all spans.
"""

from collections.abc import Iterable
from heapq import heappop, heappush

__all__ = ["peak_concurrency"]


def peak_concurrency(intervals: Iterable[tuple[int, int]]) -> int:
    """Return the largest number of intervals (start, end) that hold one moment in common; 0 for none.

    An interval does not hold its own end: one that begins when another ends does not overlap it. One that ends before
    it begins counts as the moment of its beginning.
    """
    ends: list[int] = []
    peak = 0
    for start, end in sorted(intervals):
        while ends and ends[0] <= start:
            heappop(ends)
        heappush(ends, max(start, end))
        peak = max(peak, len(ends))
    return peak
