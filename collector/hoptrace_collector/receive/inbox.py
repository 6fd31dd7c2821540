"""Where requests of others wait, between the threads that receive them and the loop that sends.

Bounded together with what is queued behind: when a backend is away, who sends hears "later" and keeps what he has.
"""

import threading
from collections.abc import Callable

from hoptrace_collector.receive.otlp import Batch

__all__ = ["Inbox"]


class Inbox:
    """Takes batches while fewer than `limit` bytes wait here and, by `behind()`, in the queues; `Receives` of others.

    `configured(signal)` tells whether a signal goes anywhere.
    """

    def __init__(self, limit: int, behind: Callable[[], int], configured: Callable[[str], bool]) -> None:
        self.limit = limit
        self._behind = behind
        self._configured = configured
        self._batches: list[Batch] = []
        self._size = 0
        self._lock = threading.Lock()

    def put(self, batch: Batch) -> str:
        """Keep a batch: `taken`; or `full`, or `nowhere` when its signal has no endpoint."""
        if not self._configured(batch.signal):
            return "nowhere"
        with self._lock:
            if self._size + batch.size + self._behind() > self.limit:
                return "full"
            self._batches.append(batch)
            self._size += batch.size
        return "taken"

    def take(self) -> list[Batch]:
        """Return what has come since the last call."""
        with self._lock:
            batches, self._batches, self._size = self._batches, [], 0
        return batches
