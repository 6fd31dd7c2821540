"""Schedule: an EventBridge rule that fires by the clock; nobody produced it, so there is no context and no hop.

Recognised by: `source` is `aws.events` and `detail-type` is `Scheduled Event`.
Context: none: nobody produced it.
Hops: none.
Pointers: none.
"""

from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Record, last_of_arn


def read(event: Shape, name: str) -> Arrival:
    """Read when it was due and which rule it was."""
    arrival = Arrival(name, "timer", records=[Record(event.text("id"))])
    if event.text("time"):
        arrival.attributes["faas.time"] = event.text("time")
    rule = last_of_arn(event.text("resources", 0))
    if rule:
        arrival.attributes["hoptrace.eventbridge.rule"] = rule
    return arrival
