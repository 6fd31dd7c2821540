"""Has every destination sent to at its own pace, none at another's cost.

With one destination and somebody who waits, sending needs no thread. Each of several has one, and so has whatever is
sent in the background.
"""

import time
from collections.abc import Callable, Iterable, Sequence

from hoptrace_collector.counters import Counters
from hoptrace_collector.pipeline.courier import Courier
from hoptrace_collector.pipeline.destination import Destination
from hoptrace_collector.pipeline.queue import Inlet, Item
from hoptrace_collector.settings import Settings, Targets

__all__ = ["Delivery", "destinations_of"]


class Delivery:
    """All destinations; the first is that of OpenTelemetry's own variables. `failed` hears of errors of ours."""

    def __init__(
        self,
        destinations: Sequence[Destination],
        failed: Callable[[Exception], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.destinations = destinations
        self._couriers = [Courier(f"hoptrace-send-{each.name}", failed) for each in destinations]
        self._clock = clock
        self._begun: list[Courier] = []
        # Whether something has been put in that stands in no file.
        self.unsafe = False

    def configured(self, signal: str) -> bool:
        """Whether this signal goes anywhere."""
        return any(each.configured(signal) for each in self.destinations)

    def put(self, signal: str, item: Item) -> None:
        """Queue an item for each destination that takes its signal; the first gets what nobody takes, and counts it."""
        if item.mark is None:
            self.unsafe = True
        for number, each in enumerate(self.destinations):
            if not number or each.configured(signal):
                each.put(signal, item)

    def inlet(self, signal: str) -> Inlet:
        """Return where items of this signal are put."""
        return _Inlet(self, signal)

    @property
    def used(self) -> int:
        """Bytes that wait at the destination that has the most room: while it takes more, there is room."""
        return min(each.room.used for each in self.destinations)

    @property
    def waiting(self) -> int:
        """Bytes that wait at the destination that has the least room."""
        return max(each.room.used for each in self.destinations)

    @property
    def empty(self) -> bool:
        """Whether nothing waits anywhere."""
        return not any(each.room.used for each in self.destinations)

    def send(
        self,
        signals: Iterable[str],
        deadline: float,
        *,
        held: bool = False,
        last: bool = False,
        followed: bool = True,
    ) -> None:
        """Send and wait for it, at most until `deadline` (monotonic).

        `held`: an invocation is held up for it, and not for what is under way in the background. `last`: what is under
        way is waited for a third of the time; then it is given up, or nothing else could be sent there any more.
        `followed`: see `Flusher.flush`.
        """
        signals = tuple(signals)
        if last and not self.wait(self._clock() + max(0.0, deadline - self._clock()) / 3):
            self._abandon()
        if len(self.destinations) == 1 and not self.busy:
            self.destinations[0].flush(signals, deadline, held=held, last=last, followed=followed)
            return
        started = [
            (courier, _sending(each, signals, deadline, held=held, last=last, followed=followed))
            for each, courier in zip(self.destinations, self._couriers, strict=True)
            if last or (each.due and not courier.busy)
        ]
        for courier, job in started:
            if not courier.start(job):
                job()  # then one after the other
        for courier, _ in started:
            courier.wait(deadline)

    def begin(self, signals: Iterable[str], deadline: float, done: Callable[[], None], *, troubled: bool) -> bool:
        """Send in the background what may be sent; `done` is called, in another thread, after each destination.

        `troubled`: only to those which nobody is held up for. Tells whether anything has been begun.
        """
        signals, self._begun = tuple(signals), []
        for each, courier in zip(self.destinations, self._couriers, strict=True):
            if courier.busy or not (each.open if troubled else each.due):
                continue
            if courier.start(_sending(each, signals, deadline, then=done)):
                self._begun.append(courier)
        return bool(self._begun)

    def finish(self, until: float) -> None:
        """Wait once for what was begun last, at most until then (monotonic): who takes longer may take very long."""
        begun, self._begun = self._begun, []
        for courier in begun:
            courier.wait(until)

    def _abandon(self) -> None:
        for number, courier in enumerate(self._couriers):
            if courier.busy:
                self.destinations[number].abandon()
                self._couriers[number] = Courier(courier.name, courier.failed)

    def forget(self, reason: str) -> None:
        """Drop everything that waits, and count it."""
        for each in self.destinations:
            each.forget(reason)

    def renew(self) -> None:
        """Begin anew: connections, pauses and troubles were another environment's."""
        for each in self.destinations:
            each.renew()

    @property
    def busy(self) -> bool:
        """Whether something is being sent in another thread."""
        return any(courier.busy for courier in self._couriers)

    def wait(self, until: float) -> bool:
        """Wait for what is being sent, at most until then (monotonic); tell whether it is done."""
        for courier in self._couriers:
            courier.wait(until)
        return not self.busy


class _Inlet:
    def __init__(self, delivery: Delivery, signal: str) -> None:
        self._delivery = delivery
        self._signal = signal

    def put(self, item: Item) -> None:
        self._delivery.put(self._signal, item)


def destinations_of(
    settings: Settings,
    counters: Counters,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Destination]:
    """Make the destinations that are set: first that of OpenTelemetry's variables, then those that have a name."""
    return [
        Destination(
            each.name,
            {"traces": each.traces, "metrics": each.metrics, "logs": each.logs},
            settings.queue_bytes,
            counters,
            patience=settings.flush_timeout,
            clock=clock,
            sleep=sleep,
        )
        for each in (Targets("", settings.traces, settings.metrics, settings.logs), *settings.destinations)
    ]


def _sending(
    destination: Destination,
    signals: tuple[str, ...],
    deadline: float,
    *,
    held: bool = False,
    last: bool = False,
    followed: bool = True,
    then: Callable[[], None] | None = None,
) -> Callable[[], None]:
    def send() -> None:
        destination.flush(signals, deadline, held=held, last=last, followed=followed)
        if then is not None:
            then()

    return send
