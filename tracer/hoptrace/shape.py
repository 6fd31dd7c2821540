"""A view of untrusted JSON whose look-ups cannot raise.

What wakes a function is whatever somebody sent: a list, None, a record without the key that every record has. Code that
reads events through this view needs neither `try` nor `isinstance`: what is not there, or is of another type, is empty.
Subclasses of dict and list are read by the built-in methods, so an overridden `__getitem__` is never run.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BIGGEST = 2**63
# No number in an event is longer; int() takes quadratic time, then refuses, far beyond.
_LONGEST_NUMBER = 40


def walk(value: "Any", path: tuple[str | int, ...]) -> "Any":
    """Follow `path` (keys of objects, indices of arrays) down from `value`; None where it ends early."""
    for step in path:
        kind = type(value)
        if kind is dict or issubclass(kind, dict):
            value = dict.get(value, step)
        elif type(step) is int and (kind is list or issubclass(kind, (list, tuple))):
            length = list.__len__(value) if issubclass(kind, list) else tuple.__len__(value)
            if not 0 <= step < length:
                return None
            reader = list.__getitem__ if issubclass(kind, list) else tuple.__getitem__
            value = reader(value, step)
        else:
            return None
    return value


def as_text(value: "Any") -> str:
    """Return `value` when it is a string, else ""."""
    if type(value) is str:
        return value
    return str.__str__(value) if issubclass(type(value), str) else ""


def as_number(value: "Any") -> int | float | None:
    """Return a finite number of sensible size, from a JSON number or a string that spells one; None otherwise."""
    kind = type(value)
    if kind is str:
        if not 0 < len(value) <= _LONGEST_NUMBER or not value.isascii():
            return None
        try:
            value = int(value) if value.isdigit() else float(value)
        except ValueError:
            return None
    elif kind is not int and kind is not float:
        return None
    # A NaN compares false, so it is refused here too.
    return value if -_BIGGEST < value < _BIGGEST else None


class Shape:
    """One place in an untrusted JSON value; `raw` is what stands there, None when nothing does."""

    __slots__ = ("raw",)

    def __init__(self, raw: "Any") -> None:
        self.raw = raw

    def get(self, *path: str | int) -> "Shape":
        """Look further down; the result is a Shape of None when the path leads nowhere."""
        return Shape(walk(self.raw, path))

    def text(self, *path: str | int) -> str:
        """Return the string at `path`, "" when there is none."""
        return as_text(walk(self.raw, path))

    def number(self, *path: str | int) -> int | float | None:
        """Return the number at `path`, or spelt by the string there; None when there is none (true is none)."""
        return as_number(walk(self.raw, path))

    def items(self, *path: str | int) -> "list[Shape]":
        """Return the members of the array at `path`, an empty list when there is no array."""
        value = walk(self.raw, path)
        return [Shape(member) for member in list.__iter__(value)] if issubclass(type(value), list) else []

    def pairs(self, *path: str | int) -> "list[tuple[str, Shape]]":
        """Return the members of the object at `path` whose keys are strings, an empty list when there is no object."""
        value = walk(self.raw, path)
        if not issubclass(type(value), dict):
            return []
        return [(key, Shape(member)) for key, member in dict.items(value) if type(key) is str]

    def first(self, most: int) -> "list[Shape]":
        """Return the first members of an array, or of an object their values, at most so many; [] for all else."""
        value = self.raw
        kind = type(value)
        if issubclass(kind, list):
            return [Shape(member) for member in list.__getitem__(value, slice(0, most))]
        found: list[Shape] = []
        if issubclass(kind, dict):
            for member in dict.values(value):
                if len(found) == most:
                    break
                found.append(Shape(member))
        return found

    def has(self, *path: str | int) -> bool:
        """Tell whether something other than null stands at `path`."""
        return walk(self.raw, path) is not None

    def is_object(self, *path: str | int) -> bool:
        """Tell whether a JSON object stands at `path`."""
        return issubclass(type(walk(self.raw, path)), dict)

    def header(self, name: str) -> str:
        """Return the header `name` (given in lower case) of an object of headers, whatever the case of its keys.

        A value that is an array, as in `multiValueHeaders`, gives its first member.
        """
        headers = self.raw
        if not issubclass(type(headers), dict):
            return ""
        value = dict.get(headers, name)
        if value is None:
            for key in dict.keys(headers):
                if type(key) is str and len(key) == len(name) and key.lower() == name:
                    value = dict.get(headers, key)
                    break
        return as_text(walk(value, (0,)) if issubclass(type(value), list) else value)
