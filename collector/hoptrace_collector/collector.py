"""Puts the rooms together, and says what happens in them at each moment of an environment's life.

To be read from top to bottom: what is made, in the order of the data; what is done when the function gets an event,
when it has answered, and when the environment goes; and what of it is left to the next generation. Nothing in here
decides anything about data.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from hoptrace_collector.complete import Completer, Finished
from hoptrace_collector.concurrency import peak_concurrency
from hoptrace_collector.counters import DROPPED, RECEIVED, UNSAMPLED, Counters
from hoptrace_collector.denials import Denials
from hoptrace_collector.export.encode import encode_metrics, encode_span
from hoptrace_collector.generations import Generations
from hoptrace_collector.identity import known_of
from hoptrace_collector.metrics import Metrics
from hoptrace_collector.model import (
    Begin,
    Denied,
    Dropped,
    End,
    Followed,
    Handed,
    InitError,
    InitReport,
    InvocationRecord,
    Invoke,
    LogRecord,
    Measured,
    Origin,
    Report,
    RestoreReport,
    RuntimeDone,
    Shutdown,
    SpanBegun,
    SpanEnded,
    Started,
)
from hoptrace_collector.pipeline.delivery import Delivery, destinations_of
from hoptrace_collector.pipeline.pace import Pace
from hoptrace_collector.pipeline.queue import Item
from hoptrace_collector.price import price_of
from hoptrace_collector.receive.decode import decode
from hoptrace_collector.receive.inbox import Inbox
from hoptrace_collector.receive.network import Network
from hoptrace_collector.receive.otlp import PATHS, Batch, Refused, parse
from hoptrace_collector.receive.records import Line, Mark, RecordReader
from hoptrace_collector.receive.telemetry import TelemetryListener
from hoptrace_collector.receive.workers import Workers
from hoptrace_collector.restore import Restore, failed
from hoptrace_collector.settings import Settings
from hoptrace_collector.unattached import Unattached, sends_itself

if TYPE_CHECKING:
    from hoptrace_collector.alert.alerts import Alerts
    from hoptrace_collector.export.emf import Emf
    from hoptrace_collector.function_logs import FunctionLogs
    from hoptrace_collector.measures import Measures
    from hoptrace_collector.sampling.sampler import Sampler

__all__ = ["Collector"]

# How long SHUTDOWN waits for the Telemetry API to say how a process died, in seconds: the caller's error waits for it.
_WAIT_FOR_CAUSE = 0.3
# The share of SHUTDOWN's time that it waits at most for the last that the function has logged.
_WAIT_FOR_LOGS = 0.5
# What is left for the signals that follow when one's turn at SHUTDOWN is over, in seconds.
_LEFT_FOR_THE_REST = 0.4
_DEADLINE_CHECK = 256
# How long the span of a restore waits, once in an environment's life, for Lambda to say when that began, in seconds.
_WAIT_FOR_RESTORE = 0.1
_SIGNALS = ("traces", "metrics", "logs")


_P = ParamSpec("_P")
_T = TypeVar("_T")


def _alone(method: "Callable[Concatenate[Collector, _P], _T]") -> "Callable[Concatenate[Collector, _P], _T]":
    """Have a moment to itself: what has been sent in the background is remembered before it or after."""

    @wraps(method)
    def locked(self: "Collector", /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        with self._lock:
            return method(self, *args, **kwargs)

    return locked


class Collector:
    """The rooms, and the order of work in them. Implements `extension.lifecycle.Work`."""

    def __init__(
        self,
        settings: Settings,
        counters: Counters,
        *,
        missed: Iterable[Invoke | Shutdown] = (),
        telemetry: TelemetryListener | None = None,
        registration: dict[str, Any] | None = None,
        records: int | None = None,
        network: Network | None = None,
        now: Callable[[], int] = time.time_ns,
        clock: Callable[[], float] = time.monotonic,
        new_id: Callable[[int], bytes] = os.urandom,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`missed`: events that came before this process; `registration`: Lambda's answer to registering;
        `records`: descriptor of the records file, where the shell has opened it; `network`: where the kernel's counters
        are.
        """
        self._settings = settings
        self._counters = counters
        self._telemetry = telemetry
        self._clock = clock
        self._now = now
        self._new_id = new_id
        self._answered_at = 0
        self._current = ""
        self._returned: list[End] = []
        self._network = network or Network()
        self._idle_since = now()
        self._idle_total = None if settings.managed_instances else self._network.total()
        self._invocations = 0
        self._recorded = False
        self._missed = tuple(missed)
        self._generations = Generations(settings.run_dir, settings.queue_bytes, counters)
        cursor = self._generations.cursor
        # In the order of the data: read, complete, queue, send; then what is made of invocations.
        self._reader = RecordReader(
            os.path.join(settings.run_dir, "records.jsonl"), counters, cursor.position, cursor.seen_to, records
        )
        self._completer = Completer(
            Origin.of(known_of(settings, registration or {}), ("hoptrace", "")),
            managed=settings.managed_instances,
            now=now,
            new_id=new_id,
        )
        # Nothing that is made here refers back to here: what is let go closes its connections at once.
        self._delivery = delivery = Delivery(
            destinations_of(settings, counters, clock=clock, sleep=sleep),
            partial(counters.failed, "sending"),
            clock=clock,
        )
        self._emf = self._make_emf()
        self._pace = Pace(settings.strategy, lambda: now() / 1e9)
        # Held while something here is worked on: what is sent in the background remembers it from another thread.
        self._lock = threading.RLock()
        self._sent_meanwhile = self._stale = False
        self.inbox = Inbox(settings.queue_bytes, lambda: delivery.used, delivery.configured)
        self._metrics = Metrics(
            settings.initialization_type,
            peak_concurrency,
            now,
            price_of(settings, os.uname().machine),
            settings.memory,
            self._emf.seen if self._emf is not None else None,
        )
        self._metrics_due = clock() + settings.metric_interval
        self._restore = Restore()
        self._unattached = Unattached(new_id)
        self._workers = Workers()
        self._snapshots = 0
        self._alerts = self._make_alerts()
        self._sampler = self._make_sampler()
        self._generations.take_over(self._completer, self._delivery, self._sampler)
        self._logs = self._make_logs()
        self._measures: Measures | None = None
        self._denials = Denials()

    # The moments of an environment's life, as `extension.lifecycle` announces them.

    @_alone
    def started(self, event: Invoke | Shutdown | None) -> None:
        """Read what has been written so far, and close what an earlier generation left open."""
        if not self._settings.refused and not any(map(self._delivery.configured, _SIGNALS)):
            what = "spans" if self._emf is not None else "spans and metrics"
            self._counters.say("no endpoint", f"OTEL_EXPORTER_OTLP_ENDPOINT is not set: {what} go nowhere")
        for missed in self._missed:
            if isinstance(missed, Invoke):
                self._invocations += 1
                self._handed_out(missed)
                self._unattached.invoked(missed)
        if isinstance(event, Invoke):
            self._handed_out(event)
        self._read(self._clock() + 1.0)
        self._keep(self._completer.settle(event if isinstance(event, Invoke) else None), None)

    @_alone
    def invoked(self, event: Invoke) -> None:
        """The function has been given an event."""
        self._pace.event()
        self._invocations += 1
        self._current = event.request_id
        self._handed_out(event)
        if not self._recorded:
            self._unattached.invoked(event)

    @property
    def attached(self) -> bool:
        """Whether the function's tracer has ever written anything: else nobody rings, and silence is no death."""
        return self._recorded

    @_alone
    def running(self, deadline: float) -> None:
        """The function works: send meanwhile what is due by now, or what no invocation is held up for."""
        send = self._pace.meanwhile(self._delivery.waiting)
        if send:
            self._prepare()
        begun = self._delivery.begin(_SIGNALS, deadline, self._sent_in_background, troubled=not send)
        self._sent_meanwhile = begun or self._delivery.busy

    @_alone
    def gone(self) -> None:
        """The function's process has ended."""
        self._completer.gone()

    @_alone
    def unfinished(self, event: Invoke) -> bool:
        """Read the records; tell whether this invocation has not come back yet."""
        self._read(self._clock() + 1.0)
        return self._completer.waits_for(event.request_id)

    @_alone
    def drain(self, deadline: float) -> None:
        """Take in the records first and what Lambda says second: it may say that there is nothing more to come."""
        io = self._io()
        self._returned.clear()
        dead = self._dead_workers()
        self._read(deadline)
        for pid in dead:  # what it has written before its end has been read by now
            self._keep(self._completer.worker_gone(pid), None)
        alone = not self._sent_meanwhile and len(self._returned) == 1
        if io is not None and alone and self._returned[0].span.start >= self._idle_since:
            self._metrics.network(self._returned[0].request_id, io)
        for batch in self.inbox.take():  # before Lambda says that the invocation is over: somebody else may tell of it
            self._take(batch, None)
        self._hear()
        if self._settings.snap_start:
            self._release_restore(deadline)

    @_alone
    def over(self, event: Invoke) -> None:
        """The invocation came back: should its end record be missing, it was lost, and the function is well."""
        self._keep(self._completer.came_back(event.request_id), None)

    @_alone
    def flush(self, deadline: float) -> None:
        """Send after an invocation, if it is time, within what a user has agreed to pay for.

        What is not sent now is safe in the records file, or written down here.
        """
        deadline = min(deadline, self._clock() + self._settings.flush_timeout)
        self._deliver(deadline)
        self._delivery.finish(min(deadline, self._clock() + self._pace.grace))
        if self._pace.over() or self._settings.managed_instances:
            self._prepare()
            self._delivery.send(_SIGNALS, deadline, held=not self._settings.managed_instances)
            if self._logs is not None:  # again: Lambda has had a moment to deliver them
                self._logs.take(self._completer.origin.resource)
                self._delivery.send(("logs",), deadline, held=not self._settings.managed_instances)
            self._remember()
        elif self._delivery.unsafe or self._alerts is not None:
            self._remember()

    @_alone
    def shutdown(self, event: Shutdown, deadline: float) -> None:
        """Close everything and send the last: alerts first, since they have the least and matter the most."""
        self.drain(deadline)
        until = min(self._clock() + _WAIT_FOR_CAUSE, deadline)
        while self._telemetry and self._completer.wants_to_hear(event.reason) and self._clock() < until:
            self._telemetry.wait(until - self._clock())
            self._hear()
        # A restore that failed is told by nobody else.
        restoring = self._settings.snap_start and not self._invocations and event.reason != "spindown"
        self._hear_what_is_missing(min(self._clock() + _WAIT_FOR_CAUSE, deadline), restoring=restoring)
        if self._logs is not None:
            self._hear_the_last(self._clock() + (deadline - self._clock()) * _WAIT_FOR_LOGS)
        self._keep(self._completer.shutdown(event), None)
        if self._sampler is not None:
            self._sampler.shutdown()
        self._remember()
        half = self._clock() + max(0.0, deadline - self._clock()) / 2
        self._deliver(half, last=True, gone=event.reason == "spindown")
        left = max(0.0, deadline - self._clock())
        self._delivery.send(("traces", "logs"), deadline - min(_LEFT_FOR_THE_REST, left / 3), last=True)
        self._remember()  # Lambda may end this at any moment, and what is sent must not be sent again
        self._metrics.last()
        self._export_metrics()
        self._delivery.send(("metrics",), deadline, last=True)
        self._remember()
        if self._telemetry is not None:
            self._telemetry.close()

    @_alone
    def snapshot(self, deadline: float) -> None:
        """Send everything, and let what cannot be sent go: every environment made of the snapshot would send it."""
        self._snapshots += 1
        self.drain(deadline)
        self._queue_own_signals()
        self._deliver(deadline, last=True)
        self._export_metrics()
        self._delivery.send(_SIGNALS, deadline, last=True)
        self._delivery.forget("snapshot")
        self._reader.rotate(at=0)
        self._remember()

    @_alone
    def restored(self) -> None:
        """Begin anew: no number, time or pause from before the snapshot is this environment's own."""
        self._counters.take()
        self._metrics.renew()
        if self._alerts is not None:
            self._alerts.restored()
        self._delivery.renew()
        self._pace.renew()
        self._metrics_due = self._clock() + self._settings.metric_interval
        self._idle_since, self._idle_total = self._now(), self._network.total()

    @_alone
    def released(self) -> None:
        """Nothing is left to do: the next event is about to be asked for."""
        if self._settings.python_path and self._invocations > 1 and not self._recorded:
            # The function lives, was given several events, and has not left a trace.
            self._counters.say(
                "python path",
                "the function is not traced: PYTHONPATH is set, and then Python reads no .pth file of a layer. Set "
                "AWS_LAMBDA_EXEC_WRAPPER=/opt/hoptrace, or the handler hoptrace.entry.handler with "
                "HOPTRACE_HANDLER=your.handler",
            )
        if self._answered_at:
            self._metrics.held(max(0, self._now() - self._answered_at) / 1e9)
            self._answered_at = 0
        if self._current:
            self._metrics.released(self._current)
            self._current = ""
        if self._stale:
            self._remember()
        self._idle_since, self._idle_total = self._now(), self._network.total()

    # Taking in.

    def _handed_out(self, event: Invoke) -> None:
        self._completer.invoked(event)
        if self._alerts is not None:
            self._alerts.invoked(event.request_id, event.trace_header)

    def _initialized(self, seconds: float) -> None:
        self._metrics.initialized(seconds)
        if self._alerts is not None:
            self._alerts.initialized(seconds)

    def _read(self, deadline: float) -> None:
        for count, line in enumerate(self._reader.lines()):
            if not self._recorded:
                self._recorded = True
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
                    self._own_signals().take(record)
                    if self._alerts is not None:
                        self._alerts.signalled(record)
            else:
                self._completed(record, line)
            if count % _DEADLINE_CHECK == 0 and self._clock() >= deadline:
                return
        if self._sampler is not None:
            self._sampler.settle()

    def _counted(self, record: Denied | Dropped, *, seen: bool) -> None:
        """Count it once; what was denied is also kept for the alert about its invocation, which may not be over."""
        if isinstance(record, Denied):
            self._denials.take(record)
            if not seen:
                self._metrics.denied(record)
        elif not seen:
            self._counters.add(DROPPED, f"tracer_{record.reason}", record.records)

    def _completed(self, record: InvocationRecord, line: Line) -> None:
        finished = self._complete(record, seen=line.seen)
        # What a beginning ends was made here, and is not found again at that line.
        self._keep(finished, None if isinstance(record, Begin) else line.mark, record, seen=line.seen)
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
                self._answered_at = record.span.end
                self._returned.append(record)
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

    def _io(self) -> int | None:
        """Return the bytes sent and received since the last event was asked for, so without what we send ourselves."""
        before, after = self._idle_total, self._network.total() if self._idle_total is not None else None
        return max(0, after - before) if before is not None and after is not None else None

    def _hear(self) -> None:
        for event in self._telemetry.take() if self._telemetry is not None else ():
            if isinstance(event, InitReport):
                if not self._snapshots:  # what was before the snapshot has been told once
                    self._initialized(event.duration)
                self._completer.initialized(event)
            elif isinstance(event, RestoreReport):
                self._metrics.restored(event.duration)
                if self._alerts is not None:
                    self._alerts.initialized(event.duration)
                self._restore.told(event)
                if (lost := failed(event, self._new_id)) is not None:
                    self._keep(self._completer.span(lost), None)
            elif isinstance(event, Started):
                self._completer.woken(event)
                if not self._recorded:
                    self._unattached.started(event)
            else:
                self._keep(self._made_up(event), None)
                # An invocation that Lambda ends is first closed, then what is said of it belongs to it.
                self._keep(self._completer.telemetry(event), None)
                self._metrics.told(event)
                if self._alerts is not None and isinstance(event, Report):
                    self._alerts.reported(event)
        if self._logs is not None:
            self._logs.take(self._completer.origin.resource)

    def _made_up(self, event: RuntimeDone | Report) -> list[Finished]:
        """Return the invocation that came back without a tracer's having seen it."""
        if self._recorded or not isinstance(event, RuntimeDone) or sends_itself(self._settings.run_dir):
            return []
        origin = self._completer.origin
        made = self._unattached.done(event, origin)
        if made is None:
            return []
        return [*self._completer.came_back(event.request_id), Finished(origin, *made)]

    def _dead_workers(self) -> list[int]:
        if not self._settings.managed_instances:
            return []
        return self._workers.dead(begin.pid for begin in self._completer.opened)

    def _hear_what_is_missing(self, until: float, *, restoring: bool) -> None:
        while self._telemetry is not None and self._clock() < until:
            if not self._unattached.waits and (self._restore.reported or not restoring):
                return
            self._telemetry.wait(until - self._clock())
            self._hear()

    def _release_restore(self, deadline: float) -> None:
        if self._restore.waits and self._telemetry is not None:
            until = min(deadline, self._clock() + _WAIT_FOR_RESTORE)
            while self._restore.waits and self._clock() < until:
                self._telemetry.wait(until - self._clock())
                self._hear()
        for record in self._restore.release():
            self._keep(self._completer.span(record), None, record)

    def _hear_the_last(self, until: float) -> None:
        """Wait for what the function has logged before the end; Lambda delivers in the order in which it happened."""
        while self._telemetry is not None and not self._completer.last_is_told and self._clock() < until:
            self._telemetry.wait(until - self._clock())
            self._hear()

    def _handed(self, record: Handed, line: Line) -> None:
        """Take a request that was written down before anybody listened for it."""
        try:
            batch = parse(PATHS.get(record.path, ""), record.kind, record.encoding, record.body, self.inbox.limit)
        except Refused as refused:
            self._counters.add("otlp_refused", str(refused.status))
            return
        spans = batch.signal == "traces"
        if not line.seen and batch.amount:
            self._counters.add(("" if spans else batch.signal + "_") + RECEIVED, "", batch.amount)
        # The place in the file stands for one queue only; what else an earlier generation could not send is told by it.
        if not line.seen or (spans and self._sampler is None):
            self._take(batch, line.mark if spans else None)

    def _take(self, batch: Batch, mark: Mark | None) -> None:
        """Queue what somebody else sent, as it came."""
        for number, part in enumerate(batch.parts):
            if batch.signal == "traces" and self._unattached.waits:
                self._unattached.told_by_others(part.data)
            place = mark._replace(part=number) if mark is not None else None
            if self._sampler is not None and batch.signal == "traces":
                self._sampler.take_foreign(part.data)
            else:
                self._delivery.put(batch.signal, Item(None, part.data, place, part.amount))

    def _keep(
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

    # Sending.

    def _prepare(self) -> None:
        """Queue what has been put off until something is sent."""
        self._pace.sent()
        self._queue_own_signals()
        if self._clock() >= self._metrics_due:
            self._export_metrics()

    def _deliver(self, deadline: float, *, last: bool = False, gone: bool = False) -> None:
        if self._alerts is not None:
            self._alerts.deliver(deadline, last=last, gone=gone)

    def _export_metrics(self) -> None:
        self._metrics_due = self._clock() + self._settings.metric_interval
        points = self._metrics.take(self._counters.take())
        if self._alerts is not None:
            self._alerts.measured(points)
        if self._emf is not None:
            self._emf.written(points)
        if points and self._delivery.configured("metrics"):
            body = encode_metrics(self._completer.origin.resource, points)
            self._delivery.put("metrics", Item(None, body, amount=0))

    # Remembering.

    def _remember(self) -> None:
        """Write down where the next generation goes on; what is left unread by that is none."""
        self._queue_own_signals()
        self._delivery.unsafe = self._stale = False
        self._generations.leave(self._reader, self._completer, self._delivery, self._sampler)

    def _sent_in_background(self) -> None:
        """Remember what has been sent: now, or when whoever works here is done."""
        self._stale = True
        if self._lock.acquire(blocking=False):
            try:
                self._remember()
            finally:
                self._lock.release()

    def _own_signals(self) -> "Measures":
        if self._measures is None:
            # Only for who uses them.
            from hoptrace_collector.measures import Measures

            inlets = self._delivery.inlet("metrics"), self._delivery.inlet("logs")
            completer = self._completer
            self._measures = Measures(*inlets, self._counters, lambda: completer.origin.resource)
        return self._measures

    def _queue_own_signals(self) -> None:
        """Queue what was measured and logged since the last flush, before anything is remembered as read."""
        if self._measures is not None:
            self._measures.queue()

    def _make_logs(self) -> "FunctionLogs | None":
        if self._telemetry is None or not self._settings.function_logs:
            return None
        # Only for who has set it, as with alerts.
        from hoptrace_collector.function_logs import FunctionLogs

        return FunctionLogs(
            self._telemetry.take_lines,
            self._delivery.inlet("logs"),
            self._counters,
            opened=self._completer.opened,
            managed=self._settings.managed_instances,
            now=self._now,
        )

    def _make_emf(self) -> "Emf | None":
        measuring = self._settings.measuring
        if not measuring.emf:
            return None
        # Only for who has set it.
        from hoptrace_collector.export.emf import Emf

        name, completer = self._settings.function_name, self._completer
        return Emf(
            measuring.emf, measuring.namespace, name, self._counters, lambda: completer.origin.resource, self._now
        )

    def _make_sampler(self) -> "Sampler | None":
        if self._settings.sampling is None:
            return None
        # Only for who has set it.
        from hoptrace_collector.sampling.sampler import Sampler

        limit = self._settings.queue_bytes // 8
        return Sampler(self._settings.sampling, limit, self._counters, self._delivery.inlet("traces").put, self._now)

    def _make_alerts(self) -> "Alerts | None":
        if self._settings.eventbridge is None:
            return None
        # Only for who has set it: hashing and signing are a tenth of the start.
        from hoptrace_collector.alert.wiring import make_alerts

        return make_alerts(self._settings, self._settings.eventbridge, self._counters, clock=self._clock, now=self._now)
