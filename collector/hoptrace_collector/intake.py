"""Takes in what the tracer writes, what Lambda tells and what others send, and hands each to the rooms it concerns."""

from collections.abc import Iterable

from hoptrace_collector.counters import DROPPED, RECEIVED, UNSAMPLED
from hoptrace_collector.export.encode import encode_span
from hoptrace_collector.model import (
    Begin,
    Denied,
    Dropped,
    End,
    Finished,
    Followed,
    Handed,
    InitError,
    InvocationRecord,
    LogRecord,
    Measured,
    SpanBegun,
    SpanEnded,
)
from hoptrace_collector.pipeline.queue import Item
from hoptrace_collector.receive.decode import decode
from hoptrace_collector.receive.otlp import PATHS, Batch, Refused, parse
from hoptrace_collector.receive.records import Line, Mark
from hoptrace_collector.restore import failed
from hoptrace_collector.rooms import Rooms
from hoptrace_collector.told import InitReport, Invoke, Report, RestoreReport, RuntimeDone, Started
from hoptrace_collector.unattached import sends_itself

__all__ = ["Intake"]

_DEADLINE_CHECK = 256
# How long the span of a restore waits, once in an environment's life, for Lambda to say when that began, in seconds.
_WAIT_FOR_RESTORE = 0.1


