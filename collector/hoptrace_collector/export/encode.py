"""Writes spans and metrics as OTLP protobuf.

A span is encoded once, when it is queued: its bytes are then both the bound on memory and the piece that batches are
put together from, so that splitting a refused batch costs nothing. Putting together means writing the two outer
messages by hand: a length-delimited field is a tag, a length and the bytes.
"""

from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, ResourceMetrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from hoptrace_collector.fit import INT64_MAX, UINT64_MAX
from hoptrace_collector.model import Histogram, Number, Origin, Span

__all__ = [
    "encode_foreign",
    "encode_metrics",
    "encode_span",
    "encode_traces",
    "with_trace_state",
    "without_trace_state",
]

SCOPE = ("hoptrace_collector", "0.1.0")

# Field numbers of opentelemetry/proto/trace/v1/trace.proto and collector/trace/v1/trace_service.proto.
_REQUEST_RESOURCE_SPANS = 1
_RESOURCE_SPANS_RESOURCE = 1
_RESOURCE_SPANS_SCOPE_SPANS = 2
_SCOPE_SPANS_SCOPE = 1
_SCOPE_SPANS_SPANS = 2
_SPAN_TRACE_STATE = 3


_DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
_CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE


def encode_span(span: Span, *, trace_state: str | None = None) -> bytes:
    """Return one `opentelemetry.proto.trace.v1.Span`, with its own tracestate or another one."""
    kind: Any = span.kind
    message = SpanMessage(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_id,
        trace_state=span.trace_state if trace_state is None else trace_state,
        flags=span.flags & 0xFFFFFFFF,
        name=span.name,
        kind=kind,
        start_time_unix_nano=unix_nano(span.start),
        end_time_unix_nano=unix_nano(span.end),
        attributes=key_values(span.attributes.items()),
    )
    for event in span.events:
        message.events.add(
            name=event.name, time_unix_nano=unix_nano(event.time), attributes=key_values(event.attributes.items())
        )
    for link in span.links:
        message.links.add(
            trace_id=link.trace_id,
            span_id=link.span_id,
            trace_state=link.trace_state,
            attributes=key_values(link.attributes.items()),
        )
    if span.status or span.status_message:
        status: Any = span.status
        message.status.code = status
        message.status.message = span.status_message
    return bytes(message.SerializeToString())


def with_trace_state(span: bytes, trace_state: str) -> bytes:
    """Return a span that was encoded without a tracestate, with one: a message's fields may stand in any order."""
    return span + field(_SPAN_TRACE_STATE, trace_state.encode()) if trace_state else span


def without_trace_state(span: bytes) -> tuple[bytes, Any]:
    """Undo it: return the span without its tracestate, and the whole as a message."""
    message, bare = SpanMessage.FromString(span), SpanMessage.FromString(span)
    bare.ClearField("trace_state")
    return bytes(bare.SerializeToString()), message


def encode_traces(groups: Iterable[tuple[Origin, list[bytes]]]) -> bytes:
    """Return an `ExportTraceServiceRequest` of encoded spans, grouped by who made them."""
    by_resource: dict[Any, list[bytes]] = {}
    for origin, spans in groups:
        scope = InstrumentationScope(name=origin.scope[0], version=origin.scope[1]).SerializeToString()
        scope_spans = field(_SCOPE_SPANS_SCOPE, scope) + b"".join(field(_SCOPE_SPANS_SPANS, span) for span in spans)
        by_resource.setdefault(origin.resource, []).append(field(_RESOURCE_SPANS_SCOPE_SPANS, scope_spans))
    out = []
    for resource, scopes in by_resource.items():
        head = field(_RESOURCE_SPANS_RESOURCE, resource_message(resource).SerializeToString())
        out.append(field(_REQUEST_RESOURCE_SPANS, head + b"".join(scopes)))
    return b"".join(out)


def encode_foreign(parts: Iterable[bytes]) -> bytes:
    """Return a request of encoded ResourceSpans, ResourceMetrics or ResourceLogs: the field's number is 1 in all."""
    return b"".join(field(_REQUEST_RESOURCE_SPANS, part) for part in parts)


def encode_metrics(
    resource: tuple[tuple[str, Any], ...], points: Iterable[Number | Histogram], scope: tuple[str, str] = SCOPE
) -> bytes:
    """Return a `ResourceMetrics`; sums have delta temporality unless they say otherwise, and histograms have."""
    resource_metrics = ResourceMetrics(resource=resource_message(resource))
    scope_metrics = resource_metrics.scope_metrics.add(scope=InstrumentationScope(name=scope[0], version=scope[1]))
    metrics: dict[Any, Any] = {}
    for point in points:
        kind = "histogram" if isinstance(point, Histogram) else (point.kind, point.monotonic, point.cumulative)
        key = (kind, point.name, point.unit, point.description)
        metric = metrics.get(key)
        if metric is None:
            metric = metrics[key] = scope_metrics.metrics.add(
                name=point.name, unit=point.unit, description=point.description
            )
        if isinstance(point, Histogram):
            _add_histogram(metric, point)
        else:
            _add_number(metric, point)
    return bytes(resource_metrics.SerializeToString())


def _add_number(metric: Any, point: Number) -> None:
    if point.kind == "gauge":
        data_point = metric.gauge.data_points.add()
    else:
        metric.sum.aggregation_temporality = _CUMULATIVE if point.cumulative else _DELTA
        metric.sum.is_monotonic = point.monotonic
        data_point = metric.sum.data_points.add()
        data_point.start_time_unix_nano = unix_nano(point.start)
    data_point.time_unix_nano = unix_nano(point.end)
    data_point.attributes.extend(key_values(point.attributes))
    if isinstance(point.value, int):
        data_point.as_int = max(min(point.value, INT64_MAX), -INT64_MAX - 1)
    else:
        data_point.as_double = point.value


def _add_histogram(metric: Any, point: Histogram) -> None:
    metric.histogram.aggregation_temporality = _DELTA
    metric.histogram.data_points.add(
        start_time_unix_nano=unix_nano(point.start),
        time_unix_nano=unix_nano(point.end),
        attributes=key_values(point.attributes),
        count=sum(point.counts),
        sum=point.total,
        min=point.least,
        max=point.most,
        explicit_bounds=point.bounds,
        bucket_counts=point.counts,
    )


def resource_message(attributes: tuple[tuple[str, Any], ...]) -> Any:
    return Resource(attributes=key_values(attributes))


def key_values(attributes: Iterable[tuple[str, Any]]) -> list[Any]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes]


def any_value(value: Any) -> Any:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    out = AnyValue()
    if isinstance(value, dict):
        out.kvlist_value.SetInParent()
        out.kvlist_value.values.extend(key_values(value.items()))
    else:
        out.array_value.SetInParent()
        out.array_value.values.extend(any_value(item) for item in value)
    return out


def unix_nano(nanoseconds: int) -> int:
    return min(max(nanoseconds, 0), UINT64_MAX)


def field(number: int, data: bytes) -> bytes:
    """Return a length-delimited field: tag (wire type 2), length as a varint, the bytes."""
    length, size = bytearray(), len(data)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return bytes([number << 3 | 2]) + bytes(length) + data
