"""Keeps encoded spans until they are sent, within a bound in bytes.

When it is full the oldest go: what happened last is what somebody looking into trouble wants to see. Each item
remembers where in the records file it came from, so that the cursor never passes what was neither sent nor dropped.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from hoptrace_collector.model import Origin

__all__ = ["Item", "Queue"]

_OVERHEAD = 200  # the item, its place in the deque and the bytes object's own head


class Item(NamedTuple):
    """One encoded span. `mark` is its place in the records file; None for one that the collector made itself."""

    origin: Origin
    data: bytes
    mark: Any = None


class Queue:
    """First in, first out, bounded by `limit` bytes; `dropped(count, reason)` hears of what had to go."""

    def __init__(self, limit: int, dropped: Callable[[int, str], None]) -> None:
        self._items: deque[Item] = deque()
        self._limit = limit
        self._size = 0
        self._dropped = dropped

    def __len__(self) -> int:
        return len(self._items)

    @property
    def size(self) -> int:
        """Bytes held."""
        return self._size

    def put(self, item: Item) -> None:
        """Add an item; the oldest make room for it, and one that is larger than the whole queue is not taken."""
        size = len(item.data) + _OVERHEAD
        if size > self._limit:
            self._dropped(1, "too_large")
            return
        gone = 0
        while self._size + size > self._limit:
            self._size -= len(self._items.popleft().data) + _OVERHEAD
            gone += 1
        if gone:
            self._dropped(gone, "queue_full")
        self._items.append(item)
        self._size += size

    def head(self, most: int, size: int) -> list[Item]:
        """Return the oldest items, at most `most` and about `size` bytes of them, without taking them out."""
        out: list[Item] = []
        for item in self._items:
            size -= len(item.data)
            if len(out) >= most or (out and size < 0):
                break
            out.append(item)
        return out

    def remove(self, count: int) -> None:
        """Take the oldest `count` items out."""
        for _ in range(min(count, len(self._items))):
            self._size -= len(self._items.popleft().data) + _OVERHEAD

    def items(self) -> list[Item]:
        """Return all items, oldest first."""
        return list(self._items)
