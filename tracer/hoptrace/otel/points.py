"""What instruments have measured since the last collection, as plain data: one cell for each set of attributes.

Deltas (counters, histograms, what observable counters have grown by) and last values are given away at a collection
and begin anew; up-down counters count from when they were first used, as OpenTelemetry's preference "delta" has it.
Bounded: in instruments, in sets of attributes for each of them (the rest is counted together, under the attribute that
the specification has for it), and in what an attribute may say.
"""

import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from threading import RLock
from time import time_ns
from typing import Any

from ..settings import settings
from ..spans.span import _attribute
from .values import fit

COUNTER, UP_DOWN, GAUGE, HISTOGRAM = "counter", "up_down", "gauge", "histogram"

BOUNDS = (0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10000.0)
"""The specification's, "Explicit Bucket Histogram Aggregation"."""

MOST_SETS = 2_000
"""Of attributes of one instrument (the specification's "cardinality limit")."""

_MOST_STREAMS = 1_000
_MOST_CELLS = 20_000
_LONGEST = 1_024  # characters of an attribute's value: a set of them is a name, not a text
_OVERFLOW: dict[str, object] = {"otel.metric.overflow": True}
_BESIDE = ("overflow",)
_MANAGED = "lambda-managed-instances"

Scope = tuple[str, str]


class Cell:
    """What was measured under one set of attributes; `value` of a histogram is the sum."""

    __slots__ = ("attributes", "counts", "least", "most", "start", "value")

    def __init__(self, attributes: dict[str, object], start: int) -> None:
        self.attributes = attributes
        self.start = start
        self.value: float | None = None
        self.counts: list[int] = []
        self.least = self.most = 0.0


class Stream:
    """One instrument of one scope; the same for everybody who makes it again."""

    __slots__ = ("_by_raw", "_cells", "_store", "bounds", "kind", "observed", "scope", "told", "_totals")

    def __init__(
        self, store: "Store", scope: Scope, kind: str, told: tuple[str, str, str], bounds: Iterable[float], seen: bool
    ) -> None:
        self._store = store
        self.scope = scope
        self.kind = kind
        self.told = told
        self.bounds = tuple(bounds)
        self.observed = seen
        self._cells: dict[Any, Cell] = {}
        self._by_raw: dict[Any, Cell] = {}
        self._totals: dict[Any, float] = {}

    def measure(self, amount: Any, attributes: Any = None) -> None:
        """Take one measurement; what is no finite number, or negative where that has no meaning, is left out."""
        if type(amount) is not int and type(amount) is not float:
            amount = _number(amount)
        if not isfinite(amount) or (amount < 0 and self.kind in (COUNTER, HISTOGRAM) and not self.observed):
            return
        raw = _raw_key(attributes) if attributes else ()
        store = self._store
        with store.lock:
            if not store.on:
                return
            cell = self._by_raw.get(raw)
            if cell is None:
                cell = self._found(raw, attributes)
            if self.kind == GAUGE or cell.value is None:
                cell.value = amount
            else:
                cell.value += amount
            if self.kind == HISTOGRAM:
                self._distribute(cell, amount)

    def _distribute(self, cell: Cell, amount: float) -> None:
        if not cell.counts:
            cell.counts = [0] * (len(self.bounds) + 1)
            cell.least = cell.most = amount
        cell.counts[bisect_left(self.bounds, amount)] += 1
        if amount < cell.least:
            cell.least = amount
        elif amount > cell.most:
            cell.most = amount

    def _found(self, raw: Any, attributes: Any) -> Cell:
        """The cell of a set of attributes that was not met before; two that may tell the same share one."""
        kept: dict[str, object] = {}
        key: Any = _BESIDE
        full = len(self._cells) >= MOST_SETS or self._store.cells >= _MOST_CELLS
        if full and _BESIDE in self._cells:
            return self._cells[_BESIDE]
        kept = _kept(attributes)
        key = _raw_key(kept)
        if key not in self._cells:
            if full:
                key, kept = _BESIDE, _OVERFLOW
            self._cells[key] = Cell(kept, time_ns())
            self._store.cells += 1
        cell = self._cells[key]
        if len(self._by_raw) < MOST_SETS and key is not _BESIDE:
            self._by_raw[raw] = cell
        return cell

    def take(self) -> dict[str, object] | None:
        """What there is to tell, in the records' shape; what began anew is forgotten here."""
        keeps = self.kind == UP_DOWN and not self.observed
        points = [self._point(key, cell) for key, cell in self._cells.items() if cell.value is not None]
        if not keeps:
            self._store.cells -= len(self._cells)
            self._cells, self._by_raw = {}, {}
        if not points:
            return None
        name, unit, description = self.told
        found: dict[str, object] = {"name": name, "kind": "sum" if self.kind in (COUNTER, UP_DOWN) else self.kind}
        if unit:
            found["unit"] = unit
        if description:
            found["description"] = description
        if self.kind == COUNTER:
            found["monotonic"] = True
        if self.kind == UP_DOWN:
            found["cumulative"] = True
        if self.kind == HISTOGRAM:
            found["bounds"] = self.bounds
        found["points"] = points
        return found

    def _point(self, key: Any, cell: Cell) -> dict[str, object]:
        value = cell.value
        found: dict[str, object] = {}
        if cell.attributes:
            found["attributes"] = cell.attributes
        if self.kind == HISTOGRAM:
            return {**found, "sum": value, "counts": cell.counts, "min": cell.least, "max": cell.most}
        if self.kind == COUNTER and self.observed and value is not None:
            found["value"] = value - self._totals.get(key, 0)
            if key in self._totals or len(self._totals) <= MOST_SETS:
                self._totals[key] = value
            return found
        found["value"] = value
        if self.kind == UP_DOWN:
            found["start"] = self._store.begun if self.observed else cell.start
            if settings().initialization_type == _MANAGED:  # several processes of one environment count side by side
                found["attributes"] = {**cell.attributes, "process.pid": os.getpid()}
        return found

    def forget(self) -> None:
        """Leave out what was observed and will not be told."""
        self._store.cells -= len(self._cells)
        self._cells, self._by_raw = {}, {}


