"""What stands in a text: a document of JSON, or one in base64, as queues, streams and gateways wrap what they carry."""

import json
import re
from binascii import Error, a2b_base64

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}\Z")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*("|\\?\Z)|[{}\[\],]', re.DOTALL)
_PACKED = (b"\x1f\x8b", b"x\x9c", b"x\x01", b"x\xda", b"BZh", b"PK\x03\x04", b"(\xb5/\xfd")
_CLOSER = {"{": "}", "[": "]"}


def document(text: str, *, cut: bool) -> tuple[object, bool] | None:
    """The object, array or text that a text spells, and whether it is all of it; `None` when it spells none.

    Args:
        cut: that more of the text was not looked at: what is whole up to there is the answer.
    """
    first = text[:64].lstrip()[:1]
    if first == '"':
        return _literal(text, cut=cut)
    if first not in ("{", "["):
        return None
    try:
        return json.loads(_whole(text) if cut else text), not cut
    except (ValueError, RecursionError):
        return None


def _literal(text: str, *, cut: bool) -> tuple[object, bool] | None:
    """The text within a text of JSON; of one that was cut, up to its last whole character."""
    for left_out in range(12 if cut else 1):
        try:
            found = json.loads(text[: len(text) - left_out] + '"' if cut else text)
        except (ValueError, RecursionError):
            continue
        return (found, not cut) if isinstance(found, str) else None
    return None


def _whole(text: str) -> str:
    """The text up to its last whole member, with what is open closed."""
    stack: list[str] = []
    until, closers = 0, ""
    for token in _TOKEN.finditer(text):
        kind = token.group()[0]
        if kind in _CLOSER:
            stack.append(_CLOSER[kind])
            if not until:
                until, closers = token.end(), stack[0]
        elif kind == ",":
            until, closers = token.start(), "".join(reversed(stack))
        elif kind == '"':
            if token.group(1) != '"':
                break
        elif stack:
            stack.pop()
    return text[:until] + closers


def decoded(text: str, *, cut: bool) -> str | bytes | None:
    """What base64 stands for, a text where it is one; `None` when this is no base64."""
    if _BASE64.match(text) is None:
        return None
    try:
        whole = text[: len(text) // 4 * 4] if cut else text.rstrip("=")
        found = a2b_base64(whole.replace("-", "+").replace("_", "/") + "=" * (-len(whole) % 4))
    except (Error, ValueError):
        return None
    return readable(found, cut=cut) or found


def readable(data: bytes, *, cut: bool) -> str:
    """The text that these bytes are, or empty."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        if not cut or error.start < len(data) - 3:
            return ""
        text = data[: error.start].decode()
    return text if text.translate(_SPACES).isprintable() else ""


_SPACES = {9: None, 10: None, 13: None}


def is_packed(data: bytes) -> bool:
    """Whether it is compressed, so that nobody can say what is in it."""
    return data.startswith(_PACKED)
