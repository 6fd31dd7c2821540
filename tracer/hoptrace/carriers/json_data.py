"""Data of the user's that may be one JSON object, as Kinesis, Firehose and IoT carry it: the reserved key, in and out.

These services have no place for a context beside the data. Only data that is exactly one JSON object gets the key, and
only the key: bytes stay bytes, text stays text, and every other byte stays where it was. Whoever does not know the key
finds the object that was sent, with one member more.
"""

from hoptrace.carriers.attributes import inject_each
from hoptrace.carriers.reserved import add
from hoptrace.propagation import choices, has_context, no_room
from hoptrace.spans.context import SpanContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from hoptrace.carriers.attributes import Entry

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


class Records:
    """Records with `Data`: how many bytes one may have, and all of a request, and how a record's are counted."""

    __slots__ = ("record_bytes", "request_bytes", "size_of")

    def __init__(self, record_bytes: int, request_bytes: int, size_of: "Callable[[Entry], int]") -> None:
        self.record_bytes = record_bytes
        self.request_bytes = request_bytes
        self.size_of = size_of

    def inject(self, entry: "Entry", context: SpanContext, writer: Writer, room: int | None = None) -> "Entry":
        """Write `context` into one, which may have `room` bytes in all; return a new one, or the very same object."""
        if not isinstance(entry, dict):
            return entry
        data = entry.get("Data")
        most = self.record_bytes if room is None else min(room, self.record_bytes)
        longer = writer.write(data, context, most - self.size_of(entry))
        return entry if longer is data else {**entry, "Data": longer}

    def inject_each(
        self, entries: "Sequence[Entry]", context_for: "Callable[[int], SpanContext | None]", writer: Writer
    ) -> "Sequence[Entry]":
        """Write a context into each while the whole request has room."""

        def inject(entry: "Entry", context: SpanContext, room: int) -> "Entry":
            return self.inject(entry, context, writer, room)

        return inject_each(entries, context_for, self.size_of, self.request_bytes, inject)


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
