"""Sends what the queue holds, batch by batch, until it is empty, the time is up or the backend does not answer."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from hoptrace_collector.counters import DROPPED, FAILED, SENT
from hoptrace_collector.export.encode import encode_foreign, encode_traces
from hoptrace_collector.export.exporter import RETRY, TOO_LARGE, Exporter, Loss, Result
from hoptrace_collector.export.exporter import SENT as TAKEN
from hoptrace_collector.model import Origin
from hoptrace_collector.otlp_request import Part
from hoptrace_collector.pipeline.breaker import Breaker
from hoptrace_collector.pipeline.queue import Item, Queue
from hoptrace_collector.pipeline.tally import Tally

# A failure that took so much of its time was no answer.
_ALL_OF_IT = 0.9
# With less time left no request is begun that can be sent later: it would be taken, and its answer not be heard.
_LEAST = 0.2

__all__ = ["LOGS", "METRICS", "SIGNALS", "TRACES", "Flusher", "Signal"]


class Signal(NamedTuple):
    """One of OTLP's signals: its `name` in addresses and settings, what its `items` are called, and its counters."""

    name: str
    items: str
    prefix: str
    hint: str

    def counter(self, kind: str) -> str:
        """The name of its counter: spans have the plain ones."""
        return self.prefix + kind


TRACES = Signal("traces", "spans", "", "")
METRICS = Signal("metrics", "metrics", "metrics_", ". If it takes traces only, set OTEL_METRICS_EXPORTER=none")
LOGS = Signal("logs", "log records", "logs_", ". If it takes no logs, set OTEL_LOGS_EXPORTER=none")
SIGNALS = (TRACES, METRICS, LOGS)


