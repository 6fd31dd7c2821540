"""The threads that send one signal, each with the pipeline of its own that the extension has.

Several, since each waits for the backend's answer before it sends again.
"""

import os
import threading
import time
from functools import partial

from hoptrace_collector.connections import Connections
from hoptrace_collector.counters import DROPPED, Counters
from hoptrace_collector.export.choose import exporter_for
from hoptrace_collector.export.exporter import Limits
from hoptrace_collector.export.sender import Sender
from hoptrace_collector.gateway.backlog import Backlog
from hoptrace_collector.pipeline.backoff import Backoff
from hoptrace_collector.pipeline.flush import Flusher, Signal
from hoptrace_collector.pipeline.queue import Item, Queue, Room
from hoptrace_collector.settings import Otlp

__all__ = ["Senders"]

# How much a thread takes at a time: a few requests, so that the others have something as well.
_TAKEN = 4 * 1024 * 1024
_WAIT = 0.5
# Of a function there are a few spans at a time, here there are many: a backend of OTLP takes them in larger pieces.
_LIMITS = Limits(8192, 4 * 1024 * 1024)
_PAUSE = 0.05
_FOREVER = 3600.0


class Senders:
    """`count` threads that send what is in a backlog."""

    def __init__(self, target: Otlp, signal: Signal, limit: int, count: int, counters: Counters) -> None:
        self.backlog = Backlog(limit)
        self.signal = signal
        self.configured = target.configured
        self._threads = [
            _Thread(target, signal, self.backlog, counters) for _ in range(count if self.configured else 0)
        ]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def finish(self, deadline: float) -> list[Item]:
        """Take nothing more, send until `deadline` (monotonic), and return what is left then."""
        for thread in self._threads:
            thread.deadline = deadline
        self.backlog.end()
        for thread in self._threads:
            # A sender keeps to the deadline by itself.
            thread.join(max(0.0, deadline - time.monotonic()) + 2.0)
        left = [item for thread in self._threads for item in thread.queue.items()]
        return left + self.backlog.take(self.backlog.limit, 0.0)


class _Thread(threading.Thread):
    def __init__(self, target: Otlp, signal: Signal, backlog: Backlog, counters: Counters) -> None:
        super().__init__(daemon=True, name=f"hoptrace-{signal.name}")
        self.deadline: float | None = None
        self._backlog = backlog
        self._counters = counters
        # What goes by want of room goes nowhere: the backlog bounds what is taken.
        self.queue = Queue(Room(backlog.limit * 2), partial(_dropped, counters, signal.counter(DROPPED)))
        self._backoff = Backoff(time.monotonic, _random)
        self._connections = Connections()
        exporter = exporter_for(signal.name, target, connections=self._connections, say=counters.say)
        if isinstance(exporter, Sender):
            exporter.limits = _LIMITS
        self._flusher = Flusher(self.queue, exporter, self._backoff, counters, signal)

    def run(self) -> None:
        while True:
            try:
                if self._turn():
                    break
            except Exception as error:  # a thread that ended would leave its share unsent
                self._counters.failed(self.name, error)
                time.sleep(_PAUSE)
        self._connections.close()

    def _turn(self) -> bool:
        """Take some and send it; True when all is done, or time is up."""
        ending = self._backlog.ended
        if not len(self.queue):
            for item in self._backlog.take(_TAKEN, _WAIT):
                self.queue.put(item)
        before = self.queue.size
        if before:
            last = self.deadline is not None
            self._flusher.flush(self.deadline or time.monotonic() + _FOREVER, last=last)
            self._backlog.settled(before - self.queue.size)
        if self.deadline is not None and time.monotonic() >= self.deadline:
            return True
        if len(self.queue):
            time.sleep(_PAUSE)  # the backend is left alone for a while
            return False
        return ending and not before


def _dropped(counters: Counters, kind: str, count: int, reason: str) -> None:
    counters.add(kind, reason, count)


def _random() -> float:
    return int.from_bytes(os.urandom(2), "big") / 65536
