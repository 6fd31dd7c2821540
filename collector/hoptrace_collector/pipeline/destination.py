"""One backend and all that goes there: a queue in bytes, what exports each signal, what is known of its health.

A destination knows of no other. What one of them cannot take fills its own queue and holds up its own thread.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from hoptrace_collector.connections import Connections
from hoptrace_collector.counters import DROPPED, Counters
from hoptrace_collector.export.choose import exporter_for
from hoptrace_collector.export.exporter import Exporter
from hoptrace_collector.pipeline.breaker import Breaker
from hoptrace_collector.pipeline.flush import SIGNALS, Flusher
from hoptrace_collector.pipeline.queue import Item, Queue, Room
from hoptrace_collector.pipeline.tally import Named, Tally
from hoptrace_collector.settings import Otlp

__all__ = ["Destination", "Place"]

# What is left at SHUTDOWN for the signals that follow when one's turn is over, in seconds.
_LEFT_FOR_THE_REST = 0.4


class Place(NamedTuple):
    """How far the records file has been sent: up to a line, and so many parts of what that line holds."""

    offset: int = 0
    part: int = 0


class Destination:
    """Where signals go by `targets` (by their names); the first of all destinations has the name ''.

    `limit` is the bound of its queue in bytes, `patience` how long an invocation may be held up for it, in seconds.
    """

    def __init__(
        self,
        name: str,
        targets: Mapping[str, Otlp],
        limit: int,
        counters: Counters,
        *,
        patience: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        exporter: Callable[..., Exporter] = exporter_for,
    ) -> None:
        self.name = name
        self._clock = clock
        self.room = Room(limit)
        self.queues: dict[str, Queue] = {}
        # What an earlier generation has sent here of the records file.
        self.sent = Place()
        # Lines after that which it has had as well.
        self.had: frozenset[int] = frozenset()
        self._flushers: dict[str, Flusher] = {}
        tally: Tally = Named(counters, name) if name else counters
        hosts: dict[str, list[Breaker]] = {}
        self._connections = Connections()
        for signal in SIGNALS:
            target = targets[signal.name]
            dropped = partial(_dropped, tally, signal.counter(DROPPED))
            queue = self.queues[signal.name] = Queue(self.room, dropped)
            breaker = Breaker(clock)
            if target.url is not None:
                hosts.setdefault(target.url.authority, []).append(breaker)
            self._flushers[signal.name] = Flusher(
                queue,
                exporter(signal.name, target, connections=self._connections, say=tally.say),
                breaker,
                tally,
                signal,
                patience=patience,
                clock=clock,
                sleep=sleep,
            )
        self._neighbours = {id(breaker): breakers for breakers in hosts.values() for breaker in breakers}

    def configured(self, signal: str) -> bool:
        """Whether this signal goes anywhere."""
        return self._flushers[signal].configured

    def put(self, signal: str, item: Item) -> None:
        """Queue an item, unless an earlier generation has sent it here."""
        mark = item.mark
        known = mark is not None and mark.file == 1
        if not known or not ((mark.offset, mark.part) < self.sent or mark.offset in self.had):
            self.queues[signal].put(item)

    def tell(self, settled: Callable[[str, list[Item]], None]) -> None:
        """Have `settled` hear, with this destination's name, of each batch that is done with, as soon as it is."""
        for flusher in self._flushers.values():
            flusher.settled = partial(settled, self.name)

    @property
    def open(self) -> bool:
        """Whether something waits here for which no invocation is held up, and which may be tried."""
        return any(flusher.breaker.open and flusher.due for flusher in self._flushers.values())

    @property
    def due(self) -> bool:
        """Whether something waits here that may be sent now."""
        return any(flusher.due for flusher in self._flushers.values())

    def flush(
        self,
        signals: Iterable[str],
        deadline: float,
        *,
        held: bool = False,
        last: bool = False,
        followed: bool = True,
    ) -> None:
        """Send what waits of these signals, in their order; see `Flusher.flush`. The last time each leaves some time
        to those that follow and have something to send.

        A signal that nobody answers tells what is to be expected of the others on the same host.
        """
        signals = tuple(signals)
        for number, signal in enumerate(signals):
            flusher, until = self._flushers[signal], deadline
            if last and any(self._flushers[each].due for each in signals[number + 1 :]):
                until -= min(_LEFT_FOR_THE_REST, max(0.0, deadline - self._clock()) / 3)
            if not flusher.flush(until, held=held, last=last, followed=followed):
                for breaker in self._neighbours.get(id(flusher.breaker), ()):
                    breaker.learn(flusher.breaker)

    def abandon(self) -> None:
        """Count no more on what is being sent by another thread."""
        for flusher in self._flushers.values():
            flusher.abandon()

    def forget(self, reason: str) -> None:
        """Drop everything that waits, and count it."""
        for queue in self.queues.values():
            queue.clear(reason)

    def renew(self) -> None:
        """Begin anew: connections, pauses and troubles were another environment's."""
        self._connections.close()
        for flusher in self._flushers.values():
            flusher.renew()


def _dropped(tally: Tally, kind: str, count: int, reason: str) -> None:
    if count:
        tally.add(kind, reason, count)
