"""OTLP's JSON, both ways: it is protobuf's JSON but for ids, which are hexadecimal, and enums, which are numbers.

By "OTLP/HTTP, JSON Protobuf Encoding" of the OTLP specification: `traceId` and `spanId` are case-insensitive hex,
64-bit numbers are texts (read as numbers too), names are in lowerCamelCase and no others are valid, and what is not
known is ignored. No message of OTLP has a map, so every key of the JSON is a field's name and none is a user's.
"""

import binascii
import json
from collections.abc import Callable
from typing import Any

__all__ = ["merge", "to_json"]

_IDS = {"traceId": 32, "spanId": 16, "parentSpanId": 16}


def merge(body: bytes, request: Any) -> None:
    """Read `body` into `request`, an Export…ServiceRequest; raises ValueError, RecursionError or ParseError."""
    from google.protobuf.json_format import ParseDict

    value = json.loads(body)
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004  whatever is wrong with it is one thing to the sender
    _as_protobufs(value)
    ParseDict(value, request, ignore_unknown_fields=True)


def _as_protobufs(value: Any) -> None:
    """Turn ids into base64, and take out fields that are named as in protobuf's own language, which nobody may send."""
    if isinstance(value, list):
        for item in value:
            _as_protobufs(item)
    elif isinstance(value, dict):
        for key, item in list(value.items()):
            if "_" in key:
                del value[key]
            elif key in _IDS and isinstance(item, str):
                value[key] = _base64(key, item)
            else:
                _as_protobufs(item)


def _base64(key: str, digits: str) -> object:
    """Return an id as json_format takes it, or something that it refuses, should the field be one that it knows."""
    if not digits:
        return ""
    if len(digits) != _IDS[key] or not digits.isalnum():
        return {}
    try:
        return binascii.b2a_base64(bytes.fromhex(digits), newline=False).decode()
    except ValueError:
        return {}


def to_json(message: Any) -> bytes:
    """Return a message of OTLP as JSON in UTF-8, on one line.

    By hand: protobuf's own writer takes two and a half times as long, and its ids would have to be looked for again.
    """
    return json.dumps(_object(message), ensure_ascii=False, separators=(",", ":")).encode()


def _object(message: Any) -> dict[str, Any]:
    out = {}
    for field, value in message.ListFields():
        try:
            name, write = _writers[field.full_name]
        except KeyError:
            name, write = _writers[field.full_name] = field.json_name, _writer(field)
        out[name] = write(value)
    return out


_Write = Callable[[Any], Any]
_writers: dict[str, tuple[str, _Write]] = {}


def _writer(field: Any) -> _Write:
    """Return what writes a field's value; looked up once for each field of the protocol."""
    write = _one(field)
    # An older protobuf has `label` only, a newer one warns of it.
    many = field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED
    return (lambda values: [write(value) for value in values]) if many else write


def _one(field: Any) -> _Write:
    if field.message_type is not None:
        return _object
    if field.json_name in _IDS and field.type == field.TYPE_BYTES:
        return bytes.hex
    if field.type == field.TYPE_BYTES:
        return lambda value: binascii.b2a_base64(value, newline=False).decode()
    if field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64):
        return str
    if field.cpp_type in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
        return _float
    return _as_it_is


def _float(value: float) -> float | str:
    if value - value == 0:  # neither infinite nor NaN
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _as_it_is(value: Any) -> Any:
    return value
