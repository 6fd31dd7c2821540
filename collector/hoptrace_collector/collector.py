"""Says what happens in the rooms at each moment of an environment's life.

To be read from top to bottom: what is done when the function gets an event, when it has answered, and when the
environment goes; then what is sent, and what of it is left to the next generation. `rooms` makes what works here,
`intake` takes data in. Nothing in here decides anything about data.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from hoptrace_collector.counters import Counters
from hoptrace_collector.export.encode import encode_metrics
from hoptrace_collector.intake import Intake
from hoptrace_collector.pipeline.pace import Pace
from hoptrace_collector.pipeline.queue import Item
from hoptrace_collector.receive.network import Network
from hoptrace_collector.receive.telemetry import TelemetryListener
from hoptrace_collector.rooms import Rooms
from hoptrace_collector.settings import Settings
from hoptrace_collector.told import Invoke, Shutdown

__all__ = ["Collector"]

# How long SHUTDOWN waits for the Telemetry API to say how a process died, in seconds: the caller's error waits for it.
_WAIT_FOR_CAUSE = 0.3
# The share of SHUTDOWN's time that it waits at most for the last that the function has logged.
_WAIT_FOR_LOGS = 0.5
# What is left for the signals that follow when one's turn at SHUTDOWN is over, in seconds.
_LEFT_FOR_THE_REST = 0.4
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
        self._rooms = rooms = Rooms(
            settings,
            counters,
            telemetry=telemetry,
            registration=registration or {},
            records=records,
            now=now,
            clock=clock,
            new_id=new_id,
            sleep=sleep,
        )
        self._intake = Intake(rooms)
        self._settings = settings
        self._counters = counters
        self._telemetry = telemetry
        self._clock = clock
        self._now = now
        self._completer = rooms.completer
        self._delivery = rooms.delivery
        self._metrics = rooms.metrics
        self._unattached = rooms.unattached
        self._alerts = rooms.alerts
        self._sampler = rooms.sampler
        self._logs = rooms.logs
        self.inbox = rooms.inbox
        self._missed = tuple(missed)
        self._current = ""
        self._latest: Invoke | None = None
        self._settled = self._gone = False
        self._invocations = 0
        self._network = network or Network()
        self._idle_since = now()
        self._idle_total = None if settings.managed_instances else self._network.total()
        self._pace = Pace(settings.strategy, lambda: now() / 1e9)
        self._metrics_due = clock() + settings.metric_interval
        # Held while something here is worked on: what is sent in the background remembers it from another thread.
        self._lock = threading.RLock()
        self._sent_meanwhile = self._stale = False

    # The moments of an environment's life, as `extension.lifecycle` announces them.

    @_alone
    def started(self, event: Invoke | Shutdown | None) -> None:
        """Read what has been written so far, and close what an earlier generation left open."""
        if not self._settings.refused and not any(map(self._delivery.configured, _SIGNALS)):
            what = "spans" if self._rooms.emf is not None else "spans and metrics"
            self._counters.say("no endpoint", f"OTEL_EXPORTER_OTLP_ENDPOINT is not set: {what} go nowhere")
        for missed in self._missed:
            if isinstance(missed, Invoke):
                self._invocations += 1
                self._intake.handed_out(missed)
                self._unattached.invoked(missed)
        if isinstance(event, Invoke):
            self._latest = event
            self._intake.handed_out(event)
        self._read(self._clock() + 1.0)

    @_alone
    def invoked(self, event: Invoke) -> None:
        """The function has been given an event."""
        self._pace.event()
        self._invocations += 1
        self._current = event.request_id
        self._latest, self._gone = event, False
        self._intake.handed_out(event)
        if not self._intake.recorded:
            self._unattached.invoked(event)

    @property
    def attached(self) -> bool:
        """Whether the function's tracer has ever written anything: else nobody rings, and silence is no death."""
        return self._intake.recorded

    @_alone
    def running(self, deadline: float) -> None:
        """The function works: send meanwhile what is due by now, or what no invocation is held up for."""
        send = self._pace.meanwhile(self._delivery.waiting)
        if send:
            self._prepare()
            self._before_sending()
        begun = self._delivery.begin(_SIGNALS, deadline, self._sent_in_background, troubled=not send)
        self._sent_meanwhile = begun or self._delivery.busy

    @_alone
    def gone(self) -> None:
        """The function's process has ended."""
        self._gone = True
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
        self._intake.returned.clear()
        dead = self._dead_workers()
        self._read(deadline)
        for pid in dead:  # what it has written before its end has been read by now
            self._intake.keep(self._completer.worker_gone(pid), None)
        alone = not self._sent_meanwhile and len(self._intake.returned) == 1
        if io is not None and alone and self._intake.returned[0].span.start >= self._idle_since:
            self._metrics.network(self._intake.returned[0].request_id, io)
        for batch in self.inbox.take():  # before Lambda says that the invocation is over: somebody else may tell of it
            self._intake.take(batch, None)
        self._intake.hear()
        if self._settings.snap_start:
            self._intake.release_restore(deadline)

    @_alone
    def over(self, event: Invoke) -> None:
        """The invocation came back: should its end record be missing, it was lost, and the function is well."""
        self._intake.keep(self._completer.came_back(event.request_id), None)

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
            self._before_sending()
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
            self._intake.hear()
        # A restore that failed is told by nobody else.
        restoring = self._settings.snap_start and not self._invocations and event.reason != "spindown"
        self._intake.hear_what_is_missing(min(self._clock() + _WAIT_FOR_CAUSE, deadline), restoring=restoring)
        if self._logs is not None:
            self._intake.hear_the_last(self._clock() + (deadline - self._clock()) * _WAIT_FOR_LOGS)
        self._intake.keep(self._completer.shutdown(event), None)
        if self._sampler is not None:
            self._sampler.shutdown()
        self._remember()
        half = self._clock() + max(0.0, deadline - self._clock()) / 2
        self._deliver(half, last=True, gone=event.reason == "spindown")
        left = max(0.0, deadline - self._clock())
        followed = event.reason != "spindown"
        # An answer that is not waited for has its batch sent again; the metrics can wait for the next generation.
        until = deadline - (0.0 if followed else min(_LEFT_FOR_THE_REST, left / 3))
        self._delivery.send(("traces", "logs"), until, last=True, followed=followed)
        self._metrics.last()
        self._export_metrics()
        self._remember()
        self._delivery.send(("metrics",), deadline, last=True, followed=followed)
        self._remember()
        if self._telemetry is not None:
            self._telemetry.close()

    @_alone
    def snapshot(self, deadline: float) -> None:
        """Send everything, and let what cannot be sent go: every environment made of the snapshot would send it."""
        self._intake.snapshots += 1
        self.drain(deadline)
        self._rooms.queue_measures()
        self._deliver(deadline, last=True)
        self._export_metrics()
        self._delivery.send(_SIGNALS, deadline, last=True, followed=False)
        self._delivery.forget("snapshot")
        self._rooms.reader.rotate(at=0)
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
        if self._settings.python_path and self._invocations > 1 and not self._intake.recorded:
            # The function lives, was given several events, and has not left a trace.
            self._counters.say(
                "python path",
                "the function is not traced: PYTHONPATH is set, and then Python reads no .pth file of a layer. Set "
                "AWS_LAMBDA_EXEC_WRAPPER=/opt/hoptrace, or the handler hoptrace.entry.handler with "
                "HOPTRACE_HANDLER=your.handler",
            )
        if self._intake.answered_at:
            self._metrics.held(max(0, self._now() - self._intake.answered_at) / 1e9)
            self._intake.answered_at = 0
        if self._current:
            self._metrics.released(self._current)
            self._current = ""
        if self._stale:
            self._remember()
        self._idle_since, self._idle_total = self._now(), self._network.total()

    def _read(self, deadline: float) -> None:
        """Take in what has been written; once that is all of it, close what an earlier generation has left open.

        No sooner: the end of what is open may stand in what has not been read.
        """
        if not self._intake.read(deadline) or self._settled:
            return
        self._settled = True
        self._intake.keep(self._completer.settle(self._latest), None)
        if self._gone:
            self._completer.gone()

    def _io(self) -> int | None:
        """Return the bytes sent and received since the last event was asked for, so without what we send ourselves."""
        before, after = self._idle_total, self._network.total() if self._idle_total is not None else None
        return max(0, after - before) if before is not None and after is not None else None

    def _dead_workers(self) -> list[int]:
        if not self._settings.managed_instances:
            return []
        return self._rooms.workers.dead(begin.pid for begin in self._completer.opened)

    # Sending.

    def _prepare(self) -> None:
        """Queue what has been put off until something is sent."""
        self._pace.sent()
        self._rooms.queue_measures()
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
        if self._rooms.emf is not None:
            self._rooms.emf.written(points)
        if points and self._delivery.configured("metrics"):
            body = encode_metrics(self._completer.origin.resource, points)
            self._delivery.put("metrics", Item(None, body, amount=0))

    # Remembering.

    def _remember(self) -> None:
        """Write down where the next generation goes on; what is left unread by that is none."""
        self._stale = False
        self._rooms.remember()

    def _before_sending(self) -> None:
        """Have all that is acknowledged mean something to the next generation: what it is of has to stand in a file."""
        if self._delivery.unsafe or not self._rooms.generations.knows(self._rooms.reader):
            self._remember()

    def _sent_in_background(self) -> None:
        """Remember what has been sent: now, or when whoever works here is done."""
        self._stale = True
        if self._lock.acquire(blocking=False):
            try:
                self._remember()
            finally:
                self._lock.release()
