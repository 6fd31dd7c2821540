"""EventBridge Scheduler: one run of a schedule, by its default event or by an input of the author's.

Recognised by: source `aws.scheduler`; or an input whose `schedule-arn` (also `schedule_arn`, `scheduleArn`) is a
schedule's ARN beside a `scheduled-time`, `execution-id` or `attempt-number`, filled in from the service's keywords.
Context: `_hoptrace`, `traceparent` of the input, where its author put one.
Hops: EventBridge Scheduler, from the time that the run was due.
Pointers: none
"""

from hoptrace.carriers.reserved import extract_reserved
from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Hop, Record, from_iso, keyword, last_of_arn


def read(event: Shape, name: str) -> Arrival:
    """Read which schedule it was, when it was due, and which attempt this is."""
    due = keyword(event, "scheduled-time").text() or event.text("time")
    schedule = last_of_arn(keyword(event, "schedule-arn").text() or event.text("resources", 0))
    execution = keyword(event, "execution-id").text()
    arrival = Arrival(name, "timer")
    for key, value in (
        ("faas.time", due),
        ("hoptrace.scheduler.schedule", schedule),
        ("hoptrace.scheduler.execution_id", execution),
    ):
        if value:
            arrival.attributes[key] = value
    attempt = keyword(event, "attempt-number").number()
    if attempt is not None:
        arrival.attributes["hoptrace.scheduler.attempt"] = int(attempt)
    record = Record(execution or event.text("id"), context=extract_reserved(event), carrier="traceparent")
    start = from_iso(due)
    if start is not None:
        # Due to the second, not cut to it: what follows is waiting, be it for a flexible window or a retry.
        record.hops = [Hop(f"EventBridge Scheduler {schedule}".rstrip(), "aws.scheduler", start)]
    arrival.records = [record]
    return arrival
