"""Keeps encoded items until they are sent, within a bound in bytes that all signals share.

When it is full the oldest of the longest queue go: what happened last is what somebody looking into trouble wants to
see, and one signal without end must not push the others out. An item may remember where in the records file it came
from, so that the cursor never passes what was neither sent nor dropped.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from hoptrace_collector.model import Origin

__all__ = ["Item", "Queue", "Room"]

_OVERHEAD = 200  # the item, its place in the deque and the bytes object's own head


class Item(NamedTuple):
    """Something encoded that waits.

    With an `origin`, `data` is one span. Without, it is all that one resource sent (a ResourceSpans, ResourceMetrics
    or ResourceLogs), which goes on as it came. `mark` is its place in the records file; None for what is in no file.
    `amount` is how many spans, data points or log records are in it; 0 for metrics of our own, which nobody counts.
    """

    origin: Origin | None
    data: bytes
    mark: Any = None
    amount: int = 1

    @property
    def size(self) -> int:
        """Bytes that it takes up."""
        return len(self.data) + _OVERHEAD


class Room:
    """The `limit` in bytes that several queues keep together."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.queues: list[Queue] = []

    @property
    def used(self) -> int:
        """Bytes held by all of them; may be asked by another thread."""
        return sum(queue.size for queue in self.queues)

    def make(self, size: int) -> None:
        """Have the oldest items of the longest queue go until `size` bytes more fit."""
        while self.used + size > self.limit:
            max(self.queues, key=lambda queue: queue.size).drop_oldest()


class Queue:
    """First in, first out, within `room`; `dropped(count, reason)` hears of what had to go."""

    def __init__(self, room: Room, dropped: Callable[[int, str], None]) -> None:
        self._items: deque[Item] = deque()
        self._room = room
        self._dropped = dropped
        self.size = 0
        room.queues.append(self)

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> None:
        """Add an item; the oldest make room for it, and one that is larger than the whole room is not taken."""
        if item.size > self._room.limit:
            self._dropped(item.amount, "too_large")
            return
        self._room.make(item.size)
        self._items.append(item)
        self.size += item.size

    def head(self, most: int, size: int) -> list[Item]:
        """Return the oldest items of one kind (of ours, or sent by somebody), without taking them out.

        At most `most` spans and about `size` bytes, but at least one item. What others send is kept apart, so that a
        request of theirs that no backend would take costs none of ours.
        """
        out: list[Item] = []
        for item in self._items:
            size -= len(item.data)
            most -= max(1, item.amount)
            if out and (most < 0 or size < 0 or (item.origin is None) != (out[0].origin is None)):
                break
            out.append(item)
        return out

    def remove(self, count: int) -> None:
        """Take the oldest `count` items out."""
        for _ in range(min(count, len(self._items))):
            self.size -= self._items.popleft().size

    def replace(self, count: int, items: Iterable[Item]) -> None:
        """Put `items`, which are what is left of them, in the place of the oldest `count`."""
        self.remove(count)
        for item in reversed(list(items)):
            self._items.appendleft(item)
            self.size += item.size

    def drop_oldest(self) -> None:
        """Take the oldest item out for want of room."""
        item = self._items.popleft()
        self.size -= item.size
        self._dropped(item.amount, "queue_full")

    def items(self) -> list[Item]:
        """Return all items, oldest first."""
        return list(self._items)
