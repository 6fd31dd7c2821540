"""Says how invocations ended that did not come back, by what Lambda and the bell have told.

Any of it may be missing, late or in another order: a verdict is the best that can be said at the moment.
"""

from collections.abc import Callable

from hoptrace_collector.closing import Fate
from hoptrace_collector.model import Begin, Span
from hoptrace_collector.told import Report, RuntimeDone

__all__ = ["FATAL", "Verdicts"]

FATAL = ("timeout", "error", "failure")
_MOST_REMEMBERED = 64


class Verdicts:
    """What has been told; `now` is nanoseconds since the epoch."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._done: dict[str, RuntimeDone | Report] = {}
        self._gone_at = 0

    def told(self, event: RuntimeDone | Report) -> None:
        """Lambda has said how an invocation ended; what its runtime did outlasts what the report says of it all."""
        if isinstance(event, Report) and isinstance(self._done.get(event.request_id), RuntimeDone):
            return
        self._done[event.request_id] = event
        while len(self._done) > _MOST_REMEMBERED:
            del self._done[next(iter(self._done))]

    def is_told(self, request_id: str) -> bool:
        """Whether Lambda has said how this invocation ended."""
        return request_id in self._done

    def gone(self, at: int = 0) -> None:
        """No function process is alive: the bell's end of file, heard now or by the shell at `at`."""
        if at or not self._gone_at:
            self._gone_at = at or self._now()

    def alive(self) -> None:
        """A function process is at work."""
        self._gone_at = 0

    def failed(self, request_id: str, span: Span) -> Fate | None:
        """Return how Lambda says that an invocation failed of which the tracer says that it came back well."""
        done = self._about(request_id, span.start)
        if not isinstance(done, RuntimeDone) or done.status not in FATAL:
            return None
        if done.status == "timeout":
            return Fate.timeout(span.start, 0, max(done.time, span.end))
        return Fate.crash(max(done.time, span.end), done.error_type)

    def broken_off(self, request_id: str, begun: int, deadline_ms: int, reason: str) -> Fate:
        """Say how an invocation ended that Lambda broke off for `reason`."""
        done = self._about(request_id, begun)
        told = done.status if done is not None else ""
        timed_out = "timeout" in (reason, told)
        if not timed_out and reason not in ("failure", "error") and told not in FATAL:
            timed_out = bool(deadline_ms) and not self._gone_at and self._now() >= deadline_ms * 1_000_000
        at = done.time if done is not None else 0
        if timed_out:
            return Fate.timeout(begun, deadline_ms, at or (0 if deadline_ms else self._now()))
        error_type = done.error_type if done is not None else ""
        return Fate.crash(self._gone_at or at or self._now(), error_type)

    def overtaken(self, begin: Begin, by: Begin, *, past: bool) -> Fate:
        """Say how an invocation ended after which another one began; `past`: an earlier generation had it."""
        if begin.pid == by.pid and not past:
            return Fate.unknown(min(by.span.start, begin.deadline_ms * 1_000_000 or by.span.start))
        if begin.deadline_ms and by.span.start >= begin.deadline_ms * 1_000_000:
            return Fate.timeout(begin.span.start, begin.deadline_ms)
        return Fate.crash(by.span.start)

    def lost(self, begin: Begin) -> Fate:
        """Say how an invocation ended whose environment was reset before the collector could tell."""
        if self._gone_at >= begin.span.start:
            return Fate.crash(self._gone_at)
        if begin.deadline_ms and self._now() >= begin.deadline_ms * 1_000_000:
            return Fate.timeout(begin.span.start, begin.deadline_ms)
        return Fate.crash(self._now())

    def _about(self, request_id: str, begun: int) -> RuntimeDone | Report | None:
        """What was told of this attempt: Lambda retries an asynchronous event under its first id."""
        done = self._done.get(request_id)
        return None if done is not None and done.time and done.time < begun - 1_000_000 else done
