"""SQS: a batch of messages, each with a producer, and maybe a topic or a bus, of its own.

Recognised by: `Records[0].eventSource` is `aws:sqs`.
Context: each record's own message attributes; then what its body wraps: an SNS notification, an EventBridge event, one
    in the other, or a bare detail with the reserved key; then `AWSTraceHeader` when it says `Sampled=1` (else only its
    trace id is joined).
Hops: what the body wraps, then SQS from `SentTimestamp`; a redelivery is one more, from the first receipt.
Pointers: the message id.
"""

from hoptrace.carriers.sqs import extract_attributes, extract_trace_header, extract_trace_header_root
from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Hop, Record, chain, from_ms, last_of_arn
from hoptrace.triggers.envelopes import Opener, unwrap


def read(event: Shape, name: str) -> Arrival:
    """Read every message: its own attributes, then what its body wraps, then the trace header."""
    opener = Opener()
    messages = event.items("Records")
    arrival = Arrival(name, "pubsub", partial_failures=True)
    arrival.records = [_record(message, opener) for message in messages]
    arrival.attributes = {
        "messaging.system": "aws_sqs",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.batch.message_count": len(messages),
    }
    queue = last_of_arn(messages[0].text("eventSourceARN"))
    if queue:
        arrival.attributes["messaging.destination.name"] = queue
    if len(messages) == 1 and messages[0].text("messageId"):
        arrival.attributes["messaging.message.id"] = messages[0].text("messageId")
    return arrival


def _record(message: Shape, opener: Opener) -> Record:
    queue = last_of_arn(message.text("eventSourceARN"))
    record = Record(message.text("messageId"), f"process {queue}".rstrip())
    record.attributes = {"messaging.system": "aws_sqs", "messaging.operation.type": "process"}
    if queue:
        record.attributes["messaging.destination.name"] = queue
    if record.item_id:
        record.attributes["messaging.message.id"] = record.item_id
    count = message.number("attributes", "ApproximateReceiveCount")
    if count is not None:
        record.attributes["hoptrace.sqs.receive_count"] = int(count)

    hops: list[Hop | None] = []
    record.context, record.carrier = extract_attributes(message), "traceparent"
    if record.context is None:
        record.context, hops = unwrap(message.text("body"), opener)
    if record.context is None:
        record.context, record.carrier = extract_trace_header(message), "xray"
    if record.context is None:
        record.carrier = ""
        record.root = extract_trace_header_root(message)
    record.hops = chain([*hops, *_hops(message, queue, record)])
    if record.item_id:
        record.pointers.append(("aws_sqs", record.item_id))
    return record


def _hops(message: Shape, queue: str, record: Record) -> list[Hop]:
    """The stay in the queue; when it was received before, the time since then is a hop of its own."""
    start = record.since_ns = from_ms(message.number("attributes", "SentTimestamp"))
    if start is None:
        return []
    attributes = {key: value for key, value in record.attributes.items() if key != "messaging.operation.type"}
    hops = [Hop(f"SQS {queue}".rstrip(), "aws_sqs", start, None, attributes)]
    first = from_ms(message.number("attributes", "ApproximateFirstReceiveTimestamp"))
    if first is not None:
        # Nanoseconds, as the hop's own times: from here on the message waited for this function, not for its turn.
        attributes["hoptrace.sqs.first_received"] = first
        if attributes.get("hoptrace.sqs.receive_count", 1) != 1:
            hops.append(Hop(f"SQS {queue} redelivery", "aws_sqs", max(first, start), None, dict(attributes)))
    return hops
