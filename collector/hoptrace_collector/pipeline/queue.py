"""Keeps encoded items until they are sent, within a bound in bytes that all signals of a destination share.

When it is full the oldest of the longest queue go: what happened last is what somebody looking into trouble wants to
see, and one signal without end must not push the others out. An item may remember where in the records file it came
from, so that the cursor never passes what was neither sent nor dropped.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

from hoptrace_collector.model import Origin

__all__ = ["Inlet", "Item", "Queue", "Room"]

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


class Inlet(Protocol):
    """Where items of one signal are put."""

    def put(self, item: Item) -> None:
        """Queue an item."""


class Room:
    """The `limit` in bytes that the queues of one destination keep together; `lock` is theirs."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.queues: list[Queue] = []
        self.lock = threading.RLock()

    @property
    def used(self) -> int:
        """Bytes held by all of them; may be asked by another thread."""
        return sum(queue.size for queue in self.queues)

    def make(self, size: int) -> bool:
        """Have the oldest items of the longest queue go until `size` bytes more fit; false where they cannot."""
        while self.used + size > self.limit:
            longest = max(self.queues, key=lambda queue: queue.size if queue.idle else -1)
            if not longest.idle:
                return False
            longest.drop_oldest()
        return True


class Queue:
    """First in, first out, within `room`; `dropped(count, reason)` hears of what had to go.

    One thread puts in and another sends: what `head` has given out stays where it is until it is settled.
    """

    def __init__(self, room: Room, dropped: Callable[[int, str], None]) -> None:
        self._items: deque[Item] = deque()
        self._room = room
        self._dropped = dropped
        self._lent = 0
        self.size = 0
        room.queues.append(self)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def idle(self) -> int:
        """How many items are not being sent just now."""
        return len(self._items) - self._lent

    def put(self, item: Item) -> None:
        """Add an item; the oldest make room for it, and one that is larger than the whole room is not taken."""
        with self._room.lock:
            if item.size > self._room.limit:
                self._dropped(item.amount, "too_large")
            elif not self._room.make(item.size):
                self._dropped(item.amount, "queue_full")
            else:
                self._items.append(item)
                self.size += item.size

    def head(self, most: int, size: int) -> list[Item]:
        """Give out the oldest items of one kind (of ours, or sent by somebody): they stay in until settled.

        At most `most` spans and about `size` bytes, but at least one item. What others send is kept apart, so that a
        request of theirs that no backend would take costs none of ours.
        """
        out: list[Item] = []
        with self._room.lock:
            for item in self._items:
                size -= len(item.data)
                most -= max(1, item.amount)
                if out and (most < 0 or size < 0 or (item.origin is None) != (out[0].origin is None)):
                    break
                out.append(item)
            self._lent = len(out)
        return out

    def keep(self) -> None:
        """Take back what was given out: it was not sent."""
        self._lent = 0

    def remove(self, count: int) -> None:
        """Take the oldest `count` items out."""
        with self._room.lock:
            self._lent = 0
            for _ in range(min(count, len(self._items))):
                self.size -= self._items.popleft().size

    def replace(self, count: int, items: Iterable[Item]) -> None:
        """Put `items`, which are what is left of them, in the place of the oldest `count`."""
        with self._room.lock:
            self.remove(count)
            for item in reversed(list(items)):
                self._items.appendleft(item)
                self.size += item.size

    def drop_oldest(self) -> None:
        """Take the oldest item that is not being sent out for want of room."""
        self._drop("queue_full")

    def _drop(self, reason: str) -> None:
        item = self._items[self._lent]
        del self._items[self._lent]
        self.size -= item.size
        self._dropped(item.amount, reason)

    def clear(self, reason: str) -> None:
        """Take everything out that is not being sent, and have it counted."""
        with self._room.lock:
            while self.idle:
                self._drop(reason)

    def items(self) -> list[Item]:
        """Return all items, oldest first."""
        with self._room.lock:
            return list(self._items)
