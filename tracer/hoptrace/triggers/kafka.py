"""Kafka, Amazon's (MSK) or one's own: a batch of the records of one or more topics' partitions, each in its order.

Recognised by: `eventSource` is `aws:kafka` or `SelfManagedKafka`, beside an object `records`.
Context: each record's headers, which are arrays of signed bytes.
Hops: Kafka, from `timestamp`, which is the producer's clock or the broker's, as the topic has it.
Pointers: none
"""

from hoptrace.propagation import extract
from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Hop, Record, from_ms
from hoptrace.triggers.bytes_as_numbers import text_of_bytes
from hoptrace.triggers.streams import each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hoptrace.triggers.arrival import Attributes


def read(event: Shape, name: str) -> Arrival:
    """Read every record of every partition; keys and values are not looked at."""
    members = [member for partition, _ in event.pairs("records") for member in event.items("records", partition)]
    arrival = Arrival(name, "pubsub", partial_failures=True, ordered=True, records=each(members, record))
    arrival.attributes = {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.batch.message_count": len(members),
    }
    topics = {member.text("topic") for member in members}
    if len(topics) == 1 and topics != {""}:
        arrival.attributes["messaging.destination.name"] = topics.pop()
    return arrival


def record(member: Shape) -> Record:
    """Read one record."""
    topic, partition, offset = member.text("topic"), member.number("partition"), member.number("offset")
    found = Record(name=f"process {topic}".rstrip())
    found.attributes = {"messaging.system": "kafka", "messaging.operation.type": "process"}
    if topic:
        found.attributes["messaging.destination.name"] = topic
    if partition is not None:
        found.attributes["messaging.destination.partition.id"] = str(int(partition))
    if offset is not None:
        found.attributes["messaging.kafka.offset"] = int(offset)
    if topic and partition is not None and offset is not None:
        found.item_id = f"{topic}-{int(partition)}:{int(offset)}"
    headers = _headers(member)
    found.context = extract(lambda name: text_of_bytes(headers.get(name))) if headers else None
    found.carrier = "traceparent" if found.context is not None else ""
    start = found.since_ns = from_ms(member.number("timestamp"))
    if start is not None:
        attributes: Attributes = {k: v for k, v in found.attributes.items() if k != "messaging.operation.type"}
        found.hops = [Hop(f"Kafka {topic}".rstrip(), "kafka", start, None, attributes)]
    return found


def _headers(member: Shape) -> "dict[str, Shape]":
    """The headers by name, in lower case; of those that come twice the last, as Kafka's own `lastHeader`."""
    return {name.lower(): value for header in member.items("headers") for name, value in header.pairs()}
