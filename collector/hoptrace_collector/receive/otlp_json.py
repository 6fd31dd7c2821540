"""OTLP's JSON, which is protobuf's but for the ids: hexadecimal there, base64 here.

By "OTLP/HTTP, JSON Protobuf Encoding" of the OTLP specification: `traceId` and `spanId` are case-insensitive hex, enums
are numbers, 64-bit numbers may be texts, names are in lowerCamelCase, and what is not known is ignored. No message of
OTLP has a map, so every key of the JSON is a field's name and none is a user's.
"""

import binascii
import json
from typing import Any

from google.protobuf.json_format import ParseDict

__all__ = ["merge"]

_IDS = {"traceId": 32, "spanId": 16, "parentSpanId": 16}


def merge(body: bytes, request: Any) -> None:
    """Read `body` into `request`, an Export…ServiceRequest; raises ValueError, RecursionError or ParseError."""
    value = json.loads(body)
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004  whatever is wrong with it is one thing to the sender
    _ids_to_base64(value)
    ParseDict(value, request, ignore_unknown_fields=True)


def _ids_to_base64(value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _ids_to_base64(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in _IDS and isinstance(item, str):
                value[key] = _base64(key, item)
            else:
                _ids_to_base64(item)


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
