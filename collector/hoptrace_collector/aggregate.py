"""Adds numbers up between two exports, within a bound: of more than 1,000 series the rest is counted and left out."""

from bisect import bisect_left
from collections.abc import Callable

from hoptrace_collector.metrics_table import TABLE
from hoptrace_collector.model import Histogram, Number

__all__ = ["Aggregate", "Attributes", "Few"]

_MOST_SERIES = 1_000
_MOST_VALUES = 50
_LONGEST_VALUE = 100
OTHER = "_OTHER"

Attributes = tuple[tuple[str, str], ...]
Key = tuple[str, Attributes]


class _Distribution:
    __slots__ = ("counts", "least", "most", "total")

    def __init__(self, bounds: int) -> None:
        self.counts = [0] * (bounds + 1)
        self.total = 0.0
        self.least = float("inf")
        self.most = float("-inf")


class Few:
    """Lets at most 50 values of an attribute through, the first ones; what comes after them is `_OTHER`."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        """Return the value, or what stands for it."""
        value = value[:_LONGEST_VALUE]
        if value not in self._known:
            if not value or len(self._known) >= _MOST_VALUES:
                return OTHER
            self._known.add(value)
        return value


class Aggregate:
    """Sums, gauges and distributions of the metrics in the table, by attributes.

    `seen` hears of every single value of a histogram: CloudWatch takes values, not buckets. `left_out` is how many
    numbers had no room.
    """

    def __init__(self, seen: Callable[[str, Attributes, float], None] | None = None) -> None:
        self._seen = seen
        self.left_out = 0
        self._sums: dict[Key, int | float] = {}
        self._gauges: dict[Key, int | float] = {}
        self._distributions: dict[Key, _Distribution] = {}

    def add(self, name: str, attributes: Attributes, value: float) -> None:
        """Add to a sum."""
        key = (name, attributes)
        if key in self._sums or len(self._sums) < _MOST_SERIES:
            self._sums[key] = self._sums.get(key, 0) + value
        else:
            self.left_out += 1

    def set(self, name: str, attributes: Attributes, value: float) -> None:
        """Set a gauge."""
        self._gauges[name, attributes] = value

    def record(self, name: str, attributes: Attributes, value: float) -> None:
        """Put a value into a histogram."""
        bounds = TABLE[name].bounds
        distribution = self._distributions.get((name, attributes))
        if distribution is None:
            if len(self._distributions) >= _MOST_SERIES:
                self.left_out += 1
                return
            distribution = self._distributions[name, attributes] = _Distribution(len(bounds))
        distribution.counts[bisect_left(bounds, value)] += 1
        distribution.total += value
        distribution.least = min(distribution.least, value)
        distribution.most = max(distribution.most, value)
        if self._seen is not None:
            self._seen(name, attributes, value)

    def __bool__(self) -> bool:
        return bool(self._sums or self._gauges or self._distributions)

    def take(self, start: int, end: int) -> list[Number | Histogram]:
        """Return everything as points over (`start`, `end`], nanoseconds since the epoch, and begin anew."""
        points: list[Number | Histogram] = []
        for kind, numbers in (("sum", self._sums), ("gauge", self._gauges)):
            for (name, attributes), value in numbers.items():
                row = TABLE[name]
                points.append(Number(kind, name, row.unit, row.description, attributes, value, start, end))
        for (name, attributes), d in self._distributions.items():
            row = TABLE[name]
            points.append(
                Histogram(
                    name, row.unit, row.description, attributes, row.bounds,
                    d.counts, d.total, d.least, d.most, start, end,
                )
            )  # fmt: skip
        self._sums, self._gauges, self._distributions, self.left_out = {}, {}, {}, 0
        return points
