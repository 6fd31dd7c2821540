"""One signal's way to one destination: the pipeline of the extension, with the limits of who has much to send."""

import time
from collections.abc import Iterable

from hoptrace_collector.connections import Connections
from hoptrace_collector.counters import DROPPED
from hoptrace_collector.export.choose import exporter_for
from hoptrace_collector.export.exporter import Limits
from hoptrace_collector.export.sender import Sender
from hoptrace_collector.otlp_request import Part
from hoptrace_collector.pipeline.breaker import Breaker
from hoptrace_collector.pipeline.flush import Flusher, Signal
from hoptrace_collector.pipeline.queue import Item, Queue, Room
from hoptrace_collector.pipeline.tally import Tally
from hoptrace_collector.settings import Otlp

__all__ = ["Sending"]

# Of a function there are a few spans at a time, here there are many: a backend of OTLP takes them in larger pieces.
_LIMITS = Limits(8192, 4 * 1024 * 1024)
# Nobody is held up by a slow backend.
_PATIENT = float("inf")


class Sending:
    """Sends what is put in its `queue`; for one thread. Whoever puts something in knows how much that may be."""

    def __init__(self, target: Otlp, signal: Signal, counters: Tally) -> None:
        self.queue = Queue(Room(2**62), lambda count, reason: counters.add(signal.counter(DROPPED), reason, count))
        self._signal = signal
        self._tally = counters
        self._connections = Connections()
        exporter = exporter_for(signal.name, target, connections=self._connections, say=counters.say)
        if isinstance(exporter, Sender):
            exporter.limits = _LIMITS
        self._flusher = Flusher(self.queue, exporter, Breaker(time.monotonic), counters, signal, patience=_PATIENT)

    @property
    def troubled(self) -> bool:
        """Whether the destination has not taken anything for more than one attempt."""
        return self._flusher.breaker.open

    def flush(self, deadline: float, *, last: bool) -> None:
        """Send until `deadline` (monotonic), or with `last` also try again until then."""
        self._flusher.flush(deadline, last=last, followed=False)

    def send(self, parts: Iterable[Part], deadline: float) -> bool:
        """Send until `deadline`; tells whether nothing is left. What is left is given up: it will come again."""
        for part in parts:
            self.queue.put(Item(None, part.data, amount=part.amount))
        self.flush(deadline, last=True)
        left = len(self.queue)
        self.queue.remove(left)
        return not left

    def offer(self, parts: Iterable[Part], deadline: float) -> None:
        """Send once, unless the destination is in trouble; what it does not take is dropped, and counted."""
        if not self._flusher.configured:
            return
        for part in parts:
            self.queue.put(Item(None, part.data, amount=part.amount))
        self.flush(deadline, last=False)
        if left := self.queue.items():
            self._tally.add(self._signal.counter(DROPPED), "unavailable", sum(item.amount for item in left))
            self.queue.remove(len(left))

    def close(self) -> None:
        """End the connections to the backend."""
        self._connections.close()
