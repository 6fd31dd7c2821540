"""Kinesis: the reserved key in a record's data, which is all that a record has room for.

Calls: Kinesis PutRecord, PutRecords.
Written: the member `_hoptrace` in data that is exactly one JSON object, no other byte changed.
Read: `_hoptrace` of the data, what the data wraps, then the same texts as plain members.
Limits: 1 MiB for a record with its partition key, 5 MiB for a request; a stream may take more, which a call does not
    tell.
Without room: first without `baggage`, then without `tracestate`, then nothing; the sequence number is a pointer.
Default: opt-in `kinesis`
"""

from hoptrace.carriers.attributes import bytes_of, inject_each
from hoptrace.carriers.json_data import Writer
from hoptrace.spans.context import SpanContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hoptrace.carriers.attributes import Entry

# Kinesis API reference, PutRecords: "each record … can be as large as 1 MiB, up to a limit of 5 MiB for the entire
# request, including partition keys"; streams that were set to more take 10 MiB, which a call does not tell.
RECORD_BYTES = 1_048_576
REQUEST_BYTES = 5_242_880


def inject_record(entry: "Entry", context: SpanContext, writer: Writer, room: int = RECORD_BYTES) -> "Entry":
    """Write `context` into the parameters of PutRecord or one entry of PutRecords; return new ones.

    `room` is what the entry may have in all. What cannot carry it is returned as it is.
    """
    if not isinstance(entry, dict):
        return entry
    data = entry.get("Data")
    longer = writer.write(data, context, min(room, RECORD_BYTES) - _size(entry))
    return entry if longer is data else {**entry, "Data": longer}


def inject_batch(
    entries: "Sequence[Entry]", context_for: "Callable[[int], SpanContext | None]", writer: Writer
) -> "Sequence[Entry]":
    """Write a context into each entry of a PutRecords while the whole request has room."""

    def inject(entry: "Entry", context: SpanContext, room: int) -> "Entry":
        return inject_record(entry, context, writer, room)

    return inject_each(entries, context_for, _size, REQUEST_BYTES, inject)


def _size(entry: "Entry") -> int:
    return bytes_of(entry.get("Data")) + bytes_of(entry.get("PartitionKey"))
