"""IoT Core: an event of its own, or a message that says that it came this way; a rule's bare output says nothing.

Recognised by: `eventType` of a presence, subscription, job or registry event; else `_hoptrace.via` is `iot`. Any other
output of a rule is `other`: the rule's author alone decides what is in it.
Context: `_hoptrace` of the message.
Hops: IoT, from `_hoptrace.sent`; the time of a presence event is right to two minutes, so it makes none.
Pointers: none
"""

from hoptrace.carriers.reserved import RESERVED_KEY, SENT, extract_reserved
from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Hop, Record, from_ms


def read(event: Shape, name: str) -> Arrival:
    """Read what kind of event it is; neither address nor principal of a device is recorded."""
    kind = event.text("eventType") if not event.has(RESERVED_KEY) else ""
    arrival = Arrival(name, "pubsub")
    arrival.attributes = {
        key: value
        for key, value in (
            ("messaging.system", "aws.iot"),
            ("messaging.operation.type", "process"),
            ("messaging.message.id", event.text("eventId") if kind else ""),
            ("messaging.client.id", event.text("clientId") if kind else ""),
            ("hoptrace.iot.event_type", kind),
            ("hoptrace.iot.operation", event.text("operation") if kind else ""),
        )
        if value
    }
    record = Record(event.text("eventId") if kind else "", "process", extract_reserved(event), "traceparent")
    record.attributes = dict(arrival.attributes)
    start = from_ms(event.number(RESERVED_KEY, SENT))
    if start is not None:
        record.hops = [Hop("IoT", "aws.iot", start, None, {"messaging.system": "aws.iot"})]
    arrival.records = [record]
    return arrival
