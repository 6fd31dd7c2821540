"""Patterns of the user's own, of which none can hold up a function: what could take forever is refused.

An expression takes exponential time where repetitions are nested or overlap in alternatives, and a text of forty
characters is enough for it: no limit of length helps there, so such an expression is refused. What is left takes a
power of the text's length, which is why a text is looked through in short pieces, and one that takes too long all the
same is a secret as a whole.
"""

import re
import time
from importlib import import_module
from typing import Any

from ..guard import say
from .patterns import Piece

LONGEST = 128
"""Characters of the longest secret that an expression of the user's is sure to find."""

_PIECE = 2 * LONGEST
_MOST_REPEATS = 2
_FEW = 16
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_LONG_ENOUGH = 0.05  # seconds


class Own:
    """The user's expressions.

    Args:
        texts: one each; what cannot be used is told in one line, by its place.
    """

    __slots__ = ("_expressions",)

    def __init__(self, texts: list[str]) -> None:
        self._expressions: list[re.Pattern[str]] = []
        for place, text in enumerate(texts, 1):
            reason = refusal(text)
            if reason:
                say(f"HOPTRACE_REDACT_PATTERNS: expression {place} {reason}; it is left out")
            else:
                self._expressions.append(re.compile(text))

    def __bool__(self) -> bool:
        return bool(self._expressions)

    def find(self, text: str) -> list[Piece]:
        """The pieces, each at most `LONGEST` characters long or found in parts."""
        found: list[Piece] = []
        until = time.monotonic() + _LONG_ENOUGH
        for start in range(0, max(1, len(text)), _PIECE - LONGEST):
            for expression in self._expressions:
                found.extend(
                    one.span() for one in expression.finditer(text, start, start + _PIECE) if one.end() > one.start()
                )
            if time.monotonic() > until:
                return [(0, len(text))]
        return found


def refusal(text: str) -> str:
    """Why an expression is not used, or empty."""
    if len(text) > 1000:
        return "is longer than 1000 characters"
    parser: Any = import_module("re._parser")

    try:
        re.compile(text)
        tree: Any = parser.parse(text)
    except (re.error, OverflowError, RecursionError) as error:
        return f"is not a regular expression ({error})"[:100]
    repeats = _repeats(tree)
    if repeats < 0:
        return "has a repetition of something that varies, or a reference, and could take forever"
    if repeats > _MOST_REPEATS:
        return f"has more than {_MOST_REPEATS} long repetitions and could take forever"
    return ""


def _repeats(tree: Any) -> int:
    """How many long repetitions there are; -1 where one holds what is itself of several lengths or several ways."""
    count = 0
    for name, value in tree:
        kind = str(name)
        if kind in ("GROUPREF", "GROUPREF_EXISTS", "GROUPREF_IGNORE"):
            return -1
        if kind in _REPEATS:
            least, most, inner = value
            if most > 1 and not _is_fixed(inner):
                return -1
            count += most != least and most > _FEW
        for inner in _inside(kind, value):
            found = _repeats(inner)
            if found < 0:
                return -1
            count += found
    return count


def _is_fixed(tree: Any) -> bool:
    """Whether it matches in one way only: no repetition of several lengths and no alternatives inside."""
    for name, value in tree:
        kind = str(name)
        if kind == "BRANCH":
            return False
        if kind in _REPEATS and value[0] != value[1]:
            return False
        if kind.startswith("GROUPREF"):
            return False
        if not all(_is_fixed(inner) for inner in _inside(kind, value)):
            return False
    return True


def _inside(kind: str, value: Any) -> list[Any]:
    """The expressions that stand in this one."""
    if kind == "SUBPATTERN":
        return [value[3]]
    if kind == "BRANCH":
        return list(value[1])
    if kind in ("ASSERT", "ASSERT_NOT"):
        return [value[1]]
    if kind == "ATOMIC_GROUP":
        return [value]
    if kind in _REPEATS:
        return [value[2]]
    return []
