"""OTLP log records that a backend got, read by opentelemetry-proto."""

from typing import Any, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs

from tests.collector.support import Backend, unpacked


class Got(NamedTuple):
    """One record."""

    body: Any
    attributes: dict[str, Any]
    trace_id: str
    span_id: str
    flags: int
    severity: int
    level: str
    time: int
    observed: int
    logger: str
    resource: dict[str, Any]
    cut: int


def plain(value: Any) -> Any:
    """An AnyValue as Python has it."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return pairs(value.kvlist_value.values)
    return getattr(value, kind) if kind else None


def pairs(values: Any) -> dict[str, Any]:
    return {pair.key: plain(pair.value) for pair in values}


def parsed(body: bytes) -> list[Got]:
    """The records of one request."""
    return [
        Got(
            plain(record.body),
            pairs(record.attributes),
            record.trace_id.hex(),
            record.span_id.hex(),
            record.flags,
            record.severity_number,
            record.severity_text,
            record.time_unix_nano,
            record.observed_time_unix_nano,
            scope.scope.name,
            pairs(resource.resource.attributes),
            record.dropped_attributes_count,
        )
        for resource in ExportLogsServiceRequest.FromString(body).resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]


def logs_of(backend: Backend) -> list[Got]:
    """Everything that has come to `/v1/logs`."""
    posted = [each for each in backend.requests if each.path == "/v1/logs"]
    return [record for each in posted for record in parsed(unpacked(each))]


def field_of(piece: bytes) -> bytes:
    """A request of this one ResourceLogs."""
    return ExportLogsServiceRequest(resource_logs=[ResourceLogs.FromString(piece)]).SerializeToString()
