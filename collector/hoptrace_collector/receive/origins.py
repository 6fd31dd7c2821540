"""Writes a resource and its scope as JSON, and reads back what may have been damaged."""

from typing import Any

from hoptrace_collector.fit import Attributes, attributes, text
from hoptrace_collector.model import Origin

__all__ = ["origin_json", "origin_of"]


def origin_json(origin: Origin) -> list[Any]:
    """Return what `json.dumps` takes."""
    return [origin.resource, origin.scope]


def origin_of(value: Any) -> Origin | None:
    """Return the origin that was written so; None when it is none."""
    if not (isinstance(value, list) and len(value) == 2 and isinstance(value[0], list) and isinstance(value[1], list)):
        return None
    scope = (text(value[1][0]), text(value[1][1])) if len(value[1]) == 2 else ("hoptrace", "")
    pairs: Attributes = {}
    for pair in value[0]:
        if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str):
            pairs.update(attributes({pair[0]: pair[1]}))
    return Origin.of(pairs, scope)
