"""Firehose: the records that a function transforms on their way to where they are delivered.

Recognised by: `deliveryStreamArn`.
Context: in data that is one JSON object: `_hoptrace`, what the data wraps, then `traceparent` and its like as plain
    members. Data is decoded while an invocation's share of 2 MiB lasts.
Hops: what the data wraps, Kinesis where the stream is fed by one, then Firehose from `approximateArrivalTimestamp`.
Pointers: those of what the data wraps, else the Kinesis record's; a record put into Firehose itself has none.
"""

from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Hop, Record, chain, from_ms, last_of_arn
from hoptrace.triggers.envelopes import Opener
from hoptrace.triggers.streams import each, open_data

SYSTEM = "aws.firehose"


def read(event: Shape, name: str, opener: Opener | None = None) -> Arrival:
    """Read every record."""
    opener = opener or Opener()
    stream = last_of_arn(event.text("deliveryStreamArn"))
    source = last_of_arn(event.text("sourceKinesisStreamArn"))
    members = event.items("records")
    arrival = Arrival(name, "pubsub", attributes=_about(stream))
    arrival.attributes["messaging.operation.name"] = "process"
    arrival.attributes["messaging.batch.message_count"] = len(members)
    arrival.records = each(members, lambda member: _record(member, stream, source, opener))
    return arrival


def _record(member: Shape, stream: str, source: str, opener: Opener) -> Record:
    found = Record(member.text("recordId"), f"process {stream}".rstrip())
    found.attributes = _about(stream)
    if found.item_id:
        found.attributes["messaging.message.id"] = found.item_id
    hops = open_data(member.text("data"), found, opener)
    metadata = member.get("kinesisRecordMetadata")
    if metadata.raw and source:
        hops.append(_kinesis(metadata, source, found))
    start = found.since_ns = from_ms(member.number("approximateArrivalTimestamp"))
    if start is not None:
        attributes = {key: value for key, value in found.attributes.items() if key != "messaging.operation.type"}
        hops.append(Hop(f"Firehose {stream}".rstrip(), SYSTEM, start, None, attributes))
    found.hops = chain(hops)
    return found


def _kinesis(metadata: Shape, source: str, found: Record) -> Hop | None:
    shard, number = metadata.text("shardId"), metadata.text("sequenceNumber")
    if shard and number and not found.pointers:
        found.pointers.append(("aws.kinesis", source, shard, number))
    start = from_ms(metadata.number("approximateArrivalTimestamp"))
    attributes = {"messaging.system": "aws.kinesis", "messaging.destination.name": source}
    return None if start is None else Hop(f"Kinesis {source}", "aws.kinesis", start, None, {**attributes})


def _about(stream: str) -> "dict[str, str | int | float | bool | list[str]]":
    return {
        key: value
        for key, value in (
            ("messaging.system", SYSTEM),
            ("messaging.operation.type", "process"),
            ("messaging.destination.name", stream),
        )
        if value
    }
