"""The records of platform events, as the Telemetry API delivers them.

Source: AWS Lambda developer guide, "Lambda Telemetry API Event schema reference". Every number in spans and metrics is
a float, as the service sends them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .invocation import iso_time

Event = dict[str, Any]


class Stopwatch:
    """A moment on both clocks: the wall for `start`, the monotonic one for durations."""

    __slots__ = ("monotonic", "wall")

    def __init__(self) -> None:
        self.wall = time.time()
        self.monotonic = time.monotonic()

    def ms(self, until: float | None = None) -> float:
        """Milliseconds from here until now (or until a monotonic moment)."""
        return round(((time.monotonic() if until is None else until) - self.monotonic) * 1000, 3)

    def at(self, monotonic: float) -> str:
        """The wall time of a monotonic moment."""
        return iso_time(self.wall + monotonic - self.monotonic)


def event(kind: str, record: object) -> Event:
    """One telemetry event, generated now."""
    return {"time": iso_time(), "type": kind, "record": record}


def span(name: str, start: str, duration_ms: float) -> dict[str, Any]:
    """One element of a record's `spans`."""
    return {"name": name, "start": start, "durationMs": float(duration_ms)}


def init_start(
    *,
    name: str,
    version: str,
    init_type: str,
    phase: str,
    instance_id: str,
    memory_bytes: int,
    runtime: str,
    runtime_arn: str,
) -> Event:
    """`platform.initStart`."""
    return event(
        "platform.initStart",
        {
            "initializationType": init_type,
            "phase": phase,
            "functionName": name,
            "functionVersion": version,
            "instanceId": instance_id,
            "instanceMaxMemory": memory_bytes,
            "runtimeVersion": runtime,
            "runtimeVersionArn": runtime_arn,
        },
    )


def init_runtime_done(
    init_type: str, phase: str, status: str, error_type: str | None, *, restore: bool = False
) -> Event:
    """`platform.initRuntimeDone`, or `platform.restoreRuntimeDone`."""
    record = {"initializationType": init_type, "phase": phase, "status": status}
    kind = "platform.restoreRuntimeDone" if restore else "platform.initRuntimeDone"
    return event(kind, _with_error(record, error_type))


def init_report(
    init_type: str, phase: str, status: str, error_type: str | None, duration_ms: float, *, restore: bool = False
) -> Event:
    """`platform.initReport`, or `platform.restoreReport`."""
    record: dict[str, Any] = {"initializationType": init_type, "phase": phase, "status": status}
    record["metrics"] = {"durationMs": float(duration_ms)}
    return event("platform.restoreReport" if restore else "platform.initReport", _with_error(record, error_type))


def restore_start(
    *, name: str, version: str, instance_id: str, memory_bytes: int, runtime: str, runtime_arn: str
) -> Event:
    """`platform.restoreStart`."""
    return event(
        "platform.restoreStart",
        {
            "functionName": name,
            "functionVersion": version,
            "instanceId": instance_id,
            "instanceMaxMemory": memory_bytes,
            "runtimeVersion": runtime,
            "runtimeVersionArn": runtime_arn,
        },
    )


def start(request_id: str, version: str, trace_header: str, tenant_id: str = "") -> Event:
    """`platform.start`."""
    record = {"requestId": request_id, "version": version, **_tracing(trace_header)}
    return event("platform.start", record | _tenant(tenant_id))


def runtime_done(
    request_id: str,
    status: str,
    error_type: str | None,
    *,
    duration_ms: float,
    produced_bytes: int | None,
    spans: Sequence[Mapping[str, Any]],
    trace_header: str,
    tenant_id: str = "",
) -> Event:
    """`platform.runtimeDone`; without `produced_bytes` the runtime produced nothing."""
    metrics: dict[str, Any] = {"durationMs": float(duration_ms)}
    if produced_bytes is not None:
        metrics["producedBytes"] = float(produced_bytes)
    record = {"requestId": request_id, "status": status, "metrics": metrics, "spans": list(spans)}
    return event("platform.runtimeDone", _with_error(record | _tracing(trace_header) | _tenant(tenant_id), error_type))


def report(
    request_id: str,
    status: str,
    error_type: str | None,
    *,
    duration_ms: float,
    memory_size: int,
    memory_used: int,
    init_ms: float | None,
    spans: Sequence[Mapping[str, Any]],
    trace_header: str,
) -> Event:
    """`platform.report`; the memory figures are MiB."""
    metrics = {
        "durationMs": float(duration_ms),
        "billedDurationMs": float(math.ceil(duration_ms + (init_ms or 0.0))),
        "memorySizeMB": float(memory_size),
        "maxMemoryUsedMB": float(memory_used),
    }
    if init_ms is not None:
        metrics["initDurationMs"] = float(init_ms)
    record = {"requestId": request_id, "status": status, "metrics": metrics, "spans": list(spans)}
    return event("platform.report", _with_error(record | _tracing(trace_header), error_type))


def extension(name: str, state: str, events: Iterable[str], error_type: str | None = None) -> Event:
    """`platform.extension`."""
    return event(
        "platform.extension", _with_error({"name": name, "state": state, "events": sorted(events)}, error_type)
    )


def subscription(name: str, types: Sequence[str]) -> Event:
    """`platform.telemetrySubscription`."""
    return event("platform.telemetrySubscription", {"name": name, "state": "Subscribed", "types": list(types)})


def logs_dropped(records: int, size: int) -> Event:
    """`platform.logsDropped`: the subscriber was too slow."""
    reason = "Consumer seems to have fallen behind as it has not acknowledged receipt of logs."
    return event("platform.logsDropped", {"reason": reason, "droppedRecords": records, "droppedBytes": size})


def _with_error(record: dict[str, Any], error_type: str | None) -> dict[str, Any]:
    return record if error_type is None else {**record, "errorType": error_type}


def _tenant(tenant_id: str) -> dict[str, Any]:
    return {"tenantId": tenant_id} if tenant_id else {}


def _tracing(trace_header: str) -> dict[str, Any]:
    if not trace_header:
        return {}
    tracing = {"type": "X-Amzn-Trace-Id", "value": trace_header}
    fields = dict(part.split("=", 1) for part in trace_header.split(";") if "=" in part)
    if "Parent" in fields:
        tracing["spanId"] = fields["Parent"]
    return {"tracing": tracing}