class Flusher:
    """Empties `queue` through `exporter`; keeps what may be tried again, drops and counts what may not."""

    def __init__(
        self,
        queue: Queue,
        exporter: Exporter,
        breaker: Breaker,
        counters: Tally,
        signal: Signal = TRACES,
        *,
        patience: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`patience`: how long an invocation would wait for an answer, in seconds."""
        # Hears of what is done with for good, at once: the process may be killed before anything else is written.
        self.settled: Callable[[list[Item]], None] = _nothing
        self._queue = queue
        self._patience = patience
        self._exporter = exporter
        self.breaker = breaker
        self._counters = counters
        self._signal = signal
        self._clock = clock
        self._sleep = sleep
        self._round = 0
        # What has been sent is settled, or given up, but not both.
        self._turn = threading.Lock()
        self._most = exporter.limits.items
        self._bytes = exporter.limits.size

    @property
    def configured(self) -> bool:
        """Whether this signal goes anywhere."""
        return self._exporter.configured

    def renew(self) -> None:
        """Begin anew after a snapshot was restored: what the backend was like before means nothing."""
        self.breaker.succeeded()
        self._exporter.renew()

    @property
    def due(self) -> bool:
        """Whether something waits that may be sent now."""
        return bool(len(self._queue)) and not self.breaker.pausing

    def flush(self, deadline: float, *, held: bool = False, last: bool = False, followed: bool = True) -> bool:
        """Send until `deadline` (monotonic); false when the destination did not answer at all in the time it had.

        `held`: an invocation is held up for it, so a destination that is in trouble is left alone. `last`: nobody
        waits and nothing comes after, so wait and try again. `followed`: by another moment or generation that sends
        what is left; so no request is begun whose answer, by what the one before took, would come too late.
        """
        if not self.configured:
            self._drop_all()
            return True
        if not last and (self.breaker.pausing or (held and self.breaker.open)):
            return True
        patience, answered = max(0.0, deadline - self._clock()), 0.0
        least = min(_LEAST, self._patience / 4)
        while len(self._queue) and (begun := self._clock()) < deadline:
            limit = min(deadline - begun, self._exporter.timeout)
            if held:
                limit = min(limit, self.breaker.limit(patience))
            if followed and deadline - begun <= max(answered, least):
                return True
            with self._turn:
                items, round_ = self._queue.head(self._most, self._bytes), self._round
            result = self._exporter.send(_body(items), begun + limit)
            took = self._clock() - begun
            with self._turn:
                if round_ != self._round:
                    return True  # nobody counts on it any more
                if result.kind != RETRY:
                    self.breaker.succeeded(slow=not held and took > self._patience)
                    answered = took
                    self._settle(items, result)
                    continue
                self._queue.keep()
                pause = self.breaker.failed(result.wait)
            if last:
                # Two seconds are all there is: shorter pauses, unless the backend itself asked for one.
                pause = max(result.wait, pause / 5)
            self._later(result.reason)
            if not last or self._clock() + pause >= deadline:
                return took < limit * _ALL_OF_IT
            self._sleep(pause)
        return True

    def abandon(self) -> None:
        """Count no more on what is being sent by another thread: it is to be sent again."""
        with self._turn:
            self._round += 1
            self._queue.keep()

    def _later(self, reason: str) -> None:
        signal = self._signal
        self._counters.add(signal.counter(FAILED), "unavailable")
        self._counters.say(
            f"{signal.name} retry", f"{self._exporter.name} did not take {signal.items} ({reason}); kept for later"
        )

    def _drop_all(self) -> None:
        items = self._queue.items()
        if items:
            self._add(DROPPED, "no_endpoint", _count(items))
            self._queue.remove(len(items))

    def _settle(self, items: list[Item], result: Result) -> None:
        signal, count = self._signal, _count(items)
        if result.kind == TOO_LARGE and len(items) > 1:
            # Halve for good: a backend's limit does not change between two batches.
            self._most = max(1, count // 2)
            self._bytes = max(1, sum(len(item.data) for item in items) // 2)
            self._queue.keep()
            return
        parts: Iterable[Part] = result.rest
        if result.kind == TOO_LARGE and items[0].origin is None:
            # Only for who has sent so much at once.
            from hoptrace_collector.export.pieces import halves

            parts = halves(signal.name, items[0].data)
        rest = self._rest(count, parts)
        self._queue.replace(len(items), rest)
        if not rest:
            self.settled(items)
        if result.kind == TOO_LARGE and rest:
            return
        count -= _count(rest)
        for loss in result.lost:
            count -= self._lose(loss, count)
        if result.kind == TAKEN:
            rejected = min(result.rejected, count)
            self._add(SENT, "", count - rejected)
            self._add(DROPPED, "rejected", rejected)
            if rejected or result.reason:
                self._counters.say(
                    f"{signal.name} partial",
                    f"{self._exporter.name} rejected {rejected} {signal.items}: {result.reason}",
                )
            return
        self._add(DROPPED, "too_large" if result.kind == TOO_LARGE else "refused", count)
        what = f"{count} {signal.items}" if count else signal.items
        self._counters.say(
            f"{signal.name} {result.reason[:8]}",
            f"{self._exporter.name} refused {what} for good ({result.reason}); they are dropped. "
            f"{result.advice or self._exporter.advice + signal.hint}",
        )

    @staticmethod
    def _rest(count: int, parts: Iterable[Part]) -> list[Item]:
        """Return what is still to be sent of a batch that counts as `count`; what nobody counts stays uncounted."""
        out = []
        for part in parts:
            amount = min(part.amount, count)
            out.append(Item(None, part.data, amount=amount))
            count -= amount
        return out

    def _lose(self, loss: Loss, count: int) -> int:
        """Count what was not even sent; returns how many those are."""
        lost = min(loss.amount, count)
        self._add(DROPPED, loss.reason, lost)
        self._counters.say(
            f"{self._signal.name} {loss.reason}",
            f"{loss.amount} {self._signal.items} were dropped, since {self._exporter.name} takes none that {loss.why}",
        )
        return lost

    def _add(self, kind: str, reason: str, count: int) -> None:
        if count:
            self._counters.add(self._signal.counter(kind), reason, count)


def _nothing(items: list[Item]) -> None:
    pass


def _count(items: Iterable[Item]) -> int:
    return sum(item.amount for item in items)


def _body(items: list[Item]) -> bytes:
    groups: dict[Origin, list[bytes]] = {}
    foreign = []
    for item in items:
        if item.origin is None:
            foreign.append(item.data)
        else:
            groups.setdefault(item.origin, []).append(item.data)
    return encode_traces(groups.items()) + encode_foreign(foreign)
