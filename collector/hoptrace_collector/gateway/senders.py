"""The threads that send one signal, each with the pipeline of its own that the extension has.

Several, since each waits for the backend's answer before it sends again.
"""

import threading
import time

from hoptrace_collector.counters import Counters
from hoptrace_collector.gateway.backlog import Backlog
from hoptrace_collector.gateway.sending import Sending
from hoptrace_collector.pipeline.flush import Signal
from hoptrace_collector.pipeline.queue import Item
from hoptrace_collector.pipeline.tally import Tally
from hoptrace_collector.settings import Otlp

__all__ = ["Senders"]

# How much a thread takes at a time: a few requests, so that the others have something as well.
_TAKEN = 4 * 1024 * 1024
_WAIT = 0.5
_PAUSE = 0.05
_FOREVER = 3600.0


class Senders:
    """`count` threads that send what is in a backlog."""

    def __init__(self, target: Otlp, signal: Signal, limit: int, count: int, counters: Counters, tally: Tally) -> None:
        """`tally` counts for the destination, `counters` what goes wrong here."""
        self.tally = tally
        self.backlog = Backlog(limit)
        self.signal = signal
        self.configured = target.configured
        self._threads = [
            _Thread(target, signal, self.backlog, counters, tally) for _ in range(count if self.configured else 0)
        ]

    @property
    def troubled(self) -> bool:
        """Whether the destination does not answer."""
        return any(thread.sending.troubled for thread in self._threads)

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
        left = [item for thread in self._threads for item in thread.sending.queue.items()]
        return left + self.backlog.take(self.backlog.limit, 0.0)


class _Thread(threading.Thread):
    def __init__(self, target: Otlp, signal: Signal, backlog: Backlog, counters: Counters, tally: Tally) -> None:
        super().__init__(daemon=True, name=f"hoptrace-{signal.name}")
        self.deadline: float | None = None
        self._backlog = backlog
        self._counters = counters
        self.sending = Sending(target, signal, tally)

    def run(self) -> None:
        while True:
            try:
                if self._turn():
                    break
            except Exception as error:  # a thread that ended would leave its share unsent
                self._counters.failed(self.name, error)
                time.sleep(_PAUSE)
        self.sending.close()

    def _turn(self) -> bool:
        """Take some and send it; True when all is done, or time is up."""
        ending, queue = self._backlog.ended, self.sending.queue
        if not len(queue):
            for item in self._backlog.take(_TAKEN, _WAIT):
                queue.put(item)
        before = queue.size
        if before:
            self.sending.flush(self.deadline or time.monotonic() + _FOREVER, last=self.deadline is not None)
            self._backlog.settled(before - queue.size)
        if self.deadline is not None and time.monotonic() >= self.deadline:
            return True
        if len(queue):
            time.sleep(_PAUSE)  # the backend is left alone for a while
            return False
        return ending and not before