class Intake:
    """The doors of an environment's `rooms`.

    `recorded`: whether the function's tracer has ever written anything; `returned`: the invocations that have come back
    since it was last cleared; `answered_at`: when the last of them did, in nanoseconds since the epoch (0: none).
    `snapshots`: how many have been taken of the environment.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._settings = rooms.settings
        self._counters = rooms.counters
        self._telemetry = rooms.telemetry
        self._clock = rooms.clock
        self._new_id = rooms.new_id
        self._reader = rooms.reader
        self._completer = rooms.completer
        self._delivery = rooms.delivery
        self._metrics = rooms.metrics
        self._restore = rooms.restore
        self._unattached = rooms.unattached
        self._workers = rooms.workers
        self._denials = rooms.denials
        self._alerts = rooms.alerts
        self._sampler = rooms.sampler
        self._logs = rooms.logs
        self.recorded = False
        self.returned: list[End] = []
        self.answered_at = 0
        self.snapshots = 0
        # In which file an invocation has begun, where many run side by side.
        self._begun_in: dict[bytes, int] = {}

    def handed_out(self, event: Invoke) -> None:
        """The function has been given an event."""
        self._completer.invoked(event)
        if self._alerts is not None:
            self._alerts.invoked(event.request_id, event.trace_header)

    # What the tracer writes.

    def read(self, deadline: float) -> bool:
        """Take in what has been written; with a `deadline`, on `clock`, what is left is for the next time.

        Tells whether all has been read.
        """
        for count, line in enumerate(self._reader.lines()):
            if not self.recorded:
                self.recorded = True
                self._unattached.attached()
            record = decode(line.record)
            if record is None:
                self._counters.add("records_skipped", "unknown")
            elif isinstance(record, Denied | Dropped):
                self._counted(record, seen=line.seen)
            elif isinstance(record, Handed):
                self._handed(record, line)
            elif isinstance(record, Measured | LogRecord):
                if not line.seen:
                    self._rooms.measures().take(record)
                    if self._alerts is not None:
                        self._alerts.signalled(record)
            else:
                self._completed(record, line)
            if count % _DEADLINE_CHECK == 0 and self._clock() >= deadline:
                return False
        if self._sampler is not None:
            self._sampler.settle()
        if self._settings.managed_instances:
            self._reader.needed = self._oldest_at_work()
        return True

    def _oldest_at_work(self) -> int:
        """Return the number of the oldest file to which an invocation that is open may be writing.

        A worker looks for a new file when an invocation begins, and that of another may have taken long since then.
        """
        opened = {begin.span.span_id for begin in self._completer.opened}
        self._begun_in = {span_id: file for span_id, file in self._begun_in.items() if span_id in opened}
        return min(self._begun_in.values(), default=0)

    def _counted(self, record: Denied | Dropped, *, seen: bool) -> None:
        """Count it once; what was denied is also kept for the alert about its invocation, which may not be over."""
        if isinstance(record, Denied):
            self._denials.take(record)
            if not seen:
                self._metrics.denied(record)
        elif not seen:
            self._counters.add(DROPPED, f"tracer_{record.reason}", record.records)

    def _completed(self, record: InvocationRecord, line: Line) -> None:
        if isinstance(record, Begin) and self._settings.managed_instances:
            self._begun_in[record.span.span_id] = line.mark.file
        finished = self._complete(record, seen=line.seen)
        # What a beginning ends was made here, and is not found again at that line.
        self.keep(finished, None if isinstance(record, Begin) else line.mark, record, seen=line.seen)
        if isinstance(record, Begin) and self._sampler is not None and not line.seen:
            self._sampler.began(record)

    def _complete(self, record: InvocationRecord, *, seen: bool) -> list[Finished]:
        if self._logs is not None:
            self._logs.follow(record)
        if isinstance(record, Begin):
            if self._settings.managed_instances:
                self._workers.saw(record.pid)
            return self._completer.begin(record, seen=seen)
        if isinstance(record, Followed):
            return self._completer.followed(record, seen=seen)
        if isinstance(record, SpanBegun):
            return self._completer.begun(record, seen=seen)
        if isinstance(record, End):
            if not seen:
                self.answered_at = record.span.end
                self.returned.append(record)
            return self._completer.end(record, seen=seen)
        if isinstance(record, InitError):
            return self._completer.init_error(record, seen=seen)
        if isinstance(record, Invoke):
            return self._completer.handed_out(record, seen=seen)
        return self._span_ended(record, seen=seen)

    def _span_ended(self, record: SpanEnded, *, seen: bool) -> list[Finished]:
        if record.span.attributes.get("hoptrace.init") is True and not seen:
            self._initialized(max(0, record.span.end - record.span.start) / 1e9)
        if not seen:
            self._metrics.called(record.span)
        if self._settings.snap_start and self._restore.takes(record):
            return []
        return self._completer.span(record)

    def _handed(self, record: Handed, line: Line) -> None:
        """Take a request that was written down before anybody listened for it."""
        try:
            batch = parse(
                PATHS.get(record.path, ""), record.kind, record.encoding, record.body, self._rooms.inbox.limit
            )
        except Refused as refused:
            self._counters.add("otlp_refused", str(refused.status))
            return
        spans = batch.signal == "traces"
        if not line.seen and batch.amount:
            self._counters.add(("" if spans else batch.signal + "_") + RECEIVED, "", batch.amount)
        # The place in the file stands for one queue only; what else an earlier generation could not send is told by it.
        if not line.seen or (spans and self._sampler is None):
            self.take(batch, line.mark if spans else None)

    # What Lambda tells.

    def hear(self) -> None:
        """Take in what Lambda has told, and what the function has logged."""
        for event in self._telemetry.take() if self._telemetry is not None else ():
            if isinstance(event, InitReport):
                if not self.snapshots:  # what was before the snapshot has been told once
                    self._initialized(event.duration)
                self._completer.initialized(event)
            elif isinstance(event, RestoreReport):
                self._metrics.restored(event.duration)
                if self._alerts is not None:
                    self._alerts.initialized(event.duration)
                self._restore.told(event)
                if (lost := failed(event, self._new_id)) is not None:
                    self.keep(self._completer.span(lost), None)
            elif isinstance(event, Started):
                self._completer.woken(event)
                if not self.recorded:
                    self._unattached.started(event)
            else:
                self.keep(self._made_up(event), None)
                # An invocation that Lambda ends is first closed, then what is said of it belongs to it.
                self.keep(self._completer.telemetry(event), None)
                self._metrics.told(event)
                if self._alerts is not None and isinstance(event, Report):
                    self._alerts.reported(event)
        if self._logs is not None:
            self._logs.take(self._completer.origin.resource)

    def _initialized(self, seconds: float) -> None:
        self._metrics.initialized(seconds)
        if self._alerts is not None:
            self._alerts.initialized(seconds)

    def _made_up(self, event: RuntimeDone | Report) -> list[Finished]:
        """Return the invocation that came back without a tracer's having seen it."""
        if self.recorded or not isinstance(event, RuntimeDone) or sends_itself(self._settings.run_dir):
            return []
        origin = self._completer.origin
        made = self._unattached.done(event, origin)
        if made is None:
            return []
        return [*self._completer.came_back(event.request_id), Finished(origin, *made)]

    def hear_what_is_missing(self, until: float, *, restoring: bool) -> None:
        """Wait for the end of an invocation without a tracer, and for that of a restore, until a time on `clock`."""
        while self._telemetry is not None and self._clock() < until:
            if not self._unattached.waits and (self._restore.reported or not restoring):
                return
            self._telemetry.wait(until - self._clock())
            self.hear()

    def release_restore(self, deadline: float) -> None:
        """Let the spans of a restore go when Lambda has said when it began, or has had its time to."""
        if self._restore.waits and self._telemetry is not None:
            until = min(deadline, self._clock() + _WAIT_FOR_RESTORE)
            while self._restore.waits and self._clock() < until:
                self._telemetry.wait(until - self._clock())
                self.hear()
        for record in self._restore.release():
            self.keep(self._completer.span(record), None, record)

    def hear_the_last(self, until: float) -> None:
        """Wait for what the function has logged before the end; Lambda delivers in the order in which it happened."""
        while self._telemetry is not None and not self._completer.last_is_told and self._clock() < until:
            self._telemetry.wait(until - self._clock())
            self.hear()

    # What others send, and what all of it comes to.

    def take(self, batch: Batch, mark: Mark | None) -> None:
        """Queue what somebody else sent, as it came."""
        for number, part in enumerate(batch.parts):
            if batch.signal == "traces" and self._unattached.waits:
                self._unattached.told_by_others(part.data)
            place = mark._replace(part=number) if mark is not None else None
            if self._sampler is not None and batch.signal == "traces":
                self._sampler.take_foreign(part.data)
            else:
                self._delivery.put(batch.signal, Item(None, part.data, place, part.amount))

    def keep(
        self, finished: Iterable[Finished], mark: Mark | None, record: object = None, *, seen: bool = False
    ) -> None:
        """Queue whole spans, and let metrics and alerts see the invocations that are over, sampled or not."""
        for each in finished:
            spans = [span for span in each.spans if span.sampled]
            self._counters.add(RECEIVED, "", len(spans))
            # Head sampling leaves these out: they were written for what is made of invocations here.
            self._counters.add(UNSAMPLED, "", len(each.spans) - len(spans))
            if self._sampler is None:
                for span in spans:
                    # What was made here is in no file: without a mark the cursor takes it along.
                    self._delivery.put("traces", Item(each.origin, encode_span(span), mark))
            else:
                request_id = record.request_id if isinstance(record, SpanEnded | End) else each.request_id
                whole = each._replace(spans=spans)
                self._sampler.take(whole, mark, request_id, ended=isinstance(record, End), seen=seen)
            if self._alerts is not None:
                self._alerts.called(each.spans, each.origin.resource)
            if each.invocation is not None:
                self._metrics.ended(each.invocation)
                if self._alerts is not None:
                    self._alerts.observe(self._denials.of(each.invocation))
