"""What has been accepted of one signal and is not settled yet, between who receives and the threads that send.

Bounded in bytes, and nothing that is in it ever has to go for something newer: who sends hears "later" and keeps what
he has. A batch counts until it was sent or refused for good, wherever it waits meanwhile.
"""

import threading
from collections import deque

from hoptrace_collector.pipeline.queue import Item
from hoptrace_collector.receive.otlp import Batch

__all__ = ["Backlog"]


# As much as makes a request worth its while, and how long a little waits for more, in seconds.
_ENOUGH = 1024 * 1024
_LINGER = 0.2


class Backlog:
    """At most `limit` bytes of items."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.held = 0
        """Bytes of the same signal that somebody holds back, and that will come."""
        self._waiting = 0
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._ended = False

    def fits(self, batch: Batch) -> bool:
        """Tell whether there is room for a batch."""
        return not self._ended and self.used + self.held + sum(item.size for item in _items(batch)) <= self.limit

    def put(self, batch: Batch, *, forced: bool = False) -> bool:
        """Keep a batch, whole; False when it does not fit, or nothing is sent any more.

        `forced`: it was held back, and had its room there.
        """
        items = _items(batch)
        size = sum(item.size for item in items)
        with self._changed:
            if self._ended or not (forced or self.used + self.held + size <= self.limit):
                return False
            first, few = not self._items, self._waiting < _ENOUGH
            self.used += size
            self._waiting += size
            self._items += items
            # Waking a thread for each request would cost more than all else.
            if first or (few and self._waiting >= _ENOUGH):
                self._changed.notify()
        return True

    def take(self, most: int, wait: float) -> list[Item]:
        """Return the oldest items, about `most` bytes of them; waits up to `wait` seconds when there are none.

        A few wait for more of them for a moment.
        """
        with self._changed:
            if not self._items and not self._ended:
                self._changed.wait(wait)
            if self._items and self._waiting < _ENOUGH and not self._ended:
                self._changed.wait(min(wait, _LINGER))
            taken: list[Item] = []
            while self._items and most > 0:
                taken.append(self._items.popleft())
                most -= taken[-1].size
                self._waiting -= taken[-1].size
            return taken

    def settled(self, size: int) -> None:
        """Give back the room of what was taken and is done with."""
        with self._changed:
            self.used -= size

    def end(self) -> None:
        """Take nothing more, and let nobody wait."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def ended(self) -> bool:
        """Whether nothing comes after what is in here."""
        return self._ended


def _items(batch: Batch) -> list[Item]:
    return [Item(None, part.data, None, part.amount) for part in batch.parts]
