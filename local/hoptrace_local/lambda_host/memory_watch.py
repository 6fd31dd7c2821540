"""The memory limit of an environment: what all its processes hold is measured, and the largest is killed above it.

Measured rather than confined, because a kernel's own memory group needs rights that a desk seldom gives, picks its
victim itself and says nothing. The next look comes the sooner the nearer the limit is, so that a function far below it
costs next to nothing and one that grows as fast as a core can touch memory is past it by little.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
#: Bytes a second that a process can make its own at most; measured are 1 to 2.5 GB/s a core.
_FASTEST_GROWTH = 2e9
_SHORTEST, _LONGEST = 0.002, 0.05


class MemoryWatch:
    """Looks at process trees on the loop while it is on; `peak` is the most that was seen, bytes."""

    def __init__(self, limit: int, roots: Callable[[], Iterable[int]], on_excess: Callable[[int], None]) -> None:
        """Call `on_excess` with the root (a process id) of the largest tree, once, when all hold over `limit` bytes."""
        self._limit = limit
        self._roots = roots
        self._on_excess = on_excess
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.peak = 0

    def on(self) -> None:
        """Look now and go on looking."""
        if self._timer is None:
            self._look()

    def off(self) -> None:
        """Stop looking: what is stopped does not grow."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        trees = {root: resident(family(root)) for root in self._roots()}
        # All run the same interpreter, whose pages they share: what is shared counts once.
        held = sum(private for private, _ in trees.values()) + max((shared for _, shared in trees.values()), default=0)
        self.peak = max(self.peak, held)
        if held > self._limit:
            self.off()
            self._on_excess(max(trees, key=lambda root: trees[root][0]))
            return
        pause = (self._limit - held) / _FASTEST_GROWTH
        self._timer = self._loop.call_later(min(max(pause, _SHORTEST), _LONGEST), self._look)


def family(root: int) -> list[int]:
    """A process and all its descendants, where the kernel tells children; else the process alone."""
    found = [root]
    for pid in found:
        for task in _listed(f"/proc/{pid}/task"):
            try:
                found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_bytes().split())
            except (OSError, ValueError):
                continue
    return found


def resident(pids: Iterable[int]) -> tuple[int, int]:
    """Bytes that these processes hold for themselves, and the most that one of them shares with others."""
    private = most_shared = 0
    for pid in pids:
        try:
            _, pages, shared = map(int, Path(f"/proc/{pid}/statm").read_bytes().split()[:3])
        except (OSError, ValueError):
            continue
        private += (pages - shared) * _PAGE
        most_shared = max(most_shared, shared * _PAGE)
    return private, most_shared


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
