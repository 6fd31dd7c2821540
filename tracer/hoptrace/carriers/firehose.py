"""Firehose: the reserved key in a record's data, where a function that transforms the stream finds it.

Calls: Firehose PutRecord, PutRecordBatch.
Written: the member `_hoptrace` in data that is exactly one JSON object, no other byte changed; a line feed at its end
    stays at its end. It is delivered with the data.
Read: `_hoptrace` of the data, what the data wraps, then the same texts as plain members.
Limits: 1,000 KiB for a record, 4 MB for a request.
Without room: first without `baggage`, then without `tracestate`, then nothing.
Default: opt-in `firehose`
"""

from hoptrace.carriers.attributes import bytes_of
from hoptrace.carriers.json_data import Records
from hoptrace.shape import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hoptrace.carriers.attributes import Entry

# Firehose API reference, Record: "1,000 KiB", before base64; PutRecordBatch: "4 MB for the entire request" (its quota
# page says MiB, so the smaller megabyte).
RECORD_BYTES = 1_024_000
REQUEST_BYTES = 4_000_000


def _size(entry: "Entry") -> int:
    return bytes_of(walk(entry, ("Data",)))


RECORDS = Records(RECORD_BYTES, REQUEST_BYTES, _size)
"""What writes a context into them."""
