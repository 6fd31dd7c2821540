"""Firehose: the reserved key in a record's data, where a function that transforms the stream finds it.

Calls: Firehose PutRecord, PutRecordBatch.
Written: the member `_hoptrace` in data that is exactly one JSON object, no other byte changed; a line feed at its end
    stays at its end. It is delivered with the data.
Read: `_hoptrace` of the data, what the data wraps, then the same texts as plain members.
Limits: 1,000 KiB for a record, 4 MB for a request.
Without room: first without `baggage`, then without `tracestate`, then nothing.
Default: opt-in `firehose`
"""

from hoptrace.carriers.attributes import bytes_of, inject_each
from hoptrace.carriers.json_data import Writer
from hoptrace.shape import walk
from hoptrace.spans.context import SpanContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hoptrace.carriers.attributes import Entry

# Firehose API reference, Record: "1,000 KiB", before base64; PutRecordBatch: "4 MB for the entire request" (its quota
# page says MiB, so the smaller megabyte).
RECORD_BYTES = 1_024_000
REQUEST_BYTES = 4_000_000


def inject_record(entry: "Entry", context: SpanContext, writer: Writer, room: int = RECORD_BYTES) -> "Entry":
    """Write `context` into a record (an object with `Data`), which may have `room` bytes in all; return a new one."""
    if not isinstance(entry, dict):
        return entry
    data = entry.get("Data")
    longer = writer.write(data, context, min(room, RECORD_BYTES) - _size(entry))
    return entry if longer is data else {**entry, "Data": longer}


def inject_batch(
    entries: "Sequence[Entry]", context_for: "Callable[[int], SpanContext | None]", writer: Writer
) -> "Sequence[Entry]":
    """Write a context into each record of a PutRecordBatch while the whole request has room."""

    def inject(entry: "Entry", context: SpanContext, room: int) -> "Entry":
        return inject_record(entry, context, writer, room)

    return inject_each(entries, context_for, _size, REQUEST_BYTES, inject)


def _size(entry: "Entry") -> int:
    return bytes_of(walk(entry, ("Data",)))
