"""SNS: a published message, delivered to the function without a queue in between.

Recognised by: `Records[0].EventSource` is `aws:sns`.
Context: the message attributes; then an EventBridge event, or a bare detail with the reserved key, in the message.
Hops: EventBridge where the message is an event, then SNS from `Timestamp`.
Pointers: none.
"""

from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Record, chain, last_of_arn
from hoptrace.triggers.envelopes import Opener, sns_hop, unwrap_message


def read(event: Shape, name: str) -> Arrival:
    """Read every message: its own attributes, then an EventBridge event in its text."""
    opener = Opener()
    arrival = Arrival(name, "pubsub")
    arrival.records = [_record(member.get("Sns"), opener) for member in event.items("Records")]
    arrival.attributes = dict(arrival.records[0].attributes)
    if len(arrival.records) > 1:
        arrival.attributes.pop("messaging.message.id", None)
        arrival.attributes["messaging.batch.message_count"] = len(arrival.records)
    return arrival


def _record(message: Shape, opener: Opener) -> Record:
    topic = last_of_arn(message.text("TopicArn"))
    record = Record(message.text("MessageId"), f"process {topic}".rstrip())
    record.attributes = {"messaging.system": "aws.sns", "messaging.operation.type": "process"}
    record.attributes.update(
        (key, value)
        for key, value in (
            ("messaging.destination.name", topic),
            ("aws.sns.topic.arn", message.text("TopicArn")),
            ("messaging.message.id", record.item_id),
        )
        if value
    )
    record.context, hops = unwrap_message(message, opener)
    record.carrier = "traceparent" if record.context is not None else ""
    record.hops = chain([*hops, sns_hop(message)])
    return record
