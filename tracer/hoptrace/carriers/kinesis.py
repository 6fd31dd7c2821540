"""Kinesis: the reserved key in a record's data, which is all that a record has room for.

Calls: Kinesis PutRecord, PutRecords.
Written: the member `_hoptrace` in data that is exactly one JSON object, no other byte changed.
Read: `_hoptrace` of the data, what the data wraps, then the same texts as plain members.
Limits: 1 MiB for a record with its partition key, 5 MiB for a request; a stream may take more, which a call does not
    tell.
Without room: first without `baggage`, then without `tracestate`, then nothing; the sequence number is a pointer.
Default: opt-in `kinesis`
"""

from hoptrace.carriers.attributes import bytes_of
from hoptrace.carriers.json_data import Records
from hoptrace.shape import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hoptrace.carriers.attributes import Entry

# Kinesis API reference, PutRecords: "each record … can be as large as 1 MiB, up to a limit of 5 MiB for the entire
# request, including partition keys"; streams that were set to more take 10 MiB, which a call does not tell.
RECORD_BYTES = 1_048_576
REQUEST_BYTES = 5_242_880


def _size(entry: "Entry") -> int:
    return bytes_of(walk(entry, ("Data",))) + bytes_of(walk(entry, ("PartitionKey",)))


RECORDS = Records(RECORD_BYTES, REQUEST_BYTES, _size)
"""What writes a context into them."""
