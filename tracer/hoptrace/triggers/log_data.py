"""The beginning of what CloudWatch Logs sends: JSON, compressed, in base64, of which only the first few kilobytes are
unpacked. A megabyte of log lines is for the user's code to read, and maybe to expand to a hundred.
"""

import json

from hoptrace.shape import Shape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Whole groups of base64. Group, stream and filter names have 512 characters each at most, and stand in front.
_MOST_PACKED = 32_768
_MOST_UNPACKED = 65_536
_GZIP = 31
_JSON_SPACE = " \t\r\n"


def beginning(data: str) -> Shape:
    """Return the members that are whole; of `logEvents` the first one's that stand before its message."""
    import binascii
    import zlib

    try:
        packed = binascii.a2b_base64(data[:_MOST_PACKED])
        text = zlib.decompressobj(_GZIP).decompress(packed, _MOST_UNPACKED).decode("utf-8", "ignore")
    except (ValueError, zlib.error):
        return Shape(None)
    found, rest = _members(text, "logEvents")
    if rest:
        found["logEvents"] = [_members(rest[1:].lstrip(_JSON_SPACE), "message")[0]]
    return Shape(found)


def _members(text: str, last: str) -> "tuple[dict[str, Any], str]":
    """Read an object's members until `last` or until the text is cut off; return them, and what `last`'s value is."""
    decoder = json.JSONDecoder()
    found: dict[str, Any] = {}
    at = 0
    try:
        while text[at : at + 1] in ("{", ","):
            key, at = decoder.raw_decode(text, _past_space(text, at + 1))
            at = _past_space(text, at)
            if text[at : at + 1] != ":":
                break
            at = _past_space(text, at + 1)
            if key == last:
                return found, text[at:]
            found[key], at = decoder.raw_decode(text, at)
            at = _past_space(text, at)
    except (ValueError, TypeError, RecursionError):
        pass
    return found, ""


def _past_space(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t", "\r", "\n"):
        at += 1
    return at
