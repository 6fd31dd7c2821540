"""Requests of OTLP for property tests."""

import math
from typing import Any

from hypothesis import strategies as st

from hoptrace_collector.otlp_request import new_request

__all__ = ["messages"]


@st.composite
def messages(draw: st.DrawFn, signals: tuple[str, ...] = ("traces", "metrics", "logs")) -> Any:
    """Any request that the protocol can hold, each field drawn by its type."""
    message = new_request(draw(st.sampled_from(signals)))
    fill(draw, message, 0)
    return message


def fill(draw: st.DrawFn, message: Any, depth: int) -> None:
    for field in message.DESCRIPTOR.fields:
        if depth > 2 and not draw(st.booleans()):
            continue
        if field.message_type is not None:
            if depth > 9:
                continue
            if field.is_repeated:
                for _ in range(draw(st.integers(0, 2 if depth < 4 else 1))):
                    fill(draw, getattr(message, field.name).add(), depth + 1)
            else:
                getattr(message, field.name).SetInParent()
                fill(draw, getattr(message, field.name), depth + 1)
        elif field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(values(field), max_size=3)))
        else:
            setattr(message, field.name, draw(values(field)))


def values(field: Any) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.integers(0, 9)
    return {
        field.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
        field.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
        field.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
        field.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
        field.CPPTYPE_DOUBLE: st.one_of(st.floats(allow_nan=False), st.just(math.nan)),  # JSON has one NaN
        field.CPPTYPE_BOOL: st.booleans(),
        field.CPPTYPE_STRING: st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
        if field.type == field.TYPE_STRING
        else st.binary(max_size=16),
    }[field.cpp_type]
