"""Data of the user's that may be one JSON object, as Kinesis, Firehose and IoT carry it: the reserved key, in and out.

These services have no place for a context beside the data. Only data that is exactly one JSON object gets the key, and
only the key: bytes stay bytes, text stays text, and every other byte stays where it was. Whoever does not know the key
finds the object that was sent, with one member more.
"""

from hoptrace.carriers.reserved import add
from hoptrace.propagation import choices, has_context, no_room
from hoptrace.spans.context import SpanContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# To know that data is one object, and not two in a row, it has to be parsed: of a call's data at most so much is.
_MOST_WRITTEN = 1 << 20
_JSON_SPACE = b" \t\r\n"
# A whole number of base64's groups, long enough to look past an indentation.
_BEGINNING = 64


class Writer:
    """Puts a context into the data of one call, until its share of work is used up."""

    __slots__ = ("left", "now_ms", "via")

    def __init__(self, now_ms: int, via: str = "") -> None:
        self.left = _MOST_WRITTEN
        self.now_ms = now_ms
        self.via = via

    def write(self, data: "Any", context: SpanContext, room: int) -> "Any":
        """Return `data` with the key in it, `room` bytes longer at most; the very same object when that cannot be."""
        text = _text(data)
        if text is None:
            return data
        if len(text) > self.left:
            if _begins_like_one(text) and choices(context):
                no_room()
            return data
        self.left -= len(text)
        if not _is_one_object(text):
            return data
        longer = add(text, context, self.now_ms, room, self.via)
        if longer is None:
            return data
        if isinstance(data, str):
            return longer
        return bytearray(longer.encode()) if isinstance(data, bytearray) else longer.encode()


def read(data: str, most: int) -> str:
    """Return the text of data in base64 that begins like a JSON object or array, "" for any other.

    What has more than `most` characters, what the Kinesis Producer Library put together, what is compressed and what is
    no UTF-8 is left alone.
    """
    if not 0 < len(data) <= most:
        return ""
    import binascii

    try:
        if binascii.a2b_base64(data[:_BEGINNING]).lstrip(_JSON_SPACE)[:1] not in (b"{", b"["):
            return ""
        return binascii.a2b_base64(data).decode("utf-8")
    except ValueError:
        return ""


def _text(data: "Any") -> str | None:
    """Return the text of something that botocore would send as it is; a file is not read, since the user's call is."""
    if isinstance(data, str):
        return data
    if isinstance(data, (bytes, bytearray)) and data[:_BEGINNING].lstrip(_JSON_SPACE)[:1] == b"{":
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return None
    return None


def _is_one_object(text: str) -> bool:
    """Tell whether this is one JSON object and nothing else, and has no context that somebody else put there."""
    if not _begins_like_one(text):
        return False
    import json

    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and not has_context(document)


def _begins_like_one(text: str) -> bool:
    return text[:_BEGINNING].lstrip(" \t\r\n")[:1] == "{"
