"""Values of the API's attributes as our records take them; nothing of the API is needed for it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

from ..guard import swallowed

_ANY = (bool, int, float, str, bytes)
_DEEPEST = 16
_ROOM = 65_536
_A_LOOK = 16
"""What mappings and nested lists have room for, which become texts: characters, of which each value costs some more."""


def fit(value: Any) -> Any:
    """A value as our records take it: bytes as text, a mapping by its items, `None` inside a list kept out.

    Never raises: what contains itself, or fails while it is looked at, is left out.
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str | bool | int | float) or value is None:
        return value
    try:
        return _within(value)
    except Exception as error:
        swallowed("otel.value", error)
        return None


def _within(value: Any) -> Any:
    if isinstance(value, Mapping):
        return json.dumps(_plain(value, [_ROOM]))
    if isinstance(value, Sequence):
        return [fit(item) for item in _kept(value)]
    return None


def _kept(values: Sequence[Any]) -> Iterator[Any]:
    room = [_ROOM]
    for value in values[:256]:
        if isinstance(value, _ANY):
            yield value
        elif isinstance(value, Mapping | Sequence) and room[0] > 0:
            yield json.dumps(_plain(value, room))


def _plain(value: Any, room: list[int], depth: int = 0) -> Any:
    """A value inside a mapping or list: what is too deep, or more than there is room for, is left out."""
    room[0] -= _A_LOOK
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes):
        return _part(value[: max(0, room[0])].decode("utf-8", "replace"), room)
    if isinstance(value, str) or not isinstance(value, Mapping | Sequence):
        return _part(value, room)
    if depth >= _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return {_part(k, room): _plain(v, room, depth + 1) for k, v in value.items() if room[0] > 0}
    return [_plain(item, room, depth + 1) for item in value if room[0] > 0]


def _part(value: Any, room: list[int]) -> str:
    text = str.__str__(value) if isinstance(value, str) else named(value)
    text = text[: max(0, room[0])]
    room[0] -= len(text)
    return text


def clipped(value: Any, length: int) -> Any:
    """A value whose texts are no longer than so many characters."""
    if isinstance(value, str):
        return value[:length]
    return [clipped(item, length) for item in value] if isinstance(value, list) else value


def items_of(attributes: Any) -> list[tuple[Any, Any]]:
    """What is in a mapping, which is the user's; nothing of one that fails."""
    try:
        return list(attributes.items()) if attributes else []
    except Exception as error:
        swallowed("otel.attributes", error)
        return []


def attributes_of(attributes: Any, most: int, length: int = 0) -> dict[str, object]:
    """Attributes of an event or a link, at most so many, and so long."""
    found: dict[str, object] = {}
    for name, value in items_of(attributes):
        kept = fit(value)
        if kept is not None and isinstance(name, str) and name and len(found) < most:
            found[name] = clipped(kept, length) if length else kept
    return found


def named(name: Any) -> str:
    """The name of a span, whatever was given for one."""
    try:
        return name if type(name) is str else str(name)
    except Exception as error:
        swallowed("otel.name", error)
        return type(name).__name__


def moment(when: Any) -> int | None:
    """Nanoseconds since the epoch; `None`, which means now, for what is no time."""
    if isinstance(when, int):
        return int(when)
    return int(when) if isinstance(when, float) and isfinite(when) else None
