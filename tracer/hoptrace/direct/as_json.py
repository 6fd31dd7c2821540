"""OTLP as JSON, by its specification's "JSON Protobuf Encoding": ids in hex, enums as numbers, 64 bits as strings."""

from __future__ import annotations

import json
import math

from .batches import grouped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .batches import Batch

CONTENT_TYPE = "application/json"

_MOST = 2**64 - 1
INT64 = range(-(2**63), 2**63)


def request(batch: Batch) -> bytes:
    """An `ExportTraceServiceRequest`."""
    found = {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(resource)},
                "scopeSpans": [
                    {"scope": {"name": scope[0], "version": scope[1]}, "spans": [_span(span) for span in spans]}
                ],
            }
            for resource, scope, spans in grouped(batch)
        ]
    }
    return json.dumps(found, separators=(",", ":")).encode("ascii")


def rejected(body: bytes) -> tuple[int, str]:
    """How many spans, points or records a backend did not take of a request that it answered with 200, and why."""
    try:
        found = json.loads(body)["partialSuccess"]
        count = next((value for name, value in found.items() if name.startswith("rejected")), 0)
        return int(count), str(found.get("errorMessage", ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return 0, ""


def _span(span: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "traceId": text(span.get("trace_id")),
        "spanId": text(span.get("span_id")),
        "name": text(span.get("name")),
        "kind": number(span.get("kind"), 5),
        "startTimeUnixNano": str(number(span.get("start"), _MOST)),
        "endTimeUnixNano": str(number(span.get("end"), _MOST)),
        "flags": number(span.get("flags"), 0xFFFFFFFF),
        "attributes": _attributes(span.get("attributes")),
    }
    if span.get("parent_id"):
        found["parentSpanId"] = text(span["parent_id"])
    if span.get("trace_state"):
        found["traceState"] = text(span["trace_state"])
    if span.get("events"):
        found["events"] = [
            {
                "name": text(event.get("name")),
                "timeUnixNano": str(number(event.get("time"), _MOST)),
                "attributes": _attributes(event.get("attributes")),
            }
            for event in span["events"]
        ]
    if span.get("links"):
        found["links"] = [
            {
                "traceId": text(link.get("trace_id")),
                "spanId": text(link.get("span_id")),
                "traceState": text(link.get("trace_state")),
                "attributes": _attributes(link.get("attributes")),
            }
            for link in span["links"]
        ]
    if span.get("status"):
        code, message = span["status"]
        found["status"] = {"code": number(code, 2), "message": text(message)}
    return found


def _attributes(found: Any) -> list[dict[str, Any]]:
    items = found.items() if isinstance(found, dict) else ()
    return [{"key": text(key), "value": _value(value)} for key, value in items]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int) and value in INT64:
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value if math.isfinite(value) else _NAMES.get(value, "NaN")}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(item) for item in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": _attributes(value)}}
    return {"stringValue": text(value)}


_NAMES = {math.inf: "Infinity", -math.inf: "-Infinity"}


def text(value: Any) -> str:
    """A string that UTF-8 can carry: half a surrogate pair, which a record may hold, becomes a question mark."""
    if value is None:
        return ""
    found = value if isinstance(value, str) else str(value)
    return found if found.isascii() else found.encode("utf-8", "replace").decode("utf-8")


def number(value: Any, most: int) -> int:
    """A whole number from 0 to `most`; 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return min(max(value, 0), most)
