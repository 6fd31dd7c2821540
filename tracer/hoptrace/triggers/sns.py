"""SNS: a published message, delivered to the function without a queue in between.

Recognised by: `Records[0].EventSource` is `aws:sns`.
Context: the message attributes; then what the message wraps, to any depth. A dead letter of a Lambda function has that
    function's producer.
Hops: what the message wraps, then SNS from `Timestamp`.
Pointers: those of what the message wraps, else the message id.
"""

from hoptrace.carriers.sns import extract_message
from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Hop, Record, chain, from_iso, hop_since, last_of_arn
from hoptrace.triggers.envelopes import Opener, read_each, text_of_message


def read(event: Shape, name: str, opener: Opener | None = None) -> Arrival:
    """Read every message: its own attributes, then what its text wraps."""
    opener = opener or Opener()
    arrival = Arrival(name, "pubsub")
    members = [member.get("Sns") for member in event.items("Records")]
    arrival.records = read_each(members, message, opener)
    arrival.attributes = dict(arrival.records[0].attributes)
    if len(arrival.records) > 1:
        arrival.attributes.pop("messaging.message.id", None)
        arrival.attributes["messaging.batch.message_count"] = len(arrival.records)
    return arrival


def message(notification: Shape, opener: Opener) -> Record:
    """Read one message, in Lambda's shape or as the notification that a queue gets."""
    topic = last_of_arn(notification.text("TopicArn"))
    found = Record(notification.text("MessageId"), f"process {topic}".rstrip())
    found.attributes = {"messaging.system": "aws.sns", "messaging.operation.type": "process"}
    found.attributes.update(
        (key, value)
        for key, value in (
            ("messaging.destination.name", topic),
            ("aws.sns.topic.arn", notification.text("TopicArn")),
            ("messaging.message.id", found.item_id),
        )
        if value
    )
    hop = _hop(notification, topic, found)
    hops: list[Hop | None] = []
    found.context = extract_message(notification)
    found.carrier = "traceparent" if found.context is not None else ""
    if found.context is None:
        texts = notification.get("MessageAttributes")
        hops = text_of_message(notification.text("Message"), texts, "Value", found, opener)
    found.hops = chain([*hops, hop])
    if found.item_id and not found.pointers:
        found.pointers.append(("aws.sns", found.item_id))
    return found


def _hop(notification: Shape, topic: str, found: Record) -> Hop | None:
    """The time since it was published."""
    start = from_iso(notification.text("Timestamp"))
    if start is None:
        return None
    attributes = {key: value for key, value in found.attributes.items() if key != "messaging.operation.type"}
    return hop_since(f"SNS {topic}".rstrip(), "aws.sns", start, attributes)
