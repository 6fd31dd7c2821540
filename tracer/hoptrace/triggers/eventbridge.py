"""EventBridge: one event from a bus, by a rule.

Recognised by: `detail-type`, `source` and an object `detail`, and no trigger further up.
Context: `detail._hoptrace`, then the same texts as members of `detail`.
Hops: EventBridge, from `detail._hoptrace.sent` (ms, the producer's clock), else from `time`; none for a replayed event.
Pointers: none.
"""

from hoptrace.carriers.eventbridge import extract_event
from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Record, chain
from hoptrace.triggers.envelopes import event_attributes, eventbridge_hop


def read(event: Shape, name: str) -> Arrival:
    """Read the event; the bus is not named in it, so its `detail-type` is the best name."""
    record = Record(event.text("id"), f"process {event.text('detail-type')}", extract_event(event), "traceparent")
    record.attributes = {
        "messaging.system": "aws.eventbridge",
        "messaging.operation.type": "process",
        **event_attributes(event),
    }
    record.hops = chain([eventbridge_hop(event)])
    return Arrival(name, "pubsub", attributes=dict(record.attributes), records=[record])
