"""How a row reads a request or a response: a path to values, and a shape that makes one attribute of them.

Total by construction: parameters are whatever the user passed, responses whatever a stub returned, so nothing here
raises and what does not fit is left out.
"""

from collections.abc import Callable

EACH = "[]"
"""A step of a path: every item of a list."""

KEYS = "{}"
"""A step of a path: every key of a mapping."""

Shape = Callable[[list[object]], object]


def values(source: object, path: tuple[str, ...]) -> list[object]:
    """What stands at a path: none, one, or, behind `EACH` and `KEYS`, many."""
    found = [source]
    for step in path:
        if step is EACH:
            found = [item for holder in found if isinstance(holder, list | tuple) for item in holder]
        elif step is KEYS:
            found = [key for holder in found if isinstance(holder, dict) for key in holder]
        else:
            found = [holder[step] for holder in found if isinstance(holder, dict) and step in holder]
    return found


class Field:
    """One attribute: its name, its shape, and the path its values stand at."""

    __slots__ = ("attribute", "path", "shape")

    def __init__(self, attribute: str, shape: Shape, *path: str) -> None:
        self.attribute = attribute
        self.shape = shape
        self.path = path


def text(found: list[object]) -> object:
    """The first value, when it is a string that is not empty."""
    return found[0] if found and isinstance(found[0], str) and found[0] else None


def number(found: list[object]) -> object:
    """The first value, when it is a whole number."""
    return found[0] if found and isinstance(found[0], int) and not isinstance(found[0], bool) else None


def flag(found: list[object]) -> object:
    """The first value, when it is a truth value."""
    return found[0] if found and isinstance(found[0], bool) else None


def count(found: list[object]) -> object:
    """How many there are; nothing for none, which is also what a missing list gives."""
    return len(found) or None


def length(found: list[object]) -> object:
    """How long the list is; botocore leaves an empty one out of some answers."""
    if not found:
        return 0
    return len(found[0]) if isinstance(found[0], list | tuple) else None


def name(found: list[object]) -> object:
    """The last part of an ARN, a URL or a path, when all of them have the same."""
    parts = {name_of(one) for one in found if isinstance(one, str)}
    return parts.pop() or None if len(parts) == 1 else None


def only(found: list[object]) -> object:
    """The value, when there is exactly one: the id of a single message."""
    return text(found) if len(found) == 1 else None


def several(found: list[object]) -> object:
    """The strings, when there are at least two: the ids of a batch."""
    strings = [one for one in found if isinstance(one, str)]
    return strings if len(strings) > 1 else None


def texts(found: list[object]) -> object:
    """The strings of the list that stands there."""
    if not found or not isinstance(found[0], list | tuple):
        return None
    return [one for one in found[0] if isinstance(one, str)] or None


def decimal(found: list[object]) -> object:
    """The first value, when it is a number."""
    first = found[0] if found else None
    return float(first) if isinstance(first, int | float) and not isinstance(first, bool) else None


def digits(found: list[object]) -> object:
    """The whole number that a header's text is."""
    first = found[0] if found else None
    return int(first) if isinstance(first, str) and first.isascii() and first.isdigit() and len(first) < 16 else None


def each_as_json(found: list[object]) -> object:
    """The one mapping, or each of the list's, as JSON: how the conventions want structures in an attribute."""
    import json

    ones = found[0] if found and isinstance(found[0], list | tuple) else found
    try:
        return [json.dumps(one, separators=(",", ":")) for one in ones if isinstance(one, dict)] or None
    except (TypeError, ValueError):  # a stub's own values
        return None


def arn(found: list[object]) -> object:
    """The first value, when it is an ARN (several services take a name or an ARN in one parameter)."""
    first = text(found)
    return first if isinstance(first, str) and first.startswith("arn:") else None


def name_of(value: str) -> str:
    """`orders` of `arn:aws:sns:eu-west-1:1:orders`, of `https://sqs…/1/orders`, of `…:stream/orders`, of `orders`."""
    return value.rstrip("/").rpartition("/")[2].rpartition(":")[2]
