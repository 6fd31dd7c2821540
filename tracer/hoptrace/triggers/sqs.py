"""SQS: a batch of messages, each with a producer, and maybe a topic or a bus, of its own.

Recognised by: `Records[0].eventSource` is `aws:sqs`.
Context: each record's own message attributes; then what its body wraps, to any depth; then `AWSTraceHeader` when it
    says `Sampled=1` (else only its trace id is joined). A Lambda function's dead letter has that function's.
Hops: what the body wraps, then SQS from `SentTimestamp`; a redelivery is one more, from the first receipt, and so is a
    dead-letter queue after the queue that gave up.
Pointers: those of what the body wraps, else the message id.
"""

from hoptrace.carriers.sqs import extract_attributes, extract_trace_header, extract_trace_header_root
from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Hop, Record, chain, from_ms, last_of_arn
from hoptrace.triggers.envelopes import Opener, read_each, text_of_message


def read(event: Shape, name: str, opener: Opener | None = None) -> Arrival:
    """Read every message: its own attributes, then what its body wraps, then the trace header."""
    opener = opener or Opener()
    messages = event.items("Records")
    arrival = Arrival(name, "pubsub", partial_failures=True)
    arrival.records = read_each(messages, record, opener)
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


def record(message: Shape, opener: Opener) -> Record:
    """Read one message, of a batch of Lambda's or of a pipe."""
    queue = last_of_arn(message.text("eventSourceARN"))
    found = Record(message.text("messageId"), f"process {queue}".rstrip())
    found.attributes = {"messaging.system": "aws_sqs", "messaging.operation.type": "process"}
    if queue:
        found.attributes["messaging.destination.name"] = queue
    if found.item_id:
        found.attributes["messaging.message.id"] = found.item_id
    count = message.number("attributes", "ApproximateReceiveCount")
    if count is not None:
        found.attributes["hoptrace.sqs.receive_count"] = int(count)
    _dead_letter(message, found)

    hops: list[Hop | None] = []
    found.context, found.carrier = extract_attributes(message), "traceparent"
    if found.context is None:
        hops = text_of_message(message.text("body"), message.get("messageAttributes"), "stringValue", found, opener)
    if found.context is None:
        found.context, found.carrier = extract_trace_header(message), "xray"
    if found.context is None:
        found.carrier = ""
        found.root = found.root or extract_trace_header_root(message)
    found.hops = chain([*hops, *_hops(message, queue, found)])
    if found.item_id and not found.pointers:
        found.pointers.append(("aws_sqs", found.item_id))
    return found


def _dead_letter(message: Shape, found: Record) -> None:
    """Where the queue's redrive policy took it from; in that queue again, it was moved back."""
    source = message.text("attributes", "DeadLetterQueueSourceArn")
    if source:
        found.attributes["hoptrace.sqs.dead_letter_source"] = source
        if source == message.text("eventSourceARN"):
            found.attributes["hoptrace.sqs.redriven"] = True


def _hops(message: Shape, queue: str, found: Record) -> list[Hop]:
    """The stay in the queue; when it was received before, the time since then is a hop of its own."""
    start = found.since_ns = from_ms(message.number("attributes", "SentTimestamp"))
    if start is None:
        return []
    attributes = {key: value for key, value in found.attributes.items() if key != "messaging.operation.type"}
    hops = [Hop(f"SQS {queue}".rstrip(), "aws_sqs", start, None, attributes)]
    first = from_ms(message.number("attributes", "ApproximateFirstReceiveTimestamp"))
    if first is not None:
        # Nanoseconds, as the hop's own times: from here on the message waited for this function, not for its turn.
        attributes["hoptrace.sqs.first_received"] = first
        if attributes.get("hoptrace.sqs.receive_count", 1) != 1:
            source = last_of_arn(message.text("attributes", "DeadLetterQueueSourceArn"))
            name = f"SQS {queue}" if source else f"SQS {queue} redelivery"
            if source:
                # Received there first, and moved at a time that nobody tells.
                hops[0].name = f"SQS {source}"
                hops[0].attributes = {**attributes, "messaging.destination.name": source}
            hops.append(Hop(name, "aws_sqs", max(first, start), None, dict(attributes)))
    return hops
