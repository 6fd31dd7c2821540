"""Metrics and logs as OTLP's protobuf; what both have in common with spans stands in `as_protobuf`.

Field numbers are those of `opentelemetry/proto/{metrics,logs}/v1/*.proto`.
"""

from __future__ import annotations

import struct

from .as_protobuf import (
    _attributes,
    _bytes,
    _fixed32,
    _fixed64,
    _id,
    _message,
    _string,
    _tag,
    _value,
    _varint,
)
from .measured import Log, Metric, Point, by_scope, metrics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .batches import Batch

_KINDS = {"gauge": 5, "sum": 7, "histogram": 9}


def metrics_request(batch: Batch) -> bytes:
    """An `ExportMetricsServiceRequest`."""
    scopes = (
        _scope(made_by) + b"".join(_message(2, _metric(metric)) for metric in found)
        for record in batch.metrics
        for made_by, found in metrics(record)
    )
    return _request(batch, b"".join(_message(2, scope) for scope in scopes))


def logs_request(batch: Batch) -> bytes:
    """An `ExportLogsServiceRequest`."""
    scopes = (
        _scope(made_by) + b"".join(_message(2, _log(each)) for each in found)
        for made_by, found in by_scope(batch.logs).items()
    )
    return _request(batch, b"".join(_message(2, scope) for scope in scopes))


def _request(batch: Batch, scopes: bytes) -> bytes:
    return _message(1, _message(1, _attributes(1, batch.resource)) + scopes)


def _scope(made_by: tuple[str, str]) -> bytes:
    return _message(1, _string(1, made_by[0]) + _string(2, made_by[1]))


def _metric(metric: Metric) -> bytes:
    data = b"".join(_message(1, _point(metric, point)) for point in metric.points)
    if metric.kind != "gauge":
        data += _varint(2, metric.temporality)
    if metric.kind == "sum":
        data += _varint(3, metric.monotonic)
    about = _string(1, metric.name) + _string(2, metric.description) + _string(3, metric.unit)
    return about + _message(_KINDS[metric.kind], data)


def _point(metric: Metric, point: Point) -> bytes:
    times = _fixed64(2, point.start) + _fixed64(3, point.end)
    if metric.kind != "histogram":
        value = (
            _double(4, point.value) if isinstance(point.value, float) else _tag(6, 1) + struct.pack("<q", point.value)
        )
        return times + value + _attributes(7, point.attributes)
    return b"".join(
        (
            times,
            _fixed64(4, sum(point.counts)),
            _double(5, point.value),
            _bytes(6, struct.pack(f"<{len(point.counts)}Q", *point.counts)),
            _bytes(7, struct.pack(f"<{len(metric.bounds)}d", *metric.bounds)),
            _attributes(9, point.attributes),
            _double(11, point.least),
            _double(12, point.most),
        )
    )


def _log(log: Log) -> bytes:
    return b"".join(
        (
            _fixed64(1, log.time),
            _varint(2, log.severity),
            _string(3, log.level),
            b"" if log.body is None else _message(5, _value(log.body)),
            _attributes(6, log.attributes),
            _fixed32(8, log.flags),
            _bytes(9, _id(log.trace_id)),
            _bytes(10, _id(log.span_id)),
            _fixed64(11, log.observed),
            _string(12, log.event),
        )
    )


def _double(field: int, value: float) -> bytes:
    """Written also when it is zero: these fields are optional ones or within a oneof."""
    return _tag(field, 1) + struct.pack("<d", value)
