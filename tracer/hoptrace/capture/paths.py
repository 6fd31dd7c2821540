"""JSON paths of what is a secret: `$.customer.name`, `$.items[*].price`, `$['a b'][0]`, `$..ssn`.

Paths are not looked up in a document: its places are compared with them on the way down, so that nothing is read twice
and a document within a document's text is one more step.
"""

import re
from itertools import pairwise

from ..guard import say

_STEP = re.compile(r"\.\.|\.?([\w-]+|\*)|\[(?:(\d{1,9}|\*)|'([^']*)'|\"([^\"]*)\")\]")
_ANY = True
_DEEP = False

Step = str | int | bool
"""A name, a place, `True` for any, `False` for however deep."""

Where = tuple[tuple[tuple[Step, ...], int], ...]
"""The paths that can still lead somewhere, each with how far it has been gone."""


def parsed(texts: list[str]) -> Where:
    """The paths at the root of a document; what is none is told in one line and left out."""
    found = []
    for text in texts:
        steps = _steps(text)
        if steps:
            found.append((steps, 0))
        else:
            say(f"HOPTRACE_REDACT_PATHS: {text[:60]!r} is not a JSON path; it is left out")
    return tuple(found)


def step(where: Where, key: str | int) -> Where | None:
    """The same one member further down, or `None` where a path ends: there a secret stands."""
    going: list[tuple[tuple[Step, ...], int]] = []
    for steps, at in where:
        if steps[at] is _DEEP:
            going.append((steps, at))
            at += 1
        if steps[at] is _ANY or (steps[at] == key and type(steps[at]) is type(key)):
            if at + 1 == len(steps):
                return None
            going.append((steps, at + 1))
    return tuple(going)


def _steps(text: str) -> tuple[Step, ...]:
    found: list[Step] = []
    at = 1
    while text.startswith("$") and at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            return ()
        name, place, single, double = match.groups()
        if match.group() == "..":
            found.append(_DEEP)
        elif name == "*" or place == "*":
            found.append(_ANY)
        else:
            found.append(int(place) if place else name or single or double or "")
        at = match.end()
    # What ends in the middle, or goes deep twice, leads nowhere.
    if not found or found[-1] is _DEEP or any(a is b is _DEEP for a, b in pairwise(found)):
        return ()
    return tuple(found)
