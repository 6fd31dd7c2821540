"""EventBridge Pipes: a bare array of the source's records, even of a single one, as they came or as the pipe made them.

Recognised by: an array in which one of the first ten members is a record with an `eventSource`, or another envelope.
Context: each record's, by its own source's reader; of an enriched or transformed one, what it wraps, or the reserved
    key.
Hops: each record's.
Pointers: each record's.
"""

from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Record
from hoptrace.triggers.envelopes import UNREAD, Opener, read_each, within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# A source's word for itself, and the module here that reads its records.
_SOURCES = {
    "aws:sqs": "sqs",
    "aws:kinesis": "kinesis",
    "aws:dynamodb": "dynamodb",
    "aws:kafka": "kafka",
    "SelfManagedKafka": "kafka",
    "aws:mq": "mq",
    "aws:amq": "mq",
    "aws:rmq": "mq",
}
# Whose records follow each other, so that those after a failed one come again with it.
_STREAMS = frozenset(("aws:kinesis", "aws:dynamodb"))


def read(event: Shape, name: str, opener: Opener | None = None) -> Arrival:
    """Read every member of the array."""
    opener = opener or Opener()
    members = event.items()
    source = members[0].text("eventSource")
    arrival = Arrival(name, "pubsub" if source else "other", partial_failures=source != "", ordered=source in _STREAMS)
    arrival.records = read_each(members, _member, opener)
    arrival.attributes = {
        key: value
        for key, value in arrival.records[0].attributes.items()
        if key in ("messaging.system", "messaging.destination.name", "messaging.operation.type")
    }
    arrival.attributes["messaging.batch.message_count"] = len(members)
    if source:
        arrival.attributes["hoptrace.pipes.source"] = source
    if len(members) == 1 and "messaging.message.id" in arrival.records[0].attributes:
        arrival.attributes["messaging.message.id"] = arrival.records[0].attributes["messaging.message.id"]
    return arrival


def _member(member: Shape, opener: Opener) -> Record:
    found = record(member, opener) or within(member, opener) or Record(name="process")
    if opener.refused():
        found.attributes[UNREAD] = True
    return found


def record(member: Shape, opener: Opener) -> Record | None:
    """Read one source's record; None when no source here has such records."""
    source = member.text("eventSource")
    module = _SOURCES.get(source)
    if module is None:
        return None
    loaded = __import__(f"hoptrace.triggers.{module}", fromlist=("record",))
    if module in ("sqs", "kinesis"):
        read_nesting: Callable[[Shape, Opener], Record] = loaded.record
        # A pipe takes a Kinesis record out of the object in which Lambda's own event has it.
        flat = module == "kinesis" and not member.has("kinesis")
        return read_nesting(Shape({**dict(dict.items(member.raw)), "kinesis": member.raw}) if flat else member, opener)
    read_one: Callable[[Shape], Record] = loaded.record
    return read_one(member)
