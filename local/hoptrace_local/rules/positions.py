"""Where in a file of rules a setting stands. The parsers of TOML and JSON do not tell, so it is looked up."""

import re
from json import JSONDecoder
from typing import NamedTuple

__all__ = ["Place", "line_and_column", "locate"]

_BLANK = " \t\r\n"
_DECODER = JSONDecoder()


class Place(NamedTuple):
    """Line and column, both counted from 1."""

    line: int
    column: int


def locate(text: str, rule: str, key: str = "", at: int = -1) -> Place:
    """Return where a rule's setting is, or the rule itself without a `key`.

    `at` is a character of the setting's value, a text, counted from 0. What cannot be found is where the next larger
    thing is, at last the first line.
    """
    value = _in_json(text, rule, key) if text.lstrip().startswith("{") else _in_toml(text, rule, key)
    if value is None:
        return line_and_column(text, 0)
    offset, is_value = value
    return line_and_column(text, _inside(text, offset, at) if is_value and at >= 0 else offset)


def line_and_column(text: str, offset: int) -> Place:
    """Return the place of a character counted from 0."""
    before = text[:offset]
    return Place(before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)


def _in_toml(text: str, rule: str, key: str) -> tuple[int, bool] | None:
    name = rf"""(?:{re.escape(rule)}|"{re.escape(rule)}"|'{re.escape(rule)}')"""
    header = re.search(rf"^[ \t]*\[[ \t]*rules[ \t]*\.[ \t]*({name})[ \t]*\]", text, re.MULTILINE)
    setting = rf"""["']?{re.escape(key)}["']?[ \t]*=[ \t]*"""
    if header is not None:
        following = re.compile(r"^[ \t]*\[", re.MULTILINE).search(text, header.end())
        end = following.start() if following is not None else len(text)
        found = re.compile(rf"^[ \t]*({setting})", re.MULTILINE).search(text, header.end(), end) if key else None
        return (found.end(), True) if found is not None else (header.start(1), False)
    dotted = re.search(rf"^[ \t]*(?:rules[ \t]*\.[ \t]*)?({name})[ \t]*(?:\.[ \t]*({setting}))?", text, re.MULTILINE)
    if dotted is None:
        return None
    if key:
        found = re.compile(rf"^[ \t]*(?:rules[ \t]*\.[ \t]*)?{name}[ \t]*\.[ \t]*{setting}", re.MULTILINE).search(text)
        inline = re.compile(setting).search(text, dotted.end())
        hit = found or inline
        if hit is not None:
            return hit.end(), True
    return dotted.start(1), False


def _in_json(text: str, rule: str, key: str) -> tuple[int, bool] | None:
    try:
        rules = _member(text, _skip(text, 0), "rules")
        table = _member(text, rules[1], rule) if rules is not None else None
        setting = _member(text, table[1], key) if table is not None and key else None
    except (ValueError, IndexError, RecursionError):
        return None
    if setting is not None:
        return setting[1], True
    return (table[0], False) if table is not None else None


def _member(text: str, at: int, name: str) -> tuple[int, int] | None:
    """Return where the member's name and its value begin in the object at `at`; the last one counts."""
    found = None
    if text[at] != "{":
        return None
    at = _skip(text, at + 1)
    while text[at] != "}":
        key_at = at
        key, at = _DECODER.raw_decode(text, at)
        value_at = _skip(text, _skip(text, at) + 1)
        if key == name:
            found = (key_at, value_at)
        at = _skip(text, _DECODER.raw_decode(text, value_at)[1])
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def _inside(text: str, offset: int, at: int) -> int:
    """Return the place of a text's character, past the quotes and the escapes before it."""
    opening = next((quote for quote in ('"""', "'''", '"', "'") if text.startswith(quote, offset)), "")
    place = offset + len(opening)
    if len(opening) == 3 and text.startswith("\n", place):
        place += 1
    for _ in range(at):
        if "'" not in opening and text.startswith("\\", place):
            place += {"u": 6, "U": 10}.get(text[place + 1 : place + 2], 2)
        else:
            place += 1
    return min(place, len(text))
