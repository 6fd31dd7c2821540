"""The last while of what a rule counts.

What is in a window depends only on what was put in and on what time it is: not on the order, and not on how often.
"""

from bisect import bisect_left, insort
from math import ceil, fsum
from typing import Any

from hoptrace_collector.alert.compiled import Get
from hoptrace_collector.alert.rules import Sample

__all__ = ["MOST_ENTRIES", "Window", "inputs_of"]

MOST_ENTRIES = 1_000
_LOGICAL = ("count", "rate", "absent")

# When, of what, and what each sample takes of it.
Entry = tuple[int, str, tuple[Any, ...]]


def inputs_of(samples: tuple[Sample, ...], get: Get) -> tuple[Any, ...] | None:
    """Return what there is to remember of an observation; None for nothing."""
    found: list[Any] = []
    matters = False
    for sample in samples:
        value = sample.value(get)
        if sample.function in _LOGICAL:
            value = value is True
            matters = matters or value or sample.function == "rate"
        elif isinstance(value, bool) or not isinstance(value, int | float) or not -1e300 < value < 1e300:
            value = None
        else:
            matters = True
        found.append(value)
    return tuple(found) if matters else None


class Window:
    """What `samples` need of the last `seconds`; beyond 1,000 observations the latest of them.

    `since` is when watching began, in nanoseconds since the epoch as all times here.
    """

    __slots__ = ("_entries", "_samples", "_span", "_true", "since")

    def __init__(self, samples: tuple[Sample, ...], seconds: float, since: int) -> None:
        self._samples = samples
        self._span = int(seconds * 1e9)
        self._entries: list[Entry] = []
        self._true = [0] * len(samples)
        self.since = since

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> list[Entry]:
        """What is in it, by time."""
        return self._entries

    def add(self, at: int, ident: str, inputs: tuple[Any, ...], now: int) -> bool:
        """Remember an observation; False when it is too old or there already."""
        if at <= now - self._span:
            return False
        place = bisect_left(self._entries, (at, ident))
        if place < len(self._entries) and self._entries[place][:2] == (at, ident):
            return False
        insort(self._entries, (at, ident, inputs), key=_order)
        self._count(inputs, 1)
        if len(self._entries) > MOST_ENTRIES:
            self._drop(1)
        return True

    def trim(self, now: int) -> None:
        """Forget what is out of it by now."""
        edge = now - self._span
        if self._entries and self._entries[0][0] <= edge:
            self._drop(bisect_left(self._entries, (edge + 1, "")))

    def values(self, now: int) -> dict[Any, Any]:
        """Return each sample's value by its place; None where there is nothing to make it of."""
        return {sample.at: self._value(index, sample, now) for index, sample in enumerate(self._samples)}

    def told(self, now: int) -> dict[str, Any]:
        """Return the same by how it is written, for people."""
        return {sample.text: self._value(index, sample, now) for index, sample in enumerate(self._samples)}

    def _value(self, index: int, sample: Sample, now: int) -> Any:
        if sample.function == "count":
            return self._true[index]
        if sample.function == "rate":
            return self._true[index] / len(self._entries) if self._entries else None
        if sample.function == "absent":
            return not self._true[index] and now - self.since >= self._span
        numbers = [entry[2][index] for entry in self._entries if entry[2][index] is not None]
        if not numbers:
            return None
        if sample.function == "percentile":
            numbers.sort()
            return numbers[max(0, ceil(sample.share / 100 * len(numbers)) - 1)]
        if sample.function in ("min", "max"):
            return min(numbers) if sample.function == "min" else max(numbers)
        total = fsum(numbers)
        return total if sample.function == "sum" else total / len(numbers)

    def _count(self, inputs: tuple[Any, ...], by: int) -> None:
        for index, value in enumerate(inputs):
            if value is True:
                self._true[index] += by

    def _drop(self, number: int) -> None:
        for entry in self._entries[:number]:
            self._count(entry[2], -1)
        del self._entries[:number]


def _order(entry: Entry) -> tuple[int, str]:
    return entry[:2]
