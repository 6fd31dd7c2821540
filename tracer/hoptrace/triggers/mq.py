"""Amazon MQ: messages of an ActiveMQ or a RabbitMQ queue.

Recognised by: `eventSource` is `aws:mq`, `aws:amq` (ActiveMQ) or `aws:rmq` (RabbitMQ).
Context: ActiveMQ's message properties; RabbitMQ's message headers, whose texts are arrays of signed bytes.
Hops: ActiveMQ, from `brokerInTime`, else `timestamp`; RabbitMQ tells no time that it vouches for.
Pointers: none
"""

from hoptrace.propagation import extract
from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Hop, Record, from_ms
from hoptrace.triggers.bytes_as_numbers import text_of_bytes
from hoptrace.triggers.streams import each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ACTIVE, RABBIT = "activemq", "rabbitmq"


def read(event: Shape, name: str) -> Arrival:
    """Read every message of every queue."""
    arrival = Arrival(name, "pubsub", records=each(event.items("messages"), record))
    system = ACTIVE
    if event.text("eventSource") == "aws:rmq":
        system = RABBIT
        for queue, _ in event.pairs("rmqMessagesByQueue"):
            arrival.records += [_rabbit(member, queue) for member in event.items("rmqMessagesByQueue", queue)]
    arrival.attributes = {
        "messaging.system": system,
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.batch.message_count": len(arrival.records),
    }
    queues = {record.attributes.get("messaging.destination.name", "") for record in arrival.records}
    if len(queues) == 1 and queues != {""}:
        arrival.attributes["messaging.destination.name"] = queues.pop()
    return arrival


def record(member: Shape) -> Record:
    """Read one message, of either broker, as a pipe hands it on; a RabbitMQ message names its queue itself then."""
    return _rabbit(member, member.text("eventSourceKey")) if member.has("basicProperties") else _active(member)


def _active(member: Shape) -> Record:
    queue = member.text("destination", "physicalName")
    found = _found(ACTIVE, queue, member.text("messageID"), member.text("correlationId"))
    properties = member.get("properties")
    _context(found, properties.header if properties.raw else None)
    start = found.since_ns = from_ms(member.number("brokerInTime")) or from_ms(member.number("timestamp"))
    if start is not None:
        attributes = {key: value for key, value in found.attributes.items() if key != "messaging.operation.type"}
        found.hops = [Hop(f"ActiveMQ {queue}".rstrip(), ACTIVE, start, None, attributes)]
    return found


def _rabbit(member: Shape, queue: str) -> Record:
    properties = member.get("basicProperties")
    # "queue::virtual host"
    name = queue.partition("::")[0]
    found = _found(RABBIT, name, properties.text("messageId"), properties.text("correlationId"))
    headers = {key.lower(): value for key, value in properties.pairs("headers")}

    def get(key: str) -> str:
        value = headers.get(key)
        return "" if value is None else text_of_bytes(value if value.text() else value.get("bytes"))

    _context(found, get if headers else None)
    return found


def _found(system: str, queue: str, message_id: str, correlation_id: str) -> Record:
    found = Record(message_id, f"process {queue}".rstrip())
    found.attributes = {
        key: value
        for key, value in (
            ("messaging.system", system),
            ("messaging.operation.type", "process"),
            ("messaging.destination.name", queue),
            ("messaging.message.id", message_id),
            ("messaging.message.conversation_id", correlation_id),
        )
        if value
    }
    return found


def _context(found: Record, get: "Callable[[str], str] | None") -> None:
    found.context = extract(get) if get is not None else None
    found.carrier = "traceparent" if found.context is not None else ""
