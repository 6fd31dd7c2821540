"""Sends what the queue holds, batch by batch, until it is empty, the time is up or the backend does not answer."""

import time
from collections.abc import Callable, Iterable

from hoptrace_collector.counters import DROPPED, FAILED, SENT, Counters
from hoptrace_collector.export.encode import encode_traces
from hoptrace_collector.export.sender import Result, Sender
from hoptrace_collector.model import Origin
from hoptrace_collector.pipeline.backoff import Backoff
from hoptrace_collector.pipeline.queue import Item, Queue

__all__ = ["Flusher"]

MOST_SPANS = 512
BATCH_BYTES = 1024 * 1024


class Flusher:
    """Empties `queue` through `sender`; keeps what may be tried again, drops and counts what may not."""

    def __init__(
        self,
        queue: Queue,
        sender: Sender,
        backoff: Backoff,
        counters: Counters,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._queue = queue
        self._sender = sender
        self._backoff = backoff
        self._counters = counters
        self._clock = clock
        self._sleep = sleep
        self._most = MOST_SPANS
        self._bytes = BATCH_BYTES

    def flush(self, deadline: float, *, last: bool = False) -> None:
        """Send until `deadline` (monotonic). `last`: nobody waits and nothing comes after, so wait and try again."""
        if not self._sender.configured:
            self._counters.add(DROPPED, "no_endpoint", len(self._queue))
            self._queue.remove(len(self._queue))
            return
        if self._backoff.pausing and not last:
            return
        while len(self._queue) and self._clock() < deadline:
            items = self._queue.head(self._most, self._bytes)
            result = self._attempt(items, deadline, last=last)
            if result.kind == "retry":
                pause = self._backoff.failed(result.wait)
                if last:
                    # Two seconds are all there is: shorter pauses, unless the backend itself asked for one.
                    pause = max(result.wait, pause / 5)
                self._counters.add(FAILED, "unavailable")
                self._counters.say(
                    "export retry", f"the OTLP backend did not take spans ({result.reason}); kept for later"
                )
                if not last or self._clock() + pause >= deadline:
                    return
                self._sleep(pause)
                continue
            self._backoff.succeeded()
            self._settle(items, result)

    def _attempt(self, items: list[Item], deadline: float, *, last: bool) -> Result:
        timeout = self._sender.timeout
        if not last:
            timeout = self._backoff.attempt(timeout)
        body = encode_traces(_grouped(items))
        return self._sender.send(body, min(deadline, self._clock() + timeout))

    def _settle(self, items: list[Item], result: Result) -> None:
        count = len(items)
        if result.kind == "too large" and count > 1:
            # Halve for good: a backend's limit does not change between two batches.
            self._most = max(1, count // 2)
            self._bytes = max(1, sum(len(item.data) for item in items) // 2)
            return
        self._queue.remove(count)
        if result.kind == "sent":
            rejected = min(result.rejected, count)
            self._counters.add(SENT, "", count - rejected)
            if rejected:
                self._counters.add(DROPPED, "rejected", rejected)
            if rejected or result.reason:
                self._counters.say("export partial", f"the OTLP backend rejected {rejected} spans: {result.reason}")
            return
        reason = "too_large" if result.kind == "too large" else "refused"
        self._counters.add(DROPPED, reason, count)
        self._counters.say(
            f"export {result.reason[:8]}",
            f"the OTLP backend refused {count} spans for good ({result.reason}); they are dropped. "
            "Check OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_HEADERS",
        )


def _grouped(items: Iterable[Item]) -> Iterable[tuple[Origin, list[bytes]]]:
    groups: dict[Origin, list[bytes]] = {}
    for item in items:
        groups.setdefault(item.origin, []).append(item.data)
    return groups.items()
