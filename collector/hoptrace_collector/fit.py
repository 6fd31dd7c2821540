"""Makes strangers' texts and numbers fit for protobuf, so that no room behind the door has to doubt them."""

from typing import Any

__all__ = ["INT64_MAX", "UINT64_MAX", "Attributes", "Value", "attributes", "clean", "text"]

INT64_MAX = 2**63 - 1
UINT64_MAX = 2**64 - 1

Value = str | bool | int | float | list[Any] | dict[str, Any]
Attributes = dict[str, Value]

_DEEPEST = 8


def text(value: object) -> str:
    """Return `value` as a text that UTF-8 can hold (lone surrogates become `?`); what is not a text becomes empty."""
    if not isinstance(value, str):
        return ""
    if value.isascii():
        return value
    return value.encode("utf-8", "replace").decode("utf-8")


def clean(value: object, depth: int = 0) -> Value | None:
    """Return `value` as protobuf's AnyValue can hold it; None when there is nothing to hold.

    Whole numbers beyond 64 bits become texts: a wrong number would be worse than one that cannot be summed.
    """
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -INT64_MAX - 1 <= value <= INT64_MAX else _big(value)
    if depth >= _DEEPEST:
        return "…" if value is not None else None
    if isinstance(value, list):
        return [item for item in (clean(item, depth + 1) for item in value) if item is not None]
    if isinstance(value, dict):
        return attributes(value, depth + 1)
    return None


def _big(value: int) -> str:
    # str() refuses numbers of more than 4,300 digits.
    return str(value) if value.bit_length() < 10_000 else hex(value)


def attributes(value: object, depth: int = 0) -> Attributes:
    """Return a dict of attributes with fit keys and values; empty when `value` is no dict."""
    if not isinstance(value, dict):
        return {}
    out: Attributes = {}
    for key, item in value.items():
        if isinstance(key, str) and key and (fit := clean(item, depth)) is not None:
            out[text(key)] = fit
    return out
