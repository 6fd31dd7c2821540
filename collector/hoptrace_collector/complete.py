"""Makes whole invocations out of what the tracer recorded and what Lambda says.

An invocation that came back is whole already: its end record has everything. The work is with the others: a begin
record without an end, an INVOKE without a begin, an initialisation that failed. Which of them are over, and how they
ended, is decided here; the spans are made in `closing`.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from hoptrace_collector.closing import Fate, close, from_init_error, from_invoke
from hoptrace_collector.model import (
    Begin,
    End,
    Followed,
    InitError,
    Invocation,
    Invoke,
    Origin,
    Report,
    RuntimeDone,
    Shutdown,
    Span,
    SpanEnded,
)

__all__ = ["Completer", "Finished"]

_FATAL = ("timeout", "error", "failure")
_ORDERLY = ("spindown", "sandboxterminated")  # the second is what the runtime interface emulator says
_MOST_REMEMBERED = 64
_MOST_DIED = 16
_MOST_NOTES = 64
_ATTEMPT = "hoptrace.invocation.attempt"
_SAME_DEADLINE_MS = 2_000


class Finished(NamedTuple):
    """Spans that are whole, and the invocation that ended with them, if one did."""

    origin: Origin
    spans: list[Span]
    invocation: Invocation | None = None


class Completer:
    """Holds what is open.

    `fallback` is the origin of spans made before the tracer has said who it is, `managed` whether many invocations
    run side by side, `now` nanoseconds since the epoch, `new_id` that many random bytes.
    """

    def __init__(
        self, fallback: Origin, *, managed: bool, now: Callable[[], int], new_id: Callable[[int], bytes]
    ) -> None:
        self.origin = fallback
        self._managed = managed
        self._now = now
        self._new_id = new_id
        self._open: dict[bytes, Begin] = {}
        self._past: set[bytes] = set()
        self._closed: dict[str, None] = {}
        self._counted: dict[str, int] = {}
        self._uncounted: set[bytes] = set()
        self._invoke: Invoke | None = None
        self._last_event: Invoke | None = None
        self._init_error: InitError | None = None
        self._done: dict[str, RuntimeDone | Report] = {}
        self._gone_at = 0
        self._died: dict[str, int] = {}

    # What the next generation has to know.

    @property
    def opened(self) -> list[Begin]:
        """The invocations that have begun and not ended."""
        return list(self._open.values())

    @property
    def closed(self) -> list[str]:
        """What was closed here of late and must not count any more.

        Ids (hex) of spans whose own records may still come, and `request_id deadline` of invocations that were made up
        for because their beginning had not been read, and `request_id xN` of requests whose Nth attempt died.
        """
        counted = (f"{request_id} {deadline}" for request_id, deadline in self._counted.items())
        return [*self._closed, *counted, *(f"{request_id} x{attempt}" for request_id, attempt in self._died.items())]

    def resume(self, opened: Iterable[Begin], closed: Iterable[str], origin: Origin | None) -> None:
        """Take over what an earlier generation left open."""
        for begin in opened:
            self._open[begin.span.span_id] = begin
            self._past.add(begin.span.span_id)
        for each in closed:
            request_id, space, deadline = each.rpartition(" ")
            if not space:
                self._remember(each)
            elif deadline.isdigit():
                self._counted[request_id] = int(deadline)
            elif deadline[:1] == "x" and deadline[1:].isdigit():
                self._died[request_id] = int(deadline[1:])
        if origin is not None:
            self.origin = origin

    # What the tracer recorded.

    def begin(self, record: Begin, *, seen: bool) -> list[Finished]:
        """Open an invocation; returns those that it shows to be over. `seen`: an earlier generation has had it."""
        self.origin = record.origin
        if seen or record.span.span_id.hex() in self._closed:
            return []
        finished = [
            self._close(begin, self._overtaken(begin, record))
            for begin in self.opened
            if begin.pid == record.pid or not self._managed
        ]
        self._open[record.span.span_id] = record
        counted = self._counted.get(record.request_id)
        if counted is not None and abs(record.deadline_ms - counted) < _SAME_DEADLINE_MS:
            self._uncounted.add(record.span.span_id)
        self._gone_at = 0
        self._init_error = None
        return finished

    def followed(self, record: Followed, *, seen: bool) -> list[Finished]:
        """Note what has been done with a record of the batch; nothing is over by it."""
        for begin in reversed(self.opened):
            if begin.request_id == record.request_id and not seen and len(begin.notes) < _MOST_NOTES:
                begin.notes.append(record.span)
                begin.raw.setdefault("notes", []).append(record.raw)
                break
        return []

    def span(self, record: SpanEnded) -> list[Finished]:
        """Pass a finished span on."""
        origin = self.origin
        if record.resource:
            origin = Origin.of({**dict(origin.resource), **record.resource}, origin.scope)
        if record.scope is not None:
            origin = Origin(origin.resource, record.scope)
        return [Finished(origin, [record.span])]

    def end(self, record: End, *, seen: bool) -> list[Finished]:
        """Close an invocation that came back."""
        span = record.span
        if span.span_id.hex() in self._closed:
            return []
        begin = self._open.pop(span.span_id, None)
        origin = begin.origin if begin is not None else self.origin
        self._count_attempt(record.request_id, span)
        if seen or span.span_id in self._uncounted:
            self._uncounted.discard(span.span_id)
            return [Finished(origin, [span])]
        if begin is None or self._is_current(begin):
            self._over(record.request_id)
        error_type = span.attributes.get("error.type", "")
        invocation = Invocation(
            record.request_id,
            "ok" if record.ok else "error",
            error_type if isinstance(error_type, str) and not record.ok else "",
            span.status_message,
            span,
            origin,
            begin.deadline_ms if begin is not None else 0,
            record.cpu,
        )
        return [Finished(origin, [span], invocation)]

    def init_error(self, record: InitError, *, seen: bool) -> list[Finished]:
        """Keep what is known of a failed initialisation until Lambda says what became of it."""
        self.origin = record.origin
        if not seen:
            self._init_error = record
        return []

    # What Lambda says.

    def invoked(self, event: Invoke) -> None:
        """Note that an invocation has been handed out; harmless to repeat."""
        if event != self._last_event:
            self._invoke = self._last_event = event
            self._gone_at = 0

    def settle(self, event: Invoke | None) -> list[Finished]:
        """Close what an earlier generation left, once the records have been read up to now.

        `event` is the first event of this generation: a begin that is not its own belongs to the past as well,
        unless this is a Managed Instance, where no event says what is running.
        """
        finished = []
        for begin in self.opened:
            past = begin.span.span_id in self._past
            if event is not None and not self._managed:
                past = not _belong_together(begin, event)
            if past:
                finished.append(self._close(begin, self._lost(begin)))
        return finished

    def gone(self) -> None:
        """Note that no function process is alive: the bell's end of file."""
        if not self._gone_at:
            self._gone_at = self._now()

    def telemetry(self, event: RuntimeDone | Report) -> list[Finished]:
        """Note how Lambda says an invocation ended, and close it when it will write no end itself.

        Everything that the function has recorded must have been read before. A handler that raised counts as
        `success` here (on Managed Instances as `error`, but then its end has been read).
        """
        self._done[event.request_id] = event
        while len(self._done) > _MOST_REMEMBERED:
            del self._done[next(iter(self._done))]
        if event.status not in _FATAL or (isinstance(event, Report) and not self._managed):
            return []
        finished = [
            self._close(begin, self._failure(begin.request_id, begin.span.start, begin.deadline_ms, event.status))
            for begin in self.opened
            if begin.request_id == event.request_id
        ]
        if self._invoke is not None and self._invoke.request_id == event.request_id and not finished:
            finished += self._without_begin(event.status)
        return finished

    def worker_gone(self, pid: int) -> list[Finished]:
        """Close what a process was working on that is no more, while others of its kind go on."""
        return [self._close(begin, Fate.crash(self._now())) for begin in self.opened if begin.pid == pid]

    def came_back(self, request_id: str) -> list[Finished]:
        """Close what is still open of an invocation that has rung: the record of its end could not be written."""
        finished = [
            self._close(begin, Fate.unknown(self._now())) for begin in self.opened if begin.request_id == request_id
        ]
        self._over(request_id)
        return finished

    def shutdown(self, event: Shutdown) -> list[Finished]:
        """Close everything: the environment is going."""
        finished = [
            self._close(begin, self._failure(begin.request_id, begin.span.start, begin.deadline_ms, event.reason))
            for begin in self.opened
        ]
        if not finished:
            finished = self._without_begin(event.reason)
        return finished

    def waits_for(self, request_id: str) -> bool:
        """Whether the invocation of the last event is this one and has not been seen to end."""
        return self._invoke is not None and self._invoke.request_id == request_id

    @property
    def wants_error_type(self) -> str:
        """The request id of an invocation of which only the Telemetry API could still say how it died; else empty."""
        ids = [begin.request_id for begin in self.opened]
        if self._invoke is not None:
            ids.append(self._invoke.request_id)
        return next((request_id for request_id in ids if request_id not in self._done), "")

    @property
    def last_is_told(self) -> bool:
        """Whether the Telemetry API has said how the last event ended, and so all that was logged before it."""
        return self._last_event is None or self._last_event.request_id in self._done

    # Deciding.

    def _close(self, begin: Begin, fate: Fate) -> Finished:
        self._open.pop(begin.span.span_id, None)
        self._remember(begin.span.span_id.hex())
        if self._is_current(begin):
            self._over(begin.request_id)
        attempt = self._count_attempt(begin.request_id, begin.span)
        if fate.outcome != "unknown":
            self._died[begin.request_id] = attempt
            while len(self._died) > _MOST_DIED:
                del self._died[next(iter(self._died))]
        spans, invocation = close(begin, fate)
        if begin.span.span_id in self._uncounted:
            self._uncounted.discard(begin.span.span_id)
            return Finished(begin.origin, spans)
        return Finished(begin.origin, spans, invocation)

    def _count_attempt(self, request_id: str, span: Span) -> int:
        """Add the attempts that died with their process to those which the tracer has counted in its own."""
        counted = span.attributes.get(_ATTEMPT, 1)
        attempt = self._died.get(request_id, 0) + (counted if isinstance(counted, int) else 1)
        if attempt > 1:
            span.attributes[_ATTEMPT] = attempt
        return attempt

    def _without_begin(self, reason: str) -> list[Finished]:
        """Make up for an invocation or an initialisation that the tracer could not record."""
        event, init = self._invoke, self._init_error
        self._invoke, self._init_error = None, None
        if event is not None:
            self._counted = {event.request_id: event.deadline_ms}
        if init is not None:
            fate = Fate("init_error", init.error_type or "Runtime.Unknown", init.message, init.end)
            made = (
                from_invoke(event, fate, init.origin, self._new_id, init)
                if event is not None
                else from_init_error(init, init.origin, self._new_id)
            )
            return [Finished(init.origin, *made)]
        if event is None or reason in _ORDERLY:
            return []
        fate = self._failure(event.request_id, event.seen or self._now(), event.deadline_ms, reason)
        return [Finished(self.origin, *from_invoke(event, fate, self.origin, self._new_id))]

    def _failure(self, request_id: str, begun: int, deadline_ms: int, reason: str) -> Fate:
        """Say how an invocation ended that Lambda broke off for `reason`."""
        done = self._done.get(request_id)
        told = done.status if done is not None else ""
        timed_out = "timeout" in (reason, told)
        if not timed_out and reason not in ("failure", "error") and told not in _FATAL:
            timed_out = bool(deadline_ms) and not self._gone_at and self._now() >= deadline_ms * 1_000_000
        at = done.time if done is not None else 0
        if timed_out:
            return Fate.timeout(begun, deadline_ms, at or (0 if deadline_ms else self._now()))
        error_type = done.error_type if done is not None else ""
        return Fate.crash(self._gone_at or at or self._now(), error_type)

    def _overtaken(self, begin: Begin, by: Begin) -> Fate:
        """Say how an invocation ended after which another one began."""
        if begin.pid == by.pid and begin.span.span_id not in self._past:
            return Fate.unknown(min(by.span.start, begin.deadline_ms * 1_000_000 or by.span.start))
        if begin.deadline_ms and by.span.start >= begin.deadline_ms * 1_000_000:
            return Fate.timeout(begin.span.start, begin.deadline_ms)
        return Fate.crash(by.span.start)

    def _lost(self, begin: Begin) -> Fate:
        """Say how an invocation ended whose environment was reset before the collector could tell."""
        if begin.deadline_ms and self._now() >= begin.deadline_ms * 1_000_000:
            return Fate.timeout(begin.span.start, begin.deadline_ms)
        return Fate.crash(self._now())

    def _is_current(self, begin: Begin) -> bool:
        return self._invoke is not None and _belong_together(begin, self._invoke)

    def _over(self, request_id: str) -> None:
        if self._invoke is not None and self._invoke.request_id == request_id:
            self._invoke = None

    def _remember(self, span_id: str) -> None:
        self._closed[span_id] = None
        while len(self._closed) > _MOST_REMEMBERED:
            del self._closed[next(iter(self._closed))]


def _belong_together(begin: Begin, event: Invoke) -> bool:
    """Whether a begin record is of this very event: a retried request keeps its id, but not its deadline."""
    same_deadline = not begin.deadline_ms or abs(begin.deadline_ms - event.deadline_ms) < _SAME_DEADLINE_MS
    return begin.request_id == event.request_id and same_deadline
