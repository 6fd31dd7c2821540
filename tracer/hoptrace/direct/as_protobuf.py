"""OTLP as protobuf, written by hand: 150 lines instead of a dependency that may clash with the user's own protobuf.

Field numbers are those of `opentelemetry/proto/{collector/trace,trace,resource,common}/v1/*.proto`; tests compare with
the messages that are generated from these. Wire types: 0 varint, 1 eight bytes, 2 a length and so many bytes, 5 four
bytes. Fields of the default value are left out, as proto3 does, except within a oneof.
"""

from __future__ import annotations

import struct

from .as_json import INT64, number, text
from .batches import grouped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .batches import Batch

CONTENT_TYPE = "application/x-protobuf"

_MOST = 2**64 - 1


def request(batch: Batch) -> bytes:
    """An `ExportTraceServiceRequest`."""
    parts = []
    for resource, scope, found in grouped(batch):
        spans = _message(1, _string(1, scope[0]) + _string(2, scope[1]))
        spans += b"".join(_message(2, _span(span)) for span in found)
        parts.append(_message(1, _message(1, _attributes(1, resource)) + _message(2, spans)))
    return b"".join(parts)


def rejected(body: bytes) -> tuple[int, str]:
    """How many spans, points or records a backend did not take of a request that it answered with 200, and why.

    Reads the fields 1 and 2 of field 1 (`partial_success`); an answer that is no protobuf says nothing.
    """
    try:
        partial = _fields(body).get(1, b"")
        found = _fields(partial if isinstance(partial, bytes) else b"")
    except (IndexError, ValueError):
        return 0, ""
    count, why = found.get(1, 0), found.get(2, b"")
    count = count if isinstance(count, int) and count in INT64 else 0
    return count, why.decode("utf-8", "replace") if isinstance(why, bytes) else ""


def _span(span: Mapping[str, Any]) -> bytes:
    parts = [
        _bytes(1, _id(span.get("trace_id"))),
        _bytes(2, _id(span.get("span_id"))),
        _string(3, text(span.get("trace_state"))),
        _bytes(4, _id(span.get("parent_id"))),
        _string(5, text(span.get("name"))),
        _varint(6, number(span.get("kind"), 5)),
        _fixed64(7, number(span.get("start"), _MOST)),
        _fixed64(8, number(span.get("end"), _MOST)),
        _attributes(9, span.get("attributes")),
    ]
    for event in span.get("events") or ():
        inner = _fixed64(1, number(event.get("time"), _MOST)) + _string(2, text(event.get("name")))
        parts.append(_message(11, inner + _attributes(3, event.get("attributes"))))
    for link in span.get("links") or ():
        inner = _bytes(1, _id(link.get("trace_id"))) + _bytes(2, _id(link.get("span_id")))
        inner += _string(3, text(link.get("trace_state"))) + _attributes(4, link.get("attributes"))
        parts.append(_message(13, inner))
    if span.get("status"):
        code, message = span["status"]
        parts.append(_message(15, _string(2, text(message)) + _varint(3, number(code, 2))))
    parts.append(_fixed32(16, number(span.get("flags"), 0xFFFFFFFF)))
    return b"".join(parts)


def _attributes(field: int, found: Any) -> bytes:
    items = found.items() if isinstance(found, dict) else ()
    return b"".join(_message(field, _string(1, text(key)) + _message(2, _value(value))) for key, value in items)


def _value(value: Any) -> bytes:
    """An `AnyValue`; its fields are a oneof, so that an empty string is written too."""
    if isinstance(value, bool):
        return _tag(2, 0) + (b"\x01" if value else b"\x00")
    if isinstance(value, int) and value in INT64:
        return _tag(3, 0) + _number(value & _MOST)
    if isinstance(value, float):
        return _tag(4, 1) + struct.pack("<d", value)
    if isinstance(value, list):
        return _message(5, b"".join(_message(1, _value(item)) for item in value))
    if isinstance(value, dict):
        return _message(6, _attributes(1, value))
    return _message(1, text(value).encode())


def _id(value: Any) -> bytes:
    try:
        return bytes.fromhex(value)
    except (ValueError, TypeError):
        return b""


def _tag(field: int, wire: int) -> bytes:
    return _number(field << 3 | wire)


def _number(value: int) -> bytes:
    """A varint: seven bits a byte, the lowest first, the highest bit set on all but the last."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _message(field: int, content: bytes) -> bytes:
    return _tag(field, 2) + _number(len(content)) + content


def _bytes(field: int, content: bytes) -> bytes:
    return _message(field, content) if content else b""


def _string(field: int, content: str) -> bytes:
    return _bytes(field, content.encode())


def _varint(field: int, value: int) -> bytes:
    return _tag(field, 0) + _number(value) if value else b""


def _fixed64(field: int, value: int) -> bytes:
    return _tag(field, 1) + value.to_bytes(8, "little") if value else b""


def _fixed32(field: int, value: int) -> bytes:
    return _tag(field, 5) + value.to_bytes(4, "little") if value else b""


def _fields(message: bytes) -> dict[int, int | bytes]:
    """The last value of each field; IndexError or ValueError when it is no message."""
    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(message):
        tag, at = _read_number(message, at)
        if tag & 7 == 0:
            value, at = _read_number(message, at)
            found[tag >> 3] = value
            continue
        size, at = (8, at) if tag & 7 == 1 else (4, at) if tag & 7 == 5 else _read_number(message, at)
        if tag & 7 not in (1, 2, 5) or at + size > len(message):
            raise ValueError("not a message")
        found[tag >> 3] = message[at : at + size]
        at += size
    return found


def _read_number(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("not a number")