class Store:
    """All streams of this process.

    Attributes:
        lock: held while anything in here changes; entered again by what a collection of garbage may run.
        on: whether anything is taken.
        cells: how many sets of attributes there are in all.
        begun: when observable up-down counters began, nanoseconds since the epoch.
    """

    def __init__(self) -> None:
        self.lock = RLock()
        self.on = True
        self.cells = 0
        self.begun = time_ns()
        self._since = {False: self.begun, True: self.begun}
        self._streams: dict[Any, Stream] = {}
        os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        """A child counts for itself: what its parent has counted is its parent's to tell."""
        self.lock = RLock()
        for stream in self._streams.values():
            stream.forget()

    def stream(
        self, scope: Scope, kind: str, told: tuple[str, str, str], bounds: Iterable[float] = (), *, observed: bool
    ) -> Stream | None:
        """That of an instrument; `None` where there are too many."""
        name, unit, description = told
        key = (scope, kind, name.lower(), unit, description, observed)
        with self.lock:
            found = self._streams.get(key)
            if found is None and len(self._streams) < _MOST_STREAMS:
                found = self._streams[key] = Stream(self, scope, kind, told, bounds, observed)
            return found

    def take(self, *, observed: bool) -> Iterator[tuple[Scope, dict[str, object]]]:
        """What there is to tell of one half, stream by stream."""
        for stream in list(self._streams.values()):
            if stream.observed == observed:
                with self.lock:
                    found = stream.take()
                if found is not None:
                    yield stream.scope, found

    def window(self, *, observed: bool) -> tuple[int, int]:
        """From when to when what is taken now was measured, nanoseconds since the epoch."""
        start, end = self._since[observed], time_ns()
        self._since[observed] = end
        return start, end

    def renew(self) -> None:
        """Measure from now on: a snapshot was taken since, and nothing was measured while it lay there."""
        now = time_ns()
        self._since = {False: now, True: now}

    def clear(self) -> None:
        """Forget everything."""
        with self.lock:
            self._streams, self.cells = {}, 0


def _number(amount: Any) -> float:
    """A number of another kind, such as numpy's or `Decimal`, as Python's own."""
    if isinstance(amount, int):
        return int(amount)
    if isinstance(amount, float):
        return float(amount)
    index = getattr(type(amount), "__index__", None)
    return index(amount) if index is not None else float(amount)


def _raw_key(attributes: Mapping[str, Any]) -> Any:
    """Equal for equal sets of attributes only: `True`, `1` and `1.0` are three values."""
    try:
        return frozenset([(name, value.__class__, value) for name, value in attributes.items()])
    except TypeError:  # a list
        return frozenset([(name, value.__class__, repr(value)) for name, value in attributes.items()])


def _kept(attributes: Mapping[str, Any] | None) -> dict[str, object]:
    kept: dict[str, object] = {}
    most = settings().attribute_count_limit
    for name, value in attributes.items() if attributes else ():
        if isinstance(name, str) and name and len(kept) < most:
            told = _attribute(fit(value), _LONGEST, name)
            if told is not None:
                kept[name] = told
    return kept
