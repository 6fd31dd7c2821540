"""The requests of OTLP as protobuf has them, the same for three signals but for names."""

from typing import Any, NamedTuple

__all__ = ["WAYS", "Part", "new_request", "parts_of", "points_of"]

# The repeated fields on the way from a request to what is counted; a metric has data points below it.
WAYS = {
    "traces": ("resource_spans", "scope_spans", "spans"),
    "metrics": ("resource_metrics", "scope_metrics", "metrics"),
    "logs": ("resource_logs", "scope_logs", "log_records"),
}


class Part(NamedTuple):
    """An encoded ResourceSpans, ResourceMetrics or ResourceLogs, and how many spans, points or records it has."""

    data: bytes
    amount: int


def new_request(signal: str) -> Any:
    """Return an empty Export…ServiceRequest; what is not used is not loaded."""
    if signal == "traces":
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        return ExportTraceServiceRequest()
    if signal == "metrics":
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

        return ExportMetricsServiceRequest()
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    return ExportLogsServiceRequest()


def parts_of(signal: str, request: Any) -> list[Part]:
    """Return a request in pieces of one resource each."""
    resources, scopes, ends = WAYS[signal]
    out = []
    for resource in getattr(request, resources):
        groups = [getattr(scope, ends) for scope in getattr(resource, scopes)]
        amount = (
            sum(len(points_of(metric)) for group in groups for metric in group)
            if signal == "metrics"
            else sum(len(group) for group in groups)
        )
        out.append(Part(bytes(resource.SerializeToString()), amount))
    return out


def points_of(metric: Any) -> Any:
    """Return the data points of a metric, whatever its kind."""
    kind = metric.WhichOneof("data")
    return getattr(metric, kind).data_points if kind else ()
