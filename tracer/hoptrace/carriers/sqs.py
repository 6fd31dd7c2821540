"""SQS: message attributes, and where there is no room for one more, the system attribute AWSTraceHeader.

Calls: SQS SendMessage, SendMessageBatch.
Written: String attributes beside the user's.
Read: String and Binary attributes; `AWSTraceHeader` when it says `Sampled=1`, else only its trace id.
Limits: 10 attributes; 1 MiB for body and attributes (name, type and value), for a batch all its entries together. No
    message is made to exceed the multiple of 64 KiB that it keeps to, such as 256 KiB, since a queue may take less than
    the service does (`MaximumMessageSize`).
Without room: first without `baggage`, then without `tracestate`, then the system attribute `AWSTraceHeader`, which
    counts in neither and keeps every field of Lambda's own but Root, Parent and Sampled.
Default: on.
"""

from hoptrace.carriers.attributes import (
    attribute_bytes,
    attributes_of,
    bytes_of,
    inject_each,
    own_attributes,
    round_limit,
    text_of_binary,
    with_context,
)
from hoptrace.propagation import aws_headers, extract, has_context
from hoptrace.shape import Shape
from hoptrace.spans.context import SpanContext, format_xray, parse_xray, parse_xray_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hoptrace.carriers.attributes import Entry

TRACE_HEADER = "AWSTraceHeader"
# SQS quotas: 1 MiB for a message with its attributes, and for a whole batch.
SQS_BYTES = 1_048_576


def inject_entry(
    entry: "Entry", context: SpanContext, trace_header: str | None = None, room: int = SQS_BYTES
) -> "Entry":
    """Write `context` into the parameters of SendMessage or one entry of SendMessageBatch; return new ones.

    As a String attribute when there is room for it among the ten attributes and the `room` bytes, else as the system
    attribute AWSTraceHeader, which counts in neither; `trace_header` is the header that this invocation got, whose
    Lineage is kept there. A context or AWSTraceHeader of the user's own stays: then `entry` itself is returned.
    """
    attributes = attributes_of(entry)
    if attributes is None or has_context(own_attributes(attributes, context)):
        return entry
    size = _size(entry)
    written = with_context(entry, context, size, min(room, round_limit(size)))
    if written is not entry or not aws_headers():
        return written
    system = entry.get("MessageSystemAttributes")
    if system is None:
        system = {}
    if not isinstance(system, dict) or TRACE_HEADER in system:
        return entry
    header = {"DataType": "String", "StringValue": format_xray(context, trace_header)}
    return {**entry, "MessageSystemAttributes": {**system, TRACE_HEADER: header}}


def inject_batch(
    entries: "Sequence[Entry]", context_for: "Callable[[int], SpanContext | None]", trace_header: str | None = None
) -> "Sequence[Entry]":
    """Write a context into each entry of a SendMessageBatch; the size limit is the whole batch's."""

    def inject(entry: "Entry", context: SpanContext, room: int) -> "Entry":
        return inject_entry(entry, context, trace_header, room)

    return inject_each(entries, context_for, _size, SQS_BYTES, inject)


def extract_attributes(record: Shape) -> SpanContext | None:
    """Read the message attributes of an SQS record as Lambda gets it (`stringValue`, lower case; Binary in base64)."""
    attributes = record.get("messageAttributes")
    return extract(lambda name: _value(attributes, name)) if attributes.raw else None


def extract_trace_header(record: Shape) -> SpanContext | None:
    """Read the system attribute AWSTraceHeader of an SQS record, when it names a span that somebody recorded.

    Every Lambda function sends one, without X-Ray too, and then its Parent exists nowhere and it says `Sampled=0`:
    that is no producer and no decision about sampling, only a trace id (`extract_trace_header_root`).
    """
    found = parse_xray(record.text("attributes", TRACE_HEADER)) if aws_headers() else None
    return found if found is not None and found.sampled else None


def extract_trace_header_root(record: Shape) -> str:
    """Read the trace id of an AWSTraceHeader that may have no Parent, "" without."""
    return (parse_xray_root(record.text("attributes", TRACE_HEADER)) or "") if aws_headers() else ""


def _value(attributes: Shape, name: str) -> str:
    return attributes.text(name, "stringValue") or text_of_binary(attributes.text(name, "binaryValue"))


def _size(entry: "Entry") -> int:
    return bytes_of(entry.get("MessageBody")) + attribute_bytes(entry.get("MessageAttributes"))
