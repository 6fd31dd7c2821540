"""Makes whole invocations out of what the tracer recorded and what Lambda says.

An invocation that came back is whole already: its end record has everything. The work is with the others: a begin
record without an end, the spans that were open inside it, an INVOKE without a begin, an initialisation that failed.
Which of them are over is decided here; how they ended say the `verdicts`; the spans are made in `closing`.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from hoptrace_collector.attempts import Attempts
from hoptrace_collector.closing import (
    EXIT,
    TIMEOUT,
    Fate,
    close,
    corrected,
    cut_short,
    from_init_error,
    from_invoke,
    left_open,
)
from hoptrace_collector.model import (
    Begin,
    End,
    Finished,
    Followed,
    InitError,
    Invocation,
    Origin,
    Span,
    SpanBegun,
    SpanEnded,
)
from hoptrace_collector.open_spans import OpenSpans
from hoptrace_collector.told import InitReport, Invoke, Report, RuntimeDone, Shutdown, Started
from hoptrace_collector.unbegun import Unbegun, belong_together
from hoptrace_collector.verdicts import FATAL, Verdicts

__all__ = ["Completer", "Finished"]

_ORDERLY = ("spindown", "sandboxterminated")  # the second is what the runtime interface emulator says
_MOST_REMEMBERED = 512
_MOST_NOTES = 64
_SAME_DEADLINE_MS = 2_000
_SECOND = 1_000_000_000


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
        self._init_report: InitReport | None = None
        self._woken: Invoke | None = None
        self._verdicts = Verdicts(now)
        self._spans = OpenSpans()
        self._pid = 0
        self._unbegun = Unbegun()
        self._attempts = Attempts()

    # What the next generation has to know.

    @property
    def opened(self) -> list[Begin]:
        """The invocations that have begun and not ended."""
        return list(self._open.values())

    def left(self) -> list[dict[str, Any]]:
        """The same as records, with the spans that are open in them."""
        for begin in self._open.values():
            begin.raw["started"] = self._spans.told(begin.request_id)
        return [begin.raw for begin in self._open.values()]

    @property
    def closed(self) -> list[str]:
        """What was closed here of late and must not count any more.

        Ids (hex) of spans whose records may still come, `request_id deadline` of invocations whose beginning had not
        been read, `request_id xN` of requests whose Nth attempt died.
        """
        counted = (f"{request_id} {deadline}" for request_id, deadline in self._counted.items())
        return [*self._closed, *counted, *self._attempts.told()]

    def resume(self, opened: Iterable[Begin], closed: Iterable[str], origin: Origin | None) -> None:
        """Take over what an earlier generation left open."""
        for begin in opened:
            self._open[begin.span.span_id] = begin
            self._past.add(begin.span.span_id)
            self._spans.resume(begin.request_id, begin.started)
        for each in closed:
            request_id, space, deadline = each.rpartition(" ")
            if not space:
                self._remember(each)
            elif deadline.isdigit():
                self._counted[request_id] = int(deadline)
            else:
                self._attempts.resume(request_id, deadline)
        if origin is not None:
            self.origin = origin

    # What the tracer recorded.

    def begin(self, record: Begin, *, seen: bool) -> list[Finished]:
        """Open an invocation; returns those that it shows to be over. `seen`: an earlier generation has had it."""
        self.origin = record.origin
        if seen or record.span.span_id.hex() in self._closed:
            return []
        finished = []
        for begin in self.opened:
            if begin.pid == record.pid or not self._managed:
                past = begin.span.span_id in self._past
                finished += self._close(begin, self._verdicts.overtaken(begin, record, past=past))
        if self._pid != record.pid and not self._managed:
            finished += self._close_left()  # nobody is alive who could end them
        self._pid = record.pid
        self._open[record.span.span_id] = record
        counted = self._counted.get(record.request_id)
        if counted is not None and abs(record.deadline_ms - counted) < _SAME_DEADLINE_MS:
            self._uncounted.add(record.span.span_id)
        self._verdicts.alive()
        self._init_error = None
        return finished

    def followed(self, record: Followed, *, seen: bool) -> list[Finished]:
        """Note what has been done with a record of the batch; nothing is over by it."""
        for begin in reversed(self.opened):
            if begin.request_id == record.request_id and not seen and len(begin.notes) < _MOST_NOTES:
                begin.notes.append(record.span)
                begin.raw.setdefault("notes", []).append(record.raw)
                self._spans.ended(record.request_id, b"", self._believable(max(record.span.start, record.span.end)))
                break
        return []

    def begun(self, record: SpanBegun, *, seen: bool) -> list[Finished]:
        """Note that a span is open; nothing is over by it."""
        if not seen and record.span_id.hex() not in self._closed:
            self._spans.begun(record)
        return []

    def span(self, record: SpanEnded) -> list[Finished]:
        """Pass a finished span on, unless it was closed here before its function had ended it."""
        span = record.span
        if span.span_id.hex() in self._closed:
            return []
        self._spans.ended(record.request_id, span.span_id, self._believable(span.end))
        return [Finished(record.origin(self.origin), [span])]

    def end(self, record: End, *, seen: bool) -> list[Finished]:
        """Close an invocation that came back."""
        span = record.span
        if span.span_id.hex() in self._closed:
            return []
        begin = self._open.pop(span.span_id, None)
        origin = begin.origin if begin is not None else self.origin
        self._spans.came_back(record.request_id, span.end)
        self._attempts.count(record.request_id, span)
        if seen or span.span_id in self._uncounted:
            self._uncounted.discard(span.span_id)
            return [Finished(origin, [span])]
        self._unbegun.came_back(record.request_id, begin.deadline_ms if begin is not None else 0)
        if begin is None or self._is_current(begin):
            self._over(record.request_id)
        outcome = "ok" if record.ok else "error"
        fate = self._verdicts.failed(record.request_id, span) if record.ok else None
        if fate is not None:
            corrected(span, fate)
            outcome = fate.outcome
        error_type = span.attributes.get("error.type", "")
        invocation = Invocation(
            record.request_id,
            outcome,
            error_type if isinstance(error_type, str) and outcome != "ok" else "",
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

    def handed_out(self, event: Invoke, *, seen: bool) -> list[Finished]:
        """Note an INVOKE whose function died at once, which the shell of this generation or an earlier one had."""
        if not seen:
            self._unbegun.handed_out(event, self.opened)
            self._verdicts.gone(event.seen)
        return []

    # What Lambda says.

    def invoked(self, event: Invoke) -> None:
        """Note that an invocation has been handed out; harmless to repeat."""
        if event != self._last_event:
            self._invoke = self._last_event = event
            self._woken = self._init_report = None
            self._verdicts.alive()

    def settle(self, event: Invoke | None) -> list[Finished]:
        """Close what an earlier generation left, once the records have been read up to now.

        `event` is the first event of this generation: a begin that is not its own belongs to the past as well,
        unless this is a Managed Instance, where no event says what is running.
        """
        finished = []
        for begin in self.opened:
            past = begin.span.span_id in self._past
            if event is not None and not self._managed:
                past = not belong_together(begin, event)
            if past:
                finished += self._close(begin, self._verdicts.lost(begin))
        for lost in self._unbegun.take(self._last_event):
            made = from_invoke(lost, Fate.crash(lost.seen or self._now()), self.origin, self._new_id)
            finished.append(Finished(self.origin, *made))
        if event is not None:  # its process lives
            self._verdicts.alive()
        return finished

    def gone(self) -> None:
        """Note that no function process is alive: the bell's end of file."""
        self._verdicts.gone()

    def initialized(self, event: InitReport) -> None:
        """Note how an initialisation ended; one that failed before any event may be all that is known."""
        if self._last_event is None and event.status in FATAL:
            self._init_report = event

    def woken(self, event: Started) -> None:
        """Note an invocation that may wait for an initialisation: INVOKE comes only when that has succeeded."""
        if self._last_event is None:
            self._woken = Invoke(event.request_id, "", 0, event.trace_header, event.time)

    def telemetry(self, event: RuntimeDone | Report) -> list[Finished]:
        """Note how Lambda says an invocation ended; on a Managed Instance close it if it has not ended itself.

        Elsewhere SHUTDOWN follows. A handler that raised counts as `success` (on Managed Instances as `error`, but then
        its end has been read).
        """
        self._verdicts.told(event)
        if event.status not in FATAL or not self._managed:
            return []
        broken_off = [begin for begin in self.opened if begin.request_id == event.request_id]
        return self._close_each(broken_off, lambda begin: self._broken_off(begin, event.status))

    def worker_gone(self, pid: int) -> list[Finished]:
        """Close what a process was working on that is no more, while others of its kind go on."""
        gone = [begin for begin in self.opened if begin.pid == pid]
        return self._close_each(gone, lambda _: Fate.crash(self._now()))

    def came_back(self, request_id: str) -> list[Finished]:
        """Close what is still open of an invocation that has rung: the record of its end could not be written."""
        back = [begin for begin in self.opened if begin.request_id == request_id]
        self._over(request_id)
        return self._close_each(back, lambda _: Fate.unknown(self._now()))

    def shutdown(self, event: Shutdown) -> list[Finished]:
        """Close everything: the environment is going."""
        finished = self._close_each(self.opened, lambda begin: self._broken_off(begin, event.reason))
        if not finished:
            finished = self._without_begin(event.reason)
        return finished + self._close_left()

    def waits_for(self, request_id: str) -> bool:
        """Whether the invocation of the last event is this one and has not been seen to end."""
        return self._invoke is not None and self._invoke.request_id == request_id

    def wants_to_hear(self, reason: str) -> bool:
        """Whether only the Telemetry API could still say how an invocation died, or which one waited for this end."""
        if self._last_event is None and not self._open and not self._managed:
            return reason not in _ORDERLY and self._woken is None
        asked = [begin.request_id for begin in self.opened] + ([self._invoke.request_id] if self._invoke else [])
        return reason not in (TIMEOUT, "spindown") and not all(map(self._verdicts.is_told, asked))

    @property
    def last_is_told(self) -> bool:
        """Whether the Telemetry API has said how the last event ended, and so all that was logged before it."""
        return self._last_event is None or self._verdicts.is_told(self._last_event.request_id)

    # Deciding.

    def _broken_off(self, begin: Begin, reason: str) -> Fate:
        return self._verdicts.broken_off(begin.request_id, begin.span.start, begin.deadline_ms, reason)

    def _close_each(self, begins: Iterable[Begin], fate: Callable[[Begin], Fate]) -> list[Finished]:
        return [each for begin in begins for each in self._close(begin, fate(begin))]

    def _close(self, begin: Begin, fate: Fate) -> list[Finished]:
        """Close an invocation and what is open in it; the invocation comes last."""
        fate, untracked = self._outlasted(fate, begin.request_id), self._spans.untracked(begin.request_id)
        self._open.pop(begin.span.span_id, None)
        finished = []
        if fate.outcome == "unknown":
            self._spans.came_back(begin.request_id, fate.at)
        else:
            finished = self._cut_short(begin.request_id, begin.origin, fate)
        self._remember(begin.span.span_id.hex())
        if self._is_current(begin):
            self._over(begin.request_id)
        attempt = self._attempts.count(begin.request_id, begin.span)
        if fate.outcome != "unknown":
            self._attempts.died(begin.request_id, attempt)
            if untracked:
                begin.span.attributes["hoptrace.open_spans.untracked"] = untracked
        spans, invocation = close(begin, fate)
        if begin.span.span_id in self._uncounted:
            self._uncounted.discard(begin.span.span_id)
            return [*finished, Finished(begin.origin, spans)]
        return [*finished, Finished(begin.origin, spans, invocation)]

    def _outlasted(self, fate: Fate, request_id: str) -> Fate:
        """Let no span outlast it: Lambda tells whole milliseconds, and lets a function overrun by a few."""
        latest = self._spans.latest(request_id)
        return fate._replace(at=latest) if fate.at < latest <= fate.at + _SECOND else fate

    def _cut_short(self, request_id: str, origin: Origin, fate: Fate) -> list[Finished]:
        """Close what is open in an invocation that is broken off."""
        opened = self._spans.take(request_id)
        return [each for record in opened for each in self._child(record, origin, partial(cut_short, fate=fate))]

    def _close_left(self) -> list[Finished]:
        """Close what was left open by invocations that came back: the function's process is gone."""
        left = self._spans.take_left()
        return [each for record, at in left for each in self._child(record, self.origin, partial(left_open, at=at))]

    def _child(self, record: SpanBegun, origin: Origin, close: Callable[[Span], Span]) -> list[Finished]:
        made = record.made()
        if made is None:
            return []
        self._remember(made.span.span_id.hex())
        return [Finished(made.origin(origin), [close(made.span)], request_id=record.request_id)]

    def _without_begin(self, reason: str) -> list[Finished]:
        """Make up for an invocation or an initialisation that the tracer could not record."""
        event, init, report = self._invoke or self._woken, self._init_error, self._init_report
        if self._invoke is not None:
            self._counted = {self._invoke.request_id: self._invoke.deadline_ms}
        self._invoke = self._woken = self._init_error = self._init_report = None
        if init is None and report is not None:
            end = self._now()
            kind = TIMEOUT if report.status == TIMEOUT else report.error_type or EXIT
            message = f"the initialisation failed ({kind})"
            init = InitError(self.origin, kind, message, end - int(report.duration * _SECOND), end)
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
        fate = self._verdicts.broken_off(event.request_id, event.seen or self._now(), event.deadline_ms, reason)
        fate = self._outlasted(fate, event.request_id)
        finished = self._cut_short(event.request_id, self.origin, fate)
        child = finished[0].spans[0] if finished else None
        made = from_invoke(event, fate, self.origin, self._new_id, child=child)
        return [*finished, Finished(self.origin, *made)]

    def _believable(self, moment: int) -> int:
        """Return a time that the function has told, unless it lies ahead: users may name any."""
        return moment if moment <= self._now() else 0

    def _is_current(self, begin: Begin) -> bool:
        return self._invoke is not None and belong_together(begin, self._invoke)

    def _over(self, request_id: str) -> None:
        if self._invoke is not None and self._invoke.request_id == request_id:
            self._invoke = None

    def _remember(self, span_id: str) -> None:
        self._closed[span_id] = None
        while len(self._closed) > _MOST_REMEMBERED:
            del self._closed[next(iter(self._closed))]
