"""Knows the exact peak concurrency of each function and account, window by window.

Invocations are told by their spans, when they are over: late, and in any order. So time is cut into windows by when
things happened, and a window is swept once nobody is waited for any longer: when the clock has passed its end by the
lateness. What comes later than that still counts in the windows that are open, and is told as late; a window is exact
when no invocation that touched it was late, left out or never told.
"""

from array import array
from collections.abc import Iterable, Iterator
from itertools import chain
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

    def __init__(self, width: int, lateness: int, *, most: int = 2_000_000, functions: int = 10_000) -> None:
        self.width = width
        self.lateness = lateness
        self._most = most
        self._functions = functions
        self._closed = 0  # everything before this moment is swept, or was before the first invocation
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
        self._closed = self._closed or self._close_until(now)
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

    def close(self, now: int, *, last: bool = False) -> list[Peak]:
        """Sweep the windows that nobody is waited for any longer, at the `last` all of them, oldest first."""
        until = self._close_until(now)
        peaks: list[Peak] = []
        # What is carried stands at the window that follows the last one that was swept.
        while self._windows or self._carried:
            start = self._closed if self._carried else min(self._windows)
            if start >= until and not last:
                break
            peaks += self._sweep(start, complete=start + self.width <= until)
        self._closed = max(self._closed, until)
        return peaks

    def _close_until(self, now: int) -> int:
        moment = now - self.lateness
        return moment - moment % self.width

    def _sweep(self, start: int, *, complete: bool) -> Iterator[Peak]:
        end = start + self.width
        by_function = {function: list(_unique(self._of(function, start))) for function in self._touched(start)}
        self.held -= sum(len(entries) // 3 for entries in self._windows.pop(start, {}).values())
        self.held -= sum(map(len, self._carried.values()))
        self._carried = {}
        accounts: dict[Function, list[Function]] = {}
        for function, found in by_function.items():
            yield Peak(function, start, end, peak_concurrency((s, e) for s, e, _ in found), complete)
            accounts.setdefault(function._replace(name=""), []).append(function)
            if lasting := [(e, ident) for _, e, ident in found if e > end]:
                self._carried[function] = lasting
        self.held += sum(map(len, self._carried.values()))
        self._closed = max(self._closed, end)
        for account, functions in accounts.items():
            together = chain.from_iterable(by_function[function] for function in functions)
            yield Peak(account, start, end, peak_concurrency((s, e) for s, e, _ in together), complete)

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
