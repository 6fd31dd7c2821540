"""What there is in an environment, made in the order of the data; what only some want is loaded only for them."""

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from hoptrace_collector.complete import Completer
from hoptrace_collector.concurrency import peak_concurrency
from hoptrace_collector.counters import Counters
from hoptrace_collector.denials import Denials
from hoptrace_collector.generations import Generations
from hoptrace_collector.identity import known_of
from hoptrace_collector.metrics import Metrics
from hoptrace_collector.model import Origin
from hoptrace_collector.pipeline.delivery import Delivery, destinations_of
from hoptrace_collector.price import price_of
from hoptrace_collector.receive.inbox import Inbox
from hoptrace_collector.receive.records import RecordReader
from hoptrace_collector.receive.telemetry import TelemetryListener
from hoptrace_collector.receive.workers import Workers
from hoptrace_collector.restore import Restore
from hoptrace_collector.settings import Settings
from hoptrace_collector.unattached import Unattached

if TYPE_CHECKING:
    from hoptrace_collector.alert.alerts import Alerts
    from hoptrace_collector.export.emf import Emf
    from hoptrace_collector.function_logs import FunctionLogs
    from hoptrace_collector.measures import Measures
    from hoptrace_collector.sampling.sampler import Sampler

__all__ = ["Rooms"]


class Rooms:
    """The rooms of one environment, which go on where an earlier generation's were.

    Nothing that is made here refers back to here: what is let go closes its connections at once.
    """

    def __init__(
        self,
        settings: Settings,
        counters: Counters,
        *,
        telemetry: TelemetryListener | None,
        registration: dict[str, Any],
        records: int | None,
        now: Callable[[], int],
        clock: Callable[[], float],
        new_id: Callable[[int], bytes],
        sleep: Callable[[float], None],
    ) -> None:
        """`registration`, `records`: as `collector.Collector` has them."""
        self.settings = settings
        self.counters = counters
        self.telemetry = telemetry
        self.now = now
        self.clock = clock
        self.new_id = new_id
        self.generations = Generations(settings.run_dir, settings.queue_bytes, counters)
        cursor = self.generations.cursor
        # In the order of the data: read, complete, queue, send; then what is made of invocations.
        self.reader = RecordReader(
            os.path.join(settings.run_dir, "records.jsonl"), counters, cursor.position, cursor.seen_to, records
        )
        self.completer = Completer(
            Origin.of(known_of(settings, registration), ("hoptrace", "")),
            managed=settings.managed_instances,
            now=now,
            new_id=new_id,
        )
        self.delivery = delivery = Delivery(
            destinations_of(settings, counters, clock=clock, sleep=sleep),
            partial(counters.failed, "sending"),
            clock=clock,
        )
        self.inbox = Inbox(settings.queue_bytes, lambda: delivery.used, delivery.configured)
        self.emf = self._make_emf()
        self.metrics = Metrics(
            settings.initialization_type,
            peak_concurrency,
            now,
            price_of(settings, os.uname().machine),
            settings.memory,
            self.emf.seen if self.emf is not None else None,
        )
        self.restore = Restore()
        self.unattached = Unattached(new_id)
        self.workers = Workers()
        self.denials = Denials()
        self.alerts = self._make_alerts()
        self.sampler = self._make_sampler()
        self.generations.take_over(self.completer, delivery, self.sampler)
        self.logs = self._make_logs()
        self._measures: Measures | None = None

    def measures(self) -> "Measures":
        """Return the room for what the function has measured and logged through OpenTelemetry's API."""
        if self._measures is None:
            # Only for who uses them.
            from hoptrace_collector.measures import Measures

            inlets = self.delivery.inlet("metrics"), self.delivery.inlet("logs")
            completer = self.completer
            self._measures = Measures(*inlets, self.counters, lambda: completer.origin.resource)
        return self._measures

    def queue_measures(self) -> None:
        """Queue what was measured and logged since the last flush, before anything is remembered as read."""
        if self._measures is not None:
            self._measures.queue()

    def remember(self) -> None:
        """Write down where the next generation goes on; what is left unread by that is none."""
        self.queue_measures()
        self.delivery.unsafe = False
        self.generations.leave(self.reader, self.completer, self.delivery, self.sampler)

    def _make_emf(self) -> "Emf | None":
        measuring = self.settings.measuring
        if not measuring.emf:
            return None
        # Only for who has set it.
        from hoptrace_collector.export.emf import Emf

        name, completer = self.settings.function_name, self.completer
        return Emf(measuring.emf, measuring.namespace, name, self.counters, lambda: completer.origin.resource, self.now)

    def _make_alerts(self) -> "Alerts | None":
        if self.settings.eventbridge is None:
            return None
        # Only for who has set it: hashing and signing are a tenth of the start.
        from hoptrace_collector.alert.wiring import make_alerts

        return make_alerts(self.settings, self.settings.eventbridge, self.counters, clock=self.clock, now=self.now)

    def _make_sampler(self) -> "Sampler | None":
        if self.settings.sampling is None:
            return None
        # Only for who has set it.
        from hoptrace_collector.sampling.sampler import Sampler

        limit = self.settings.queue_bytes // 8
        return Sampler(self.settings.sampling, limit, self.counters, self.delivery.inlet("traces").put, self.now)

    def _make_logs(self) -> "FunctionLogs | None":
        if self.telemetry is None or not self.settings.function_logs:
            return None
        # Only for who has set it, as with alerts.
        from hoptrace_collector.function_logs import FunctionLogs

        return FunctionLogs(
            self.telemetry.take_lines,
            self.delivery.inlet("logs"),
            self.counters,
            opened=self.completer.opened,
            managed=self.settings.managed_instances,
            now=self.now,
        )
