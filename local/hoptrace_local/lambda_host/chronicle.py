"""What is told about an environment's life: telemetry events, and the lines that CloudWatch Logs would show."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

from . import telemetry_events as telemetry
from .desk import Desk
from .extensions_api import Agent
from .faults import Fault, TimedOut
from .invocation import Invocation
from .telemetry_api import TelemetryApi
from .telemetry_events import Event, Stopwatch


class Chronicle:
    """Writes down one environment; `listeners` is the Telemetry API of the generation that lives now."""

    def __init__(self, desk: Desk, log_stream: str) -> None:
        self._desk = desk
        self._config = desk.config
        self._init_type = desk.config.initialization_type
        self._sandbox: dict[str, Any] = {
            "name": desk.config.name,
            "version": desk.config.version,
            "instance_id": log_stream,
            "memory_bytes": desk.config.memory * 1024 * 1024,
            "runtime": f"python:{desk.interpreter.version[0]}.{desk.interpreter.version[1]}",
            "runtime_arn": _runtime_arn(desk),
        }
        self._json_logs = desk.config.environment.get("AWS_LAMBDA_LOG_FORMAT") == "JSON"
        self._lines: list[str] = []
        self.listeners: TelemetryApi | None = None

    # -- init -----------------------------------------------------------------------------------------------------

    def init_started(self, phase: str) -> None:
        """The first process is about to start."""
        self._emit(telemetry.init_start(init_type=self._init_type, phase=phase, **self._sandbox))

    def init_runtime_done(self, phase: str) -> None:
        """The runtime asked for its first event."""
        self._emit(telemetry.init_runtime_done(self._init_type, phase, "success", None))

    def extension_ready(self, agent: Agent) -> None:
        """An extension asked for its first event."""
        self._emit(telemetry.extension(agent.name, "Ready", agent.events))

    def init_done(self, phase: str, watch: Stopwatch) -> None:
        """Everybody is ready."""
        self._emit(telemetry.init_report(self._init_type, phase, "success", None, watch.ms()))

    def init_failed(self, phase: str, fault: Fault, watch: Stopwatch, *, runtime_was_done: bool) -> None:
        """The initialisation came to nothing."""
        status = "timeout" if isinstance(fault, TimedOut) else "error"
        if not runtime_was_done:
            self._emit(telemetry.init_runtime_done(self._init_type, phase, status, fault.reported_type))
        self._emit(telemetry.init_report(self._init_type, phase, status, fault.reported_type, watch.ms()))
        why = "" if status == "timeout" else f"\tError Type: {fault.reported_type}"
        self.log(f"INIT_REPORT Init Duration: {watch.ms():.2f} ms\tPhase: {phase}\tStatus: {status}{why}")

    def restore_started(self) -> None:
        """The snapshot is about to run again."""
        self._emit(telemetry.restore_start(**self._sandbox))

    def restore_done(self, watch: Stopwatch) -> None:
        """The restored runtime asked for its first event."""
        self._emit(telemetry.init_runtime_done(self._init_type, "restore", "success", None, restore=True))
        self._emit(telemetry.init_report(self._init_type, "restore", "success", None, watch.ms(), restore=True))

    def restore_failed(self, fault: Fault, watch: Stopwatch) -> None:
        """The snapshot does not run on, or a hook failed."""
        status = "timeout" if isinstance(fault, TimedOut) else "error"
        kind = fault.reported_type
        self._emit(telemetry.init_runtime_done(self._init_type, "restore", status, kind, restore=True))
        self._emit(telemetry.init_report(self._init_type, "restore", status, kind, watch.ms(), restore=True))
        self.log(f"RESTORE_REPORT Restore Duration: {watch.ms():.2f} ms\tStatus: {status}\tError Type: {kind}")

    # -- invoke ---------------------------------------------------------------------------------------------------

    def started(self, invocation: Invocation) -> Event:
        """The invocation begins; returns the event, for listeners that are not there yet."""
        invocation.lines.extend(self._lines)  # the initialisation's
        self._lines = invocation.lines
        self.log(f"START RequestId: {invocation.request_id} Version: {self._config.version}")
        event = telemetry.start(
            invocation.request_id, self._config.version, invocation.trace_header, invocation.tenant_id
        )
        self._emit(event)
        return event

    def answered(self, invocation: Invocation, watch: Stopwatch, responded: float, done: float) -> None:
        """The runtime answered and asked for the next event; both are monotonic moments."""
        spans = [
            telemetry.span("responseLatency", watch.at(watch.monotonic), watch.ms(responded)),
            telemetry.span("responseDuration", watch.at(responded), 0.0),
            telemetry.span("runtimeOverhead", watch.at(responded), round((done - responded) * 1000, 3)),
        ]
        self._runtime_done(invocation, "success", None, watch.ms(done), spans)

    def failed(self, invocation: Invocation, fault: Fault, watch: Stopwatch) -> None:
        """The invocation ended by a fault."""
        self.log(f"RequestId: {invocation.request_id} Error: {fault.message}")
        self._runtime_done(invocation, *_status(fault), watch.ms(), [])

    def reported(
        self,
        invocation: Invocation,
        fault: Fault | None,
        watch: Stopwatch,
        *,
        init_ms: float | None,
        runtime_done: float,
        memory: int,
    ) -> None:
        """The environment is free again; `memory` is MiB, `runtime_done` a monotonic moment."""
        status, error_type = ("success", None) if fault is None else _status(fault)
        overhead = round((time.monotonic() - runtime_done) * 1000, 3)
        duration = watch.ms()
        self._emit(
            telemetry.report(
                invocation.request_id,
                status,
                error_type,
                duration_ms=duration,
                memory_size=self._config.memory,
                memory_used=memory,
                init_ms=init_ms,
                spans=[telemetry.span("extensionOverhead", watch.at(runtime_done), overhead)],
                trace_header=invocation.trace_header,
            )
        )
        self.log(f"END RequestId: {invocation.request_id}")
        init = "" if init_ms is None else f"\tInit Duration: {init_ms:.2f} ms"
        why = "" if fault is None else f"\tStatus: {status}"
        why += "" if error_type is None else f"\tError Type: {error_type}"
        self.log(
            f"REPORT RequestId: {invocation.request_id}\tDuration: {duration:.2f} ms\t"
            f"Memory Size: {self._config.memory} MB\tMax Memory Used: {memory} MB{init}{why}"
        )
        self._lines = []

    def _runtime_done(
        self,
        invocation: Invocation,
        status: str,
        error_type: str | None,
        duration_ms: float,
        spans: list[dict[str, Any]],
    ) -> None:
        self._emit(
            telemetry.runtime_done(
                invocation.request_id,
                status,
                error_type,
                duration_ms=duration_ms,
                produced_bytes=len(invocation.answer) if status == "success" else None,
                spans=spans,
                trace_header=invocation.trace_header,
                tenant_id=invocation.tenant_id,
            )
        )

    # -- output ---------------------------------------------------------------------------------------------------

    def output(self, category: str, name: str, message: str) -> None:
        """A process said something; `category` is `function` or `extension`."""
        record: object = message
        if category == "function" and self._json_logs:
            try:
                decoded = json.loads(message)
                record = decoded if isinstance(decoded, dict) else message
            except ValueError:
                pass
        self._emit(telemetry.event(category, record))
        self.log(message if category == "function" else f"[{name}] {message}")

    def log(self, line: str) -> None:
        """One line of the log; between invocations it is kept for the next one's."""
        self._lines.append(line)
        self._desk.on_log(line)

    def _emit(self, made: Event) -> None:
        self._desk.on_event(made)
        if self.listeners is not None:
            self.listeners.emit(made)


def _runtime_arn(desk: Desk) -> str:
    digest = hashlib.sha256(".".join(map(str, desk.interpreter.version)).encode()).hexdigest()
    return f"arn:aws:lambda:{desk.config.region}::runtime:{digest}"


def _status(fault: Fault) -> tuple[str, str | None]:
    if isinstance(fault, TimedOut):
        return "timeout", None
    return "failure" if fault.error_type.startswith("Sandbox.") else "error", fault.reported_type
