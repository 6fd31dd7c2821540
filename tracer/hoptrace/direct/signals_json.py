"""Metrics and logs as OTLP's JSON; what both have in common with spans stands in `as_json`."""

from __future__ import annotations

import json
from typing import Any

from .as_json import _attributes, _value
from .measured import Log, Metric, Point, by_scope, metrics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .batches import Batch


def metrics_request(batch: Batch) -> bytes:
    """An `ExportMetricsServiceRequest`."""
    scopes = [
        {"scope": {"name": name, "version": version}, "metrics": [_metric(metric) for metric in found]}
        for record in batch.metrics
        for (name, version), found in metrics(record)
    ]
    return _request("resourceMetrics", "scopeMetrics", batch, scopes)


def logs_request(batch: Batch) -> bytes:
    """An `ExportLogsServiceRequest`."""
    scopes = [
        {"scope": {"name": name, "version": version}, "logRecords": [_log(each) for each in found]}
        for (name, version), found in by_scope(batch.logs).items()
    ]
    return _request("resourceLogs", "scopeLogs", batch, scopes)


def _request(outer: str, inner: str, batch: Batch, scopes: list[dict[str, Any]]) -> bytes:
    found = {outer: [{"resource": {"attributes": _attributes(batch.resource)}, inner: scopes}]}
    return json.dumps(found, separators=(",", ":")).encode("ascii")


def _metric(metric: Metric) -> dict[str, Any]:
    data: dict[str, Any] = {"dataPoints": [_point(metric, point) for point in metric.points]}
    if metric.kind != "gauge":
        data["aggregationTemporality"] = metric.temporality
    if metric.kind == "sum":
        data["isMonotonic"] = metric.monotonic
    return {"name": metric.name, "description": metric.description, "unit": metric.unit, metric.kind: data}


def _point(metric: Metric, point: Point) -> dict[str, Any]:
    found: dict[str, Any] = {
        "attributes": _attributes(point.attributes),
        "startTimeUnixNano": str(point.start),
        "timeUnixNano": str(point.end),
    }
    if metric.kind == "histogram":
        found["count"] = str(sum(point.counts))
        found["sum"] = point.value
        found["bucketCounts"] = [str(count) for count in point.counts]
        found["explicitBounds"] = metric.bounds
        found["min"], found["max"] = point.least, point.most
    elif isinstance(point.value, float):
        found["asDouble"] = point.value
    else:
        found["asInt"] = str(point.value)
    return found


def _log(log: Log) -> dict[str, Any]:
    found: dict[str, Any] = {
        "timeUnixNano": str(log.time),
        "observedTimeUnixNano": str(log.observed),
        "severityNumber": log.severity,
        "severityText": log.level,
        "attributes": _attributes(log.attributes),
        "flags": log.flags,
        "traceId": log.trace_id,
        "spanId": log.span_id,
        "eventName": log.event,
    }
    if log.body is not None:
        found["body"] = _value(log.body)
    return found
