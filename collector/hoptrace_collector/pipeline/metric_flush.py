"""Sends metric requests, and keeps a few that the backend could not take yet.

Each request holds what happened between two moments, so a late one is as good as one in time; what must not happen is
that a minute goes missing because the backend was restarted in it.
"""

import time
from collections import deque
from collections.abc import Callable

from hoptrace_collector.counters import DROPPED, Counters
from hoptrace_collector.export.sender import Sender
from hoptrace_collector.pipeline.backoff import Backoff

__all__ = ["MetricFlusher"]

MOST_WAITING = 10


class MetricFlusher:
    """Holds at most ten encoded requests and sends them in their order."""

    def __init__(
        self, sender: Sender, backoff: Backoff, counters: Counters, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sender = sender
        self._backoff = backoff
        self._counters = counters
        self._clock = clock
        self._waiting: deque[bytes] = deque()

    @property
    def configured(self) -> bool:
        """Whether metrics go anywhere."""
        return self._sender.configured

    @property
    def waiting(self) -> tuple[bytes, ...]:
        """What has not been sent, oldest first."""
        return tuple(self._waiting)

    def put(self, body: bytes) -> None:
        """Add an encoded request; the oldest makes room."""
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self._drop("queue_full")
        self._waiting.append(body)

    def flush(self, deadline: float, *, last: bool = False) -> None:
        """Send what waits before `deadline` (monotonic); not within the pause after a failure, unless `last`."""
        if self._backoff.pausing and not last:
            return
        while self._waiting and self._clock() < deadline:
            timeout = self._sender.timeout if last else self._backoff.attempt(self._sender.timeout)
            result = self._sender.send(self._waiting[0], min(deadline, self._clock() + timeout))
            if result.kind == "retry":
                self._backoff.failed(result.wait)
                self._counters.say(
                    "metrics retry", f"the OTLP backend did not take metrics ({result.reason}); kept for later"
                )
                return
            self._waiting.popleft()
            self._backoff.succeeded()
            if result.kind != "sent":
                self._drop("refused")
                self._counters.say(
                    "metrics refused",
                    f"the OTLP backend refused metrics for good ({result.reason}); they are dropped. If it takes "
                    "traces only, set OTEL_METRICS_EXPORTER=none",
                )

    def _drop(self, reason: str) -> None:
        self._counters.add(f"metrics_{DROPPED}", reason)
