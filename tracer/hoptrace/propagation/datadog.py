"""Datadog's format, read only, so that a migration keeps its traces while both tracers run.

Ids are decimal numbers of 64 bits; the upper half of a longer trace id is the tag `_dd.p.tid`, in hex. In HTTP they are
headers, elsewhere one JSON object under the name `_datadog`. Newer tracers write a `traceparent` into the same object,
which says the same with nothing to put together.
"""

import json

from hoptrace.shape import Shape
from hoptrace.spans.context import SAMPLED, SpanContext, ids, parse_traceparent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CARRIER = "_datadog"
_LONGEST = 4_096


def read(get: "Callable[[str], str]") -> SpanContext | None:
    """Read the headers, or else the object, as text, under its name."""
    found = _ids(get)
    text = "" if found is not None else get(CARRIER)
    if not text or len(text) > _LONGEST:
        return found
    try:
        inside = Shape(json.loads(text))
    except (ValueError, RecursionError):
        return None
    return parse_traceparent(inside.text("traceparent"), inside.text("tracestate")) or _ids(inside.text)


def _ids(get: "Callable[[str], str]") -> SpanContext | None:
    low, span = _hex(get("x-datadog-trace-id")), _hex(get("x-datadog-parent-id"))
    upper = ""
    for tag in get("x-datadog-tags").split(","):
        name, _, value = tag.strip().partition("=")
        if name == "_dd.p.tid" and len(value) == 16:
            upper = value
    known = ids((upper + low).rjust(32, "0"), span) if low and span else None
    if known is None:
        return None
    priority = get("x-datadog-sampling-priority")
    return SpanContext(*known, 0 if priority in ("0", "-1") else SAMPLED, "", remote=True)


def _hex(number: str) -> str:
    """Turn a decimal number of 64 bits into sixteen hex digits, "" for anything else."""
    if not number.isascii() or not number.isdigit() or len(number) > 20 or int(number) >= 1 << 64:
        return ""
    return f"{int(number):016x}"
