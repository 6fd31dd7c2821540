"""Baggage in both its shapes: the `baggage` header that a span's context has, and the API's dictionary.

What arrived is shown by the API until the code sets its own; then what it has set is what travels on.
"""

import sys
from typing import Any
from urllib.parse import quote_plus, unquote_plus

_LONGEST = 8_192
_MOST = 180  # entries (W3C Baggage, "limits")


def key() -> str:
    """The API's name for it in a context; empty until somebody has imported `opentelemetry.baggage`."""
    return getattr(sys.modules.get("opentelemetry.baggage"), "_BAGGAGE_KEY", "")


def parsed(header: str) -> dict[str, object]:
    """What a header says, as the API has it: properties stay behind their value."""
    found: dict[str, object] = {}
    for entry in header.split(",")[:_MOST]:
        name, equals, value = entry.partition("=")
        if equals and name.strip():
            found[unquote_plus(name).strip()] = unquote_plus(value).strip()
    return found


def written(entries: dict[str, object]) -> str:
    """A header that says it; entries beyond the limits are left out."""
    parts: list[str] = []
    room = _LONGEST + 1
    for name, value in entries.items():
        part = f"{quote_plus(str(name))}={quote_plus(str(value))}"
        if len(parts) < _MOST and len(part) < room:
            parts.append(part)
            room -= len(part) + 1
    return ",".join(parts)


def travelling(arrived: str) -> str:
    """What goes on with a span that begins now: what the code has set, else what arrived."""
    name = key()
    if not name:
        return arrived
    entries: Any = sys.modules["opentelemetry.context"].get_current().get(name)
    if type(entries) is not dict or entries == (parsed(arrived) if arrived else {}):
        return arrived
    return written(entries)
