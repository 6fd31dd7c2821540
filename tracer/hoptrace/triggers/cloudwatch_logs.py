"""CloudWatch Logs: a batch of log events that a subscription filter lets through.

Recognised by: `awslogs.data`.
Context: none; log lines have no producer.
Hops: CloudWatch Logs, from the first log event's `timestamp`.
Pointers: none
"""

from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Hop, Record, from_ms
from hoptrace.triggers.log_data import beginning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hoptrace.triggers.arrival import Attributes


def read(event: Shape, name: str) -> Arrival:
    """Read whose logs they are; all of it stands before the first log line, and no further is anything unpacked."""
    data = beginning(event.text("awslogs", "data"))
    group = data.text("logGroup")
    attributes: Attributes = {
        key: value
        for key, value in (
            ("hoptrace.logs.group", group),
            ("hoptrace.logs.stream", data.text("logStream")),
            ("hoptrace.logs.filter", data.text("subscriptionFilters", 0)),
            ("hoptrace.logs.message_type", data.text("messageType")),
        )
        if value
    }
    record = Record(name="process")
    record.since_ns = from_ms(data.number("logEvents", 0, "timestamp"))
    if record.since_ns is not None:
        hop = {
            key: value for key, value in attributes.items() if key in ("hoptrace.logs.group", "hoptrace.logs.stream")
        }
        record.hops = [Hop(f"CloudWatch Logs {group}".rstrip(), "aws.logs", record.since_ns, None, hop)]
    record.attributes = dict(attributes)
    return Arrival(name, "pubsub", attributes=attributes, records=[record])
