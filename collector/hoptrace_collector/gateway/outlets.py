"""Every way out: for each signal and destination a backlog with the threads that send it, and the traces that wait.

A destination knows of no other: what one does not take fills its own backlog. When that of one that answers is full,
who sends to the gateway waits; one that does not answer and is full goes without, which is counted as its own, unless
it is the only one.
"""

import asyncio
import time

from hoptrace_collector.counters import DROPPED, Counters
from hoptrace_collector.gateway.senders import Senders
from hoptrace_collector.gateway.settings import GatewaySettings
from hoptrace_collector.gateway.traces import Traces
from hoptrace_collector.otlp_request import Part
from hoptrace_collector.pipeline.flush import SIGNALS
from hoptrace_collector.pipeline.queue import Item
from hoptrace_collector.pipeline.tally import Named, Tally
from hoptrace_collector.receive.otlp import Batch
from hoptrace_collector.settings import Settings, Targets

__all__ = ["Outlets"]


class Outlets:
    """All destinations of the settings; the first of each signal is that of OpenTelemetry's own variables."""

    def __init__(self, settings: Settings, gateway: GatewaySettings, counters: Counters) -> None:
        self._of: dict[str, list[Senders]] = {signal.name: [] for signal in SIGNALS}
        first: tuple[Tally, Targets] = (counters, Targets("", settings.traces, settings.metrics, settings.logs))
        for tally, each in (first, *((Named(counters, each.name), each) for each in settings.destinations)):
            for signal, target in zip(SIGNALS, (each.traces, each.metrics, each.logs), strict=True):
                made = Senders(target, signal, gateway.queue_bytes, gateway.senders, counters, tally)
                if made.configured:
                    self._of[signal.name].append(made)
        self._traces = None
        if settings.sampling is not None:
            self._traces = Traces(settings.sampling, gateway.trace_wait, gateway.queue_bytes // 2, counters)

    def goes(self, signal: str) -> bool:
        """Whether a signal goes anywhere."""
        return bool(self._of[signal])

    def start(self) -> None:
        """Begin to send."""
        for senders in self._every():
            senders.start()

    def put(self, batch: Batch) -> str:
        """Keep a batch to be sent: `taken`, `full` or `nowhere`."""
        outlets = self._of[batch.signal]
        if not outlets:
            return "nowhere"
        if self._traces is None or batch.signal != "traces":
            return "taken" if self._place(batch) else "full"
        if not all(each.backlog.fits(batch) or (each.troubled and len(outlets) > 1) for each in outlets):
            return "full"
        self._forward(self._traces.take(batch.parts, time.monotonic()))
        return "taken"

    def put_back(self, batch: Batch) -> bool:
        """Keep what an earlier process could not send, and has decided about; whether there is room."""
        outlets = self._of[batch.signal]
        return bool(outlets) and outlets[0].backlog.put(batch)

    def decide(self, *, last: bool = False) -> None:
        """Have sent what is to be kept of the traces that have waited long enough, or at the `last` of all."""
        if self._traces is not None:
            self._forward(self._traces.due(time.monotonic(), last=last))

    async def finish(self, deadline: float) -> list[tuple[str, list[Item]]]:
        """Send until `deadline` (monotonic); returns what is left, by signal, of the first destination."""
        loop = asyncio.get_running_loop()
        every = self._every()
        found = await asyncio.gather(*(loop.run_in_executor(None, each.finish, deadline) for each in every))
        left = []
        for senders, items in zip(every, found, strict=True):
            signal = senders.signal
            if senders is self._of[signal.name][0]:
                left.append((signal.name, items))
            elif items:
                senders.tally.add(signal.counter(DROPPED), "stopped", sum(item.amount for item in items))
        return left

    def used(self) -> dict[str, tuple[float, float]]:
        """Return the bytes that wait and that may wait, by signal, over all destinations."""
        return {
            signal: (
                float(sum(each.backlog.used for each in outlets) + (outlets[0].backlog.held if outlets else 0)),
                float(sum(each.backlog.limit for each in outlets)),
            )
            for signal, outlets in self._of.items()
        }

    def _every(self) -> list[Senders]:
        return [each for outlets in self._of.values() for each in outlets]

    def _forward(self, parts: list[Part]) -> None:
        """Have traces sent that have been decided about; they have had their room while they were held."""
        for each in self._of["traces"]:
            each.backlog.held = self._traces.size if self._traces is not None else 0
        batch = Batch("traces", parts)
        if not parts or self._place(batch):
            return
        for number, each in enumerate(self._of["traces"]):
            if not each.backlog.put(batch, forced=not number or not each.troubled):
                each.tally.add(each.signal.counter(DROPPED), "queue_full", batch.amount)

    def _place(self, batch: Batch) -> bool:
        """Put a batch wherever there is room; False when there is none, or none where somebody still answers."""
        outlets = self._of[batch.signal]
        roomy = [each for each in outlets if each.backlog.fits(batch)]
        if not roomy or not all(each in roomy or each.troubled for each in outlets):
            return False
        for each in outlets:
            if each not in roomy or not each.backlog.put(batch):
                each.tally.add(each.signal.counter(DROPPED), "queue_full", batch.amount)
        return True
