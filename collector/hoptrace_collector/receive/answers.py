"""What whoever sends OTLP/HTTP is told ("OTLP/HTTP Response" of the OTLP specification), wherever it is received."""

import json
from typing import NamedTuple, Protocol

from hoptrace_collector.counters import DROPPED, RECEIVED, Counters
from hoptrace_collector.receive.otlp import JSON, PROTOBUF, Batch

__all__ = ["Answer", "Takes", "kind_of", "refuse", "take"]

_PREFIXES = {"traces": "", "metrics": "metrics_", "logs": "logs_"}


class Takes(Protocol):
    """Where batches go."""

    limit: int

    def put(self, batch: Batch, /) -> str:
        """Answer `taken`, `full` or `nowhere`."""


class Answer(NamedTuple):
    """Status and body; `wait` is what Retry-After says, in seconds (0: nothing)."""

    status: int
    body: bytes = b""
    wait: int = 0


def kind_of(content_type: str) -> str:
    """Return the content type of the answer, which is the request's."""
    return JSON if content_type.partition(";")[0].strip().lower() == JSON else PROTOBUF


def take(takes: Takes, batch: Batch, kind: str, counters: Counters) -> Answer:
    """Hand a batch over, count it, and return what its sender is told."""
    prefix = _PREFIXES[batch.signal]
    outcome = takes.put(batch)
    if outcome == "full":
        return refuse(503, "too much waits for the backend", kind, counters, wait=1)
    if batch.amount:
        counters.add(prefix + RECEIVED, "", batch.amount)
    if outcome == "nowhere" and batch.amount:
        counters.add(prefix + DROPPED, "no_endpoint", batch.amount)
        counters.say(
            f"nowhere {batch.signal}",
            f"{batch.signal} were received but go nowhere: no endpoint is set for them, or "
            f"OTEL_{batch.signal.upper()}_EXPORTER=none",
        )
        return Answer(200, _partial_success(batch, kind))
    return Answer(200, b"{}" if kind == JSON else b"")


def refuse(status: int, reason: str, kind: str, counters: Counters, *, wait: int = 0) -> Answer:
    """Count a refusal, and return it."""
    counters.add("otlp_refused", str(status))
    return Answer(status, _status(reason, kind), wait)


def _status(reason: str, kind: str) -> bytes:
    """Return a google.rpc.Status with its message (field 2)."""
    if kind == JSON:
        return json.dumps({"message": reason}).encode()
    text = reason.encode("utf-8", "replace")[:120]  # shorter than what takes a second byte of length
    return bytes([2 << 3 | 2, len(text)]) + text


def _partial_success(batch: Batch, kind: str) -> bytes:
    """Return the answer that says that nothing was taken and need not be sent again."""
    reason = f"{batch.signal} go nowhere: no endpoint is set"
    if kind == JSON:
        field = {"traces": "rejectedSpans", "metrics": "rejectedDataPoints", "logs": "rejectedLogRecords"}
        return json.dumps({"partialSuccess": {field[batch.signal]: str(batch.amount), "errorMessage": reason}}).encode()
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    # The fields have the same numbers in the answers of all signals.
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = batch.amount
    response.partial_success.error_message = reason
    return bytes(response.SerializeToString())
