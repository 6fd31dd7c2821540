"""Cuts an expression into tokens, each with the place where it begins.

number    digits ["." digits] [unit]            1.5  2s  500ms  5m  24h  7d  90%  512MB
text      "…" or '…'; a backslash before a quote or a backslash
name      a letter or _, then letters, digits, _ and .        duration  error.type
sign      ( ) [ ] , + - * / == != <= >= < >
"""

from typing import NamedTuple

__all__ = ["ExpressionError", "Token", "quantity", "tokens"]

LONGEST = 2_000
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
UNITS = {**SECONDS, "%": 0.01, "KB": 1024.0, "MB": 1024.0**2, "GB": 1024.0**3}
_SIGNS = ("==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ",", "+", "-", "*", "/")


class ExpressionError(ValueError):
    """An expression that is none; `at` is the character, counted from 0, at which that is seen."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


class Token(NamedTuple):
    """`kind` is number, text, name, sign or end; `value` is what it stands for, `at` where it begins."""

    kind: str
    value: str | float
    at: int


def tokens(text: str) -> list[Token]:
    """Cut `text`; the last token is `end`. Raises ExpressionError."""
    if len(text) > LONGEST:
        raise ExpressionError(f"longer than {LONGEST} characters", LONGEST)
    found: list[Token] = []
    at = 0
    while at < len(text):
        letter = text[at]
        if letter in " \t\r\n":
            at += 1
            continue
        if "0" <= letter <= "9":
            token, at = _number(text, at)
        elif letter in "\"'":
            token, at = _text(text, at)
        elif _begins_name(letter):
            token, at = _name(text, at)
        else:
            token, at = _sign(text, at)
        found.append(token)
    found.append(Token("end", "", len(text)))
    return found


def quantity(text: str) -> float | None:
    """Return what `90%`, `2s` or `10` stands for; None when it is no such number."""
    text = text.strip()
    if not text or not "0" <= text[0] <= "9" or len(text) > 40:
        return None
    try:
        token, end = _number(text, 0)
    except ExpressionError:
        return None
    return float(token.value) if end == len(text) else None


def _number(text: str, start: int) -> tuple[Token, int]:
    at = start
    while at < len(text) and (text[at].isascii() and text[at].isdigit()):
        at += 1
    if at + 1 < len(text) and text[at] == "." and text[at + 1].isascii() and text[at + 1].isdigit():
        at += 1
        while at < len(text) and (text[at].isascii() and text[at].isdigit()):
            at += 1
    if at - start > 30:
        raise ExpressionError("a number of more than 30 digits", start)
    value = float(text[start:at])
    end = at
    while end < len(text) and ((text[end].isascii() and text[end].isalpha()) or text[end] == "%"):
        end += 1
    unit = text[at:end]
    if unit:
        if unit not in UNITS:
            raise ExpressionError(f"{unit!r} is no unit; there are {', '.join(UNITS)}", at)
        # Divided where that is exact: 90 * 0.01 is not 0.9.
        value = value / 100 if unit == "%" else value / 1000 if unit == "ms" else value * UNITS[unit]
    return Token("number", value, start), end


def _text(text: str, start: int) -> tuple[Token, int]:
    quote, at = text[start], start + 1
    letters: list[str] = []
    while at < len(text):
        letter = text[at]
        if letter == quote:
            return Token("text", "".join(letters), start), at + 1
        if letter == "\\":
            at += 1
            if at >= len(text) or text[at] not in "\\\"'":
                raise ExpressionError("a backslash stands before a quote or another backslash only", at - 1)
            letter = text[at]
        letters.append(letter)
        at += 1
    raise ExpressionError("this text has no end", start)


def _begins_name(letter: str) -> bool:
    return letter.isascii() and (letter.isalpha() or letter == "_")


def _name(text: str, start: int) -> tuple[Token, int]:
    at = start
    while at < len(text) and text[at].isascii() and (text[at].isalnum() or text[at] in "_."):
        at += 1
    return Token("name", text[start:at], start), at


def _sign(text: str, at: int) -> tuple[Token, int]:
    for sign in _SIGNS:
        if text.startswith(sign, at):
            return Token("sign", sign, at), at + len(sign)
    if text[at] == "=":
        raise ExpressionError("equality is written ==", at)
    raise ExpressionError(f"{text[at]!r} means nothing here", at)
