"""What arrived by OTLP, as small plain values.

The wire format is `opentelemetry-proto`'s business: this file turns its messages into values that the report, the demo
and the tests can read, compare and print without knowing protobuf. Nothing here speaks HTTP.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

REQUESTS: dict[str, Any] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}

KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUSES = ("UNSET", "OK", "ERROR")
TEMPORALITIES = ("UNSPECIFIED", "DELTA", "CUMULATIVE")
IDS = frozenset({"traceId", "spanId", "parentSpanId"})

Attributes = Mapping[str, Any]


class MalformedOtlp(ValueError):
    """The body is not an OTLP export request of the announced encoding."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at one moment of a span; `time` in ns since the epoch."""

    name: str
    time: int
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """A span that this one was caused by without being its child."""

    trace_id: str
    span_id: str
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """One span with its sender's resource; ids in hex, times in ns since the epoch, kind and status as OTLP names."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start: int
    end: int
    kind: str = "INTERNAL"
    status: str = "UNSET"
    message: str = ""
    attributes: Attributes = field(default_factory=dict)
    resource: Attributes = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    links: tuple[Link, ...] = ()
    scope: str = ""

    @property
    def service(self) -> str:
        """The function's name, or the service's where the sender is no function."""
        return str(self.resource.get("faas.name") or self.resource.get("service.name") or "?")

    @property
    def failed(self) -> bool:
        """Whether the span's status is ERROR."""
        return self.status == "ERROR"

    @property
    def duration(self) -> int:
        """Nanoseconds from start to end."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Point:
    """One data point of a metric; `value` is the number, or a histogram's sum; `count` is a histogram's count."""

    name: str
    unit: str
    type: str
    temporality: str
    start: int
    time: int
    value: float
    count: int = 1
    minimum: float | None = None
    maximum: float | None = None
    attributes: Attributes = field(default_factory=dict)
    resource: Attributes = field(default_factory=dict)


def parse(signal: str, body: bytes, *, as_json: bool) -> Any:
    """Parse one export request of `signal` ("traces", "metrics" or "logs").

    Raises:
        MalformedOtlp: the body is not such a request.
    """
    request = REQUESTS[signal]()
    try:
        if as_json:
            content = json.loads(body)
            if not isinstance(content, dict):
                raise MalformedOtlp("not a JSON object")
            json_format.ParseDict(_with_base64_ids(content), request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(body)
    except (DecodeError, json_format.ParseError, ValueError, TypeError, RecursionError) as error:
        raise MalformedOtlp(str(error)) from error
    return request


def spans_of(request: Any) -> list[Span]:
    """Read every span of an ExportTraceServiceRequest, in its order."""
    found: list[Span] = []
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes)
        for scope in group.scope_spans:
            found += [_span(span, resource, scope.scope.name) for span in scope.spans]
    return found


def points_of(request: Any) -> list[Point]:
    """Read every data point of an ExportMetricsServiceRequest, in its order."""
    found: list[Point] = []
    for group in request.resource_metrics:
        resource = _attributes(group.resource.attributes)
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                found += _points(metric, resource)
    return found


def _span(span: Any, resource: Attributes, scope: str) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        kind=_named(KINDS, span.kind),
        status=_named(STATUSES, span.status.code),
        message=span.status.message,
        attributes=_attributes(span.attributes),
        resource=resource,
        events=tuple(Event(e.name, e.time_unix_nano, _attributes(e.attributes)) for e in span.events),
        links=tuple(Link(li.trace_id.hex(), li.span_id.hex(), _attributes(li.attributes)) for li in span.links),
        scope=scope,
    )


def _points(metric: Any, resource: Attributes) -> Iterable[Point]:
    kind = metric.WhichOneof("data")
    if kind not in {"sum", "gauge", "histogram"}:
        return
    data = getattr(metric, kind)
    temporality = _named(TEMPORALITIES, data.aggregation_temporality) if kind != "gauge" else "UNSPECIFIED"
    for point in data.data_points:
        histogram = kind == "histogram"
        yield Point(
            name=metric.name,
            unit=metric.unit,
            type=kind,
            temporality=temporality,
            start=point.start_time_unix_nano,
            time=point.time_unix_nano,
            value=float(point.sum if histogram else getattr(point, point.WhichOneof("value") or "as_double")),
            count=point.count if histogram else 1,
            minimum=point.min if histogram and point.HasField("min") else None,
            maximum=point.max if histogram and point.HasField("max") else None,
            attributes=_attributes(point.attributes),
            resource=resource,
        )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind)


def _named(names: tuple[str, ...], number: int) -> str:
    return names[number] if 0 <= number < len(names) else str(number)


def _with_base64_ids(value: Any) -> Any:
    """OTLP's JSON has ids in hex where protobuf's JSON has base64 (OTLP specification, "JSON Protobuf Encoding")."""
    if isinstance(value, dict):
        return {
            key: base64.b64encode(bytes.fromhex(item)).decode()
            if key in IDS and isinstance(item, str)
            else _with_base64_ids(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_with_base64_ids(item) for item in value]
    return value
