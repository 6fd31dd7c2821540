"""Values of the API's attributes as our records take them; nothing of the API is needed for it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_ANY = (bool, int, float, str, bytes)


def fit(value: Any) -> Any:
    """A value as our records take it: bytes as text, a mapping by its items, `None` inside a list kept out."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str | bool | int | float) or value is None:
        return value
    if isinstance(value, Mapping):
        return json.dumps({str(k): fit(v) for k, v in value.items()}, default=str)
    if isinstance(value, Sequence):
        return [fit(item) for item in _kept(value)]
    return None


def _kept(values: Sequence[Any]) -> Iterator[Any]:
    for value in values[:256]:
        if isinstance(value, _ANY):
            yield value
        elif isinstance(value, Mapping | Sequence):
            yield json.dumps(value, default=str)


def clipped(value: Any, length: int) -> Any:
    """A value whose texts are no longer than so many characters."""
    if isinstance(value, str):
        return value[:length]
    return [clipped(item, length) for item in value] if isinstance(value, list) else value


def attributes_of(attributes: Any, most: int, length: int = 0) -> dict[str, object]:
    """Attributes of an event or a link, at most so many, and so long."""
    found: dict[str, object] = {}
    if attributes:
        for name, value in attributes.items():
            kept = fit(value)
            if kept is not None and isinstance(name, str) and name and len(found) < most:
                found[name] = clipped(kept, length) if length else kept
    return found
