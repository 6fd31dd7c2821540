"""Writes function logs as OTLP protobuf, in pieces of one resource that a queue can drop one by one."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as LogMessage

from hoptrace_collector.export.encode import any_value, field, key_values, resource_message, unix_nano
from hoptrace_collector.model import LogRecord

__all__ = ["encode_logs", "encode_record"]

LONGEST = 256 * 1024
_PIECE_RECORDS = 128
_PIECE_BYTES = 64 * 1024

# Field numbers of opentelemetry/proto/logs/v1/logs.proto.
_RESOURCE_LOGS_RESOURCE = 1
_RESOURCE_LOGS_SCOPE_LOGS = 2
_SCOPE_LOGS_SCOPE = 1
_SCOPE_LOGS_RECORDS = 2


def encode_record(record: LogRecord) -> bytes:
    """Return one `LogRecord`; of one that is too large, as much of its body as text as fits."""
    data = _message(record, record.body, record.attributes, record.cut)
    if len(data) <= LONGEST:
        return data
    body = record.body if isinstance(record.body, str) else json.dumps(record.body, ensure_ascii=False)
    kept = {key: value for key, value in record.attributes.items() if key == "faas.invocation_id"}
    # A character has four bytes at most.
    return _message(record, body[: LONGEST // 4], kept, record.cut + len(record.attributes) - len(kept))


def _message(record: LogRecord, body: Any, attributes: dict[str, Any], cut: int) -> bytes:
    severity: Any = record.severity
    message = LogMessage(
        time_unix_nano=unix_nano(record.time),
        observed_time_unix_nano=unix_nano(record.observed),
        severity_number=severity,
        severity_text=record.level,
        body=None if body is None else any_value(body),
        attributes=key_values(attributes.items()),
        dropped_attributes_count=cut,
        flags=record.flags,
        trace_id=record.trace_id,
        span_id=record.span_id,
        event_name=record.event,
    )
    return bytes(message.SerializeToString())


def encode_logs(resource: tuple[tuple[str, Any], ...], records: Iterable[LogRecord]) -> Iterator[tuple[bytes, int]]:
    """Give pieces, each a `ResourceLogs` with a scope for each logger, and how many records are in it."""
    head = field(_RESOURCE_LOGS_RESOURCE, resource_message(resource).SerializeToString())
    by_logger: dict[tuple[str, str], list[bytes]] = {}
    count = size = 0
    for record in records:
        data = encode_record(record)
        if count and (count >= _PIECE_RECORDS or size + len(data) > _PIECE_BYTES):
            yield _piece(head, by_logger), count
            by_logger, count, size = {}, 0, 0
        by_logger.setdefault((record.logger, record.version), []).append(data)
        count, size = count + 1, size + len(data)
    if count:
        yield _piece(head, by_logger), count


def _piece(head: bytes, by_logger: dict[tuple[str, str], list[bytes]]) -> bytes:
    scopes = (
        field(
            _RESOURCE_LOGS_SCOPE_LOGS,
            field(_SCOPE_LOGS_SCOPE, InstrumentationScope(name=name, version=version).SerializeToString())
            + b"".join(field(_SCOPE_LOGS_RECORDS, data) for data in records),
        )
        for (name, version), records in by_logger.items()
    )
    return head + b"".join(scopes)
