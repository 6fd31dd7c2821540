"""Schedule: an EventBridge rule that fires by the clock; nobody produced it.

Recognised by: source `aws.events`, detail-type `Scheduled Event`.
Context: nobody produced it.
Hops: EventBridge, from the time that the rule fired, so that an invocation that was throttled or tried again shows it.
Pointers: none
"""

from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Record, from_iso, hop_since, is_coarse, last_of_arn


def read(event: Shape, name: str) -> Arrival:
    """Read when it was due and which rule it was."""
    record = Record(event.text("id"))
    arrival = Arrival(name, "timer", records=[record])
    if event.text("time"):
        arrival.attributes["faas.time"] = event.text("time")
    rule = last_of_arn(event.text("resources", 0))
    if rule:
        arrival.attributes["hoptrace.eventbridge.rule"] = rule
    start = from_iso(event.text("time"))
    if start is not None:
        hop = hop_since(f"EventBridge {rule}".rstrip(), "aws.eventbridge", start, {})
        if is_coarse(start):
            hop.attributes["hoptrace.start.granularity"] = "1s"
        record.hops = [hop]
    return arrival
