"""Kinesis: a batch of a shard's records, in their order.

Recognised by: `Records[0].eventSource` is `aws:kinesis`.
Context: in data that is one JSON object: `_hoptrace`, what the data wraps, then `traceparent` and its like as plain
    members. Data is decoded while an invocation's share of 2 MiB lasts; binary, compressed and aggregated data is not.
Hops: what the data wraps, then Kinesis from `approximateArrivalTimestamp`.
Pointers: those of what the data wraps, else stream, shard and sequence number.
"""

from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Hop, Record, chain, from_seconds, last_of_arn
from hoptrace.triggers.envelopes import Opener
from hoptrace.triggers.streams import each, open_data

SYSTEM = "aws.kinesis"


def read(event: Shape, name: str, opener: Opener | None = None) -> Arrival:
    """Read every record; what was put with one call may be of many traces."""
    opener = opener or Opener()
    members = event.items("Records")
    arrival = Arrival(name, "pubsub", partial_failures=True, ordered=True)
    arrival.records = each(members, lambda member: record(member, opener))
    arrival.attributes = _about(members[0])
    arrival.attributes["messaging.operation.name"] = "process"
    arrival.attributes["messaging.batch.message_count"] = len(members)
    if len(members) == 1 and members[0].text("kinesis", "sequenceNumber"):
        arrival.attributes["messaging.message.id"] = members[0].text("kinesis", "sequenceNumber")
    return arrival


def record(member: Shape, opener: Opener | None = None) -> Record:
    """Read one record."""
    stream, shard = last_of_arn(member.text("eventSourceARN")), _shard(member)
    found = Record(member.text("kinesis", "sequenceNumber"), f"process {stream}".rstrip())
    found.attributes = _about(member)
    if found.item_id:
        found.attributes["messaging.message.id"] = found.item_id
    hops = open_data(member.text("kinesis", "data"), found, opener or Opener())
    start = found.since_ns = from_seconds(member.number("kinesis", "approximateArrivalTimestamp"))
    found.hops = chain([*hops, None if start is None else hop(stream, start, found)])
    if stream and shard and found.item_id and not found.pointers:
        found.pointers.append((SYSTEM, stream, shard, found.item_id))
    return found


def hop(stream: str, start: int, found: Record) -> Hop:
    """Make the stay in a stream; its attributes are the record's, but for what it is done with now."""
    attributes = {key: value for key, value in found.attributes.items() if key.startswith(("messaging.", "aws."))}
    attributes.pop("messaging.operation.type", None)
    return Hop(f"Kinesis {stream}".rstrip(), SYSTEM, start, None, attributes)


def _shard(member: Shape) -> str:
    """The shard, of an event id like `shardId-000000000006:4954…`."""
    return member.text("eventID").rpartition(":")[0]


def _about(member: Shape) -> "dict[str, str | int | float | bool | list[str]]":
    stream = last_of_arn(member.text("eventSourceARN"))
    return {
        key: value
        for key, value in (
            ("messaging.system", SYSTEM),
            ("messaging.operation.type", "process"),
            ("messaging.destination.name", stream),
            ("messaging.destination.partition.id", _shard(member)),
            ("aws.kinesis.stream_name", stream),
        )
        if value
    }
