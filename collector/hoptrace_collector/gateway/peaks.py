"""Knows the exact peak concurrency of each function and account, window by window.

Invocations are told by their spans, when they are over: late, and in any order. So time is cut into windows by when
things happened, and a window is swept once nobody is waited for any longer: when the clock has passed its end by the
lateness. What comes later than that still counts in the windows that are open, and is told as late; a window is exact
when no invocation that touched it was late, left out or never told.
"""

from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hoptrace_collector.concurrency import peak_concurrency

__all__ = ["Function", "Interval", "Peak", "Peaks"]

SECOND = 1_000_000_000
# How far in the future an end may lie, by clocks that differ.
_AHEAD = 60 * SECOND
_INT64 = 2**63


class Function(NamedTuple):
    """A function, in the account and region whose concurrency it shares with others."""

    account: str
    region: str
    name: str


class Interval(NamedTuple):
    """One invocation: from `start` to before `end`, in nanoseconds; `ident` is the same when it is told twice."""

    function: Function
    start: int
    end: int
    ident: int


class Peak(NamedTuple):
    """The most invocations at a time of `function` (with an empty name: of the account) within [`start`, `end`).

    `complete` is False where the window was closed before its time.
    """

    function: Function
    start: int
    end: int
    value: int
    complete: bool = True


class Peaks:
    """The invocations of the windows that are open.

    `width` and `lateness` are in nanoseconds; at most `most` invocations are held (24 bytes each), of at most
    `functions` functions in a window.
    """

    def __init__(
        self, width: int, lateness: int, *, most: int = 1_000_000, functions: int = 10_000, closed: int = 0
    ) -> None:
        """`closed`: everything before this moment is closed already; else so is what the first invocation leaves."""
        self.width = width
        self.lateness = lateness
        self._most = most
        self._functions = functions
        self._closed = closed  # everything before this moment is swept, or was before the first invocation
        self.held = 0
        # By window's start, then by function: start, end, ident, start, end, ident …
        self._windows: dict[int, dict[Function, array[int]]] = {}
        # What began in a window that is closed and lasts on.
        self._carried: dict[Function, list[tuple[int, int]]] = {}

    @property
    def open(self) -> int:
        """How many windows are open."""
        return len(self._windows)

    def add(self, interval: Interval, now: int) -> str:
        """Take an invocation in; returns why not, or with `late` that what was before the open windows is left out."""
        function, start, end, ident = interval
        end = max(start, end)
        if not 0 < start <= end <= now + _AHEAD:
            return "time"
        self._closed = self._closed or self.close_until(now)
        late = start < self._closed
        if late:
            if end <= self._closed:
                return "late"
            start = self._closed
        if self.held >= self._most:
            return "full"
        window = self._windows.setdefault(start - start % self.width, {})
        entries = window.get(function)
        if entries is None:
            if len(window) >= self._functions:
                return "functions"
            entries = window[function] = array("q")
        entries.extend((start, end, (ident + _INT64) % (2 * _INT64) - _INT64))
        self.held += 1
        return "late" if late else ""

    def due(self, now: int) -> bool:
        """Tell whether there is a window to close."""
        until = self.close_until(now)
        return any(start < until for start in self._windows) or (bool(self._carried) and self._closed < until)

    def close(self, now: int, *, last: bool = False) -> list[Peak]:
        """Sweep the windows that nobody is waited for any longer, at the `last` all of them, oldest first."""
        until = self.close_until(now)
        peaks: list[Peak] = []
        # What is carried stands at the window that follows the last one that was swept.
        while self._windows or self._carried:
            start = self._closed if self._carried else min(self._windows)
            if start >= until and not last:
                break
            peaks += self._sweep(start, complete=start + self.width <= until)
        self._closed = max(self._closed, until)
        return peaks

    @property
    def closed(self) -> int:
        """Everything before this moment is closed; 0: nothing has been told yet."""
        return self._closed

    def close_until(self, now: int) -> int:
        """Return the end of the last window that nobody is waited for at that time."""
        moment = now - self.lateness
        return moment - moment % self.width

    def intervals(self) -> Iterator[Interval]:
        """Give what is held, without what lies before the open windows."""
        for function, lasting in self._carried.items():
            for end, ident in lasting:
                yield Interval(function, self._closed, end, ident)
        for window in self._windows.values():
            for function, entries in window.items():
                for start, end, ident in zip(entries[::3], entries[1::3], entries[2::3], strict=True):
                    yield Interval(function, start, end, ident)

    def _sweep(self, start: int, *, complete: bool) -> Iterator[Peak]:
        end = start + self.width
        accounts: dict[Function, tuple[array[int], array[int]]] = {}
        carried: dict[Function, list[tuple[int, int]]] = {}
        for function in self._touched(start):
            starts, ends = array("q"), array("q")
            lasting = []
            for begun, ended, ident in _unique(self._of(function, start)):
                starts.append(begun)
                ends.append(ended)
                if ended > end:
                    lasting.append((ended, ident))
            yield Peak(function, start, end, peak_concurrency(zip(starts, ends, strict=True)), complete)
            of_account = accounts.setdefault(function._replace(name=""), (array("q"), array("q")))
            of_account[0].extend(starts)
            of_account[1].extend(ends)
            if lasting:
                carried[function] = lasting
        self.held -= sum(len(entries) // 3 for entries in self._windows.pop(start, {}).values())
        self.held += sum(map(len, carried.values())) - sum(map(len, self._carried.values()))
        self._carried = carried
        self._closed = max(self._closed, end)
        for account, (starts, ends) in accounts.items():
            yield Peak(account, start, end, peak_concurrency(zip(starts, ends, strict=True)), complete)

    def _touched(self, start: int) -> list[Function]:
        return list(dict.fromkeys([*self._carried, *self._windows.get(start, {})]))

    def _of(self, function: Function, start: int) -> Iterator[tuple[int, int, int]]:
        for end, ident in self._carried.get(function, ()):
            yield start, end, ident
        entries = self._windows.get(start, {}).get(function, ())
        yield from zip(entries[::3], entries[1::3], entries[2::3], strict=True)


def _unique(found: Iterable[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
    """Leave out what was told twice: who sends again what had arrived, for want of an answer."""
    seen = set()
    for each in found:
        told = each[1:]
        if told not in seen:
            seen.add(told)
            yield each
