"""Where a trace's context hides in each wire shape: what writes it and what reads it, side by side.

The two halves of a shape stand together so that they cannot drift apart. What is written never changes what the
user's call means and never makes it fail: attributes and bytes are counted first, whatever the user put there stays,
the caller's own objects are never touched, and a function that could not write returns the very object it was given.
What is read is another's input, so it is read through `Shape`.
"""

import json

from hoptrace.shape import Shape, as_text, walk
from hoptrace.spans.context import (
    SpanContext,
    format_traceparent,
    format_xray,
    parse_traceparent,
    parse_xray,
    parse_xray_root,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Entry = Mapping[str, Any]

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
TRACE_HEADER = "AWSTraceHeader"
# The one key of ours inside a user's data: EventBridge's own TraceHeader does not reach the target.
RESERVED_KEY = "_hoptrace"

# SQS quotas: 10 message attributes; 1 MiB for a message with its attributes, and for a whole batch. SNS delivers raw to
# SQS and counts the same 10, but discards a message that has more (SNS guide, "message attributes").
MOST_ATTRIBUTES = 10
SQS_BYTES = 1_048_576
SNS_BYTES = 262_144
# EventBridge PutEvents: 1 MB for all entries of a request; the service counts in units that it does not define, so the
# smaller megabyte.
EVENTBRIDGE_BYTES = 1_000_000
EVENTBRIDGE_TIME_BYTES = 14
# Lambda Invoke, ClientContext: "up to 3,583 bytes of base64-encoded data".
CLIENT_CONTEXT_BYTES = 3_583


# --- HTTP headers


def extract_headers(headers: Shape) -> SpanContext | None:
    """Read the context from an object of HTTP headers, whatever the case of their names."""
    return parse_traceparent(headers.header(TRACEPARENT), headers.header(TRACESTATE))


def extract_headers_root(headers: Shape) -> str:
    """Read the trace id of `X-Amzn-Trace-Id`, "" without; API Gateway's and ALB's Parent exists in X-Ray only."""
    return parse_xray_root(headers.header("x-amzn-trace-id")) or ""


# --- SQS


def inject_sqs_entry(
    entry: "Entry", context: SpanContext, trace_header: str | None = None, room: int = SQS_BYTES
) -> "Entry":
    """Write `context` into the parameters of SendMessage or one entry of SendMessageBatch; return new ones.

    As a String attribute when there is room for it among the ten attributes and the `room` bytes, else as the system
    attribute AWSTraceHeader, which counts in neither; `trace_header` is the header that this invocation got, whose
    Lineage is kept there. A `traceparent` or AWSTraceHeader of the user's own stays: then `entry` itself is returned.
    """
    attributes = _attributes(entry)
    if attributes is None or TRACEPARENT in attributes:
        return entry
    size = _sqs_size(entry)
    for ours in _own_attributes(context):
        if len(attributes) + len(ours) <= MOST_ATTRIBUTES and size + _attribute_bytes(ours) <= room:
            return {**entry, "MessageAttributes": {**attributes, **ours}}
    system = entry.get("MessageSystemAttributes")
    if system is None:
        system = {}
    if not isinstance(system, dict) or TRACE_HEADER in system:
        return entry
    header = {"DataType": "String", "StringValue": format_xray(context, trace_header)}
    return {**entry, "MessageSystemAttributes": {**system, TRACE_HEADER: header}}


def inject_sqs_batch(
    entries: "Sequence[Entry]", context_for: "Callable[[int], SpanContext | None]", trace_header: str | None = None
) -> "Sequence[Entry]":
    """Write a context into each entry of a SendMessageBatch, `context_for(index)` naming it; return a new list.

    The size limit is the whole batch's. When nothing could be written, `entries` itself is returned.
    """

    def inject(entry: "Entry", context: SpanContext, room: int) -> "Entry":
        return inject_sqs_entry(entry, context, trace_header, room)

    return _inject_batch(entries, context_for, _sqs_size, SQS_BYTES, inject)


def extract_sqs_attributes(record: Shape) -> SpanContext | None:
    """Read the message attributes of an SQS record as Lambda gets it (`stringValue`, lower case; Binary in base64)."""
    attributes = record.get("messageAttributes")
    return parse_traceparent(_sqs_value(attributes, TRACEPARENT), _sqs_value(attributes, TRACESTATE))


def extract_trace_header(record: Shape) -> SpanContext | None:
    """Read the system attribute AWSTraceHeader of an SQS record, when it names a span that somebody recorded.

    Every Lambda function sends one, without X-Ray too, and then its Parent exists nowhere and it says `Sampled=0`:
    that is no producer and no decision about sampling, only a trace id (`extract_trace_header_root`).
    """
    found = parse_xray(record.text("attributes", TRACE_HEADER))
    return found if found is not None and found.sampled else None


def extract_trace_header_root(record: Shape) -> str:
    """Read the trace id of an AWSTraceHeader that may have no Parent, "" without."""
    return parse_xray_root(record.text("attributes", TRACE_HEADER)) or ""


def _sqs_value(attributes: Shape, name: str) -> str:
    return attributes.text(name, "stringValue") or _from_base64(attributes.text(name, "binaryValue"))


def _sqs_size(entry: "Entry") -> int:
    return _bytes(entry.get("MessageBody")) + _attribute_bytes(entry.get("MessageAttributes"))


# --- SNS


def inject_sns_entry(entry: "Entry", context: SpanContext, room: int = SNS_BYTES) -> "Entry":
    """Write `context` into the parameters of Publish or one entry of PublishBatch; return new ones.

    A String attribute that is not JSON, so that subscriptions' filter policies go on to work. Without room, or for a
    text message to a telephone, `entry` itself is returned: SNS takes no system attribute to fall back to.
    """
    attributes = _attributes(entry)
    if attributes is None or TRACEPARENT in attributes or "PhoneNumber" in entry:
        return entry
    size = _sns_size(entry)
    for ours in _own_attributes(context):
        if len(attributes) + len(ours) <= MOST_ATTRIBUTES and size + _attribute_bytes(ours) <= room:
            return {**entry, "MessageAttributes": {**attributes, **ours}}
    return entry


def inject_sns_batch(
    entries: "Sequence[Entry]", context_for: "Callable[[int], SpanContext | None]"
) -> "Sequence[Entry]":
    """Write a context into each entry of a PublishBatch, as `inject_sqs_batch` does."""
    return _inject_batch(entries, context_for, _sns_size, SNS_BYTES, inject_sns_entry)


def extract_sns(message: Shape) -> SpanContext | None:
    """Read an SNS message, as Lambda gets it under `Sns` or as SQS gets it in a body: both have Type and Value."""
    attributes = message.get("MessageAttributes")
    return parse_traceparent(_sns_value(attributes, TRACEPARENT), _sns_value(attributes, TRACESTATE))


def _sns_value(attributes: Shape, name: str) -> str:
    value = attributes.text(name, "Value")
    return _from_base64(value) if attributes.text(name, "Type") == "Binary" else value


def _sns_size(entry: "Entry") -> int:
    return (
        _bytes(entry.get("Message")) + _bytes(entry.get("Subject")) + _attribute_bytes(entry.get("MessageAttributes"))
    )


# --- EventBridge


def inject_eventbridge_entry(
    entry: "Entry",
    context: SpanContext,
    now_ms: int,
    trace_header: str | None = None,
    room: int = EVENTBRIDGE_BYTES,
    detail: bool = True,
) -> "Entry":
    """Write `context` into one entry of PutEvents; return a new one.

    The TraceHeader (X-Ray's, not counted in the size) is set unless the entry has one. The reserved key is appended to
    `Detail` as text, so no other byte changes, and only when `Detail` is an object and `room` bytes suffice; one that
    an event came with and that is sent on is replaced. `now_ms` (epoch milliseconds) goes with it, because the event's
    own `time` has whole seconds only. A `Detail` that is not valid JSON stays invalid. `detail=False` leaves it alone.
    """
    if not isinstance(entry, dict):
        return entry
    ours: dict[str, Any] = {}
    if "TraceHeader" not in entry:
        ours["TraceHeader"] = format_xray(context, trace_header)
    text = entry.get("Detail")
    if detail and isinstance(text, str):
        from hoptrace.jsontext import set_member

        addition = {TRACEPARENT: format_traceparent(context), "sent": now_ms}
        if context.trace_state:
            addition[TRACESTATE] = context.trace_state
        longer = set_member(text, RESERVED_KEY, json.dumps(addition, separators=(",", ":")), TRACEPARENT)
        if longer is not None and _eventbridge_size(entry) + len(longer) - len(text) <= room:
            ours["Detail"] = longer
    return {**entry, **ours} if ours else entry


def inject_eventbridge_batch(
    entries: "Sequence[Entry]",
    context_for: "Callable[[int], SpanContext | None]",
    now_ms: int,
    trace_header: str | None = None,
    detail: bool = True,
) -> "Sequence[Entry]":
    """Write a context into each entry of a PutEvents request; the size limit is the whole request's."""

    def inject(entry: "Entry", context: SpanContext, room: int) -> "Entry":
        return inject_eventbridge_entry(entry, context, now_ms, trace_header, room, detail)

    return _inject_batch(entries, context_for, _eventbridge_size, EVENTBRIDGE_BYTES, inject)


def extract_reserved(detail: Shape) -> SpanContext | None:
    """Read the reserved key of a detail, or the plain `traceparent` member that hoptrace's own alerts carry."""
    reserved = detail.get(RESERVED_KEY)
    return parse_traceparent(reserved.text(TRACEPARENT), reserved.text(TRACESTATE)) or parse_traceparent(
        detail.text(TRACEPARENT), detail.text(TRACESTATE)
    )


def extract_eventbridge(event: Shape) -> SpanContext | None:
    """Read an EventBridge event, wherever it was found."""
    return extract_reserved(event.get("detail"))


def _eventbridge_size(entry: "Entry") -> int:
    """Size by the rule of the EventBridge guide, "Calculating PutEvents event entry size"."""
    size = EVENTBRIDGE_TIME_BYTES if entry.get("Time") is not None else 0
    size += _bytes(entry.get("Source")) + _bytes(entry.get("DetailType")) + _bytes(entry.get("Detail"))
    resources = entry.get("Resources")
    if isinstance(resources, (list, tuple)):
        size += sum(_bytes(resource) for resource in resources)
    return size


# --- Lambda's client context


def inject_client_context(encoded: str | None, context: SpanContext) -> str | None:
    """Write `context` into the ClientContext of a synchronous Invoke: base64 of JSON; return the new one.

    Into `custom`, which every runtime hands to the function, and into `w3c`, which newer runtime clients offer as
    `context.w3c()`. What cannot be read, has a context already, or would grow over the limit is returned as it is.
    """
    import binascii

    if encoded is not None and type(encoded) is not str:
        return encoded
    try:
        document = json.loads(binascii.a2b_base64(encoded)) if encoded else {}
        if not isinstance(document, dict):
            return encoded
        for room_for_state in (True, False):
            ours = _fields(context, room_for_state)
            parts = {}
            for part in ("custom", "w3c"):
                theirs = document.get(part)
                if theirs is None:
                    theirs = {}
                if not isinstance(theirs, dict) or TRACEPARENT in theirs:
                    return encoded
                parts[part] = {**theirs, **ours}
            text = json.dumps({**document, **parts}, separators=(",", ":"), allow_nan=False)
            longer = binascii.b2a_base64(text.encode("ascii"), newline=False).decode("ascii")
            if len(longer) <= CLIENT_CONTEXT_BYTES:
                return longer
    except (ValueError, RecursionError):
        pass
    return encoded


def extract_client_context(context: object) -> SpanContext | None:
    """Read the context that a caller put into the client context, from the `context` argument of the handler.

    Never raises, whatever `context` is.
    """
    try:
        w3c = getattr(context, "w3c", None)
        fields = Shape(w3c()) if callable(w3c) else Shape(None)
        found = parse_traceparent(fields.text(TRACEPARENT), fields.text(TRACESTATE))
        if found is None:
            client_context = getattr(context, "client_context", None)
            custom = Shape(getattr(client_context, "custom", None))
            found = parse_traceparent(custom.text(TRACEPARENT), custom.text(TRACESTATE))
        return found
    except Exception:  # whatever a stand-in for the context does
        return None


# --- what the shapes share


def _fields(context: SpanContext, with_state: bool) -> dict[str, str]:
    fields = {TRACEPARENT: format_traceparent(context)}
    if with_state and context.trace_state:
        fields[TRACESTATE] = context.trace_state
    return fields


def _own_attributes(context: SpanContext) -> "list[dict[str, Any]]":
    """Return what we would like to add, the best first: with the tracestate, then without."""
    choices = (True, False) if context.trace_state else (False,)
    return [
        {name: {"DataType": "String", "StringValue": value} for name, value in _fields(context, choice).items()}
        for choice in choices
    ]


def _attributes(entry: "Entry") -> "dict[str, Any] | None":
    """Return the user's attributes, {} when there are none, None when they are nothing that we understand."""
    if not isinstance(entry, dict):
        return None
    attributes = entry.get("MessageAttributes")
    if attributes is None:
        return {}
    return attributes if isinstance(attributes, dict) else None


def _bytes(value: "Any") -> int:
    """Count the bytes that `value` takes on the wire; what is no text counts nothing (botocore refuses it anyway)."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    return len(value) if isinstance(value, (bytes, bytearray)) else 0


def _attribute_bytes(attributes: "Any") -> int:
    """Count name, type and value of every attribute, as SQS and SNS do."""
    if not isinstance(attributes, dict):
        return 0
    size = 0
    for name, attribute in attributes.items():
        size += _bytes(name)
        for field in ("DataType", "StringValue", "BinaryValue"):
            size += _bytes(walk(attribute, (field,)))
    return size


def _from_base64(value: str) -> str:
    """Decode a Binary attribute; "" when it is none that could hold one of our values."""
    if not value or len(value) > 1024:
        return ""
    import binascii

    try:
        return as_text(binascii.a2b_base64(value).decode("ascii"))
    except ValueError:
        return ""


def _inject_batch(
    entries: "Sequence[Entry]",
    context_for: "Callable[[int], SpanContext | None]",
    size_of: "Callable[[Entry], int]",
    limit: int,
    inject: "Callable[[Entry, SpanContext, int], Entry]",
) -> "Sequence[Entry]":
    """Inject into each entry while the sum of all of them stays within `limit`."""
    if not isinstance(entries, (list, tuple)):
        return entries
    sizes = [size_of(entry) if isinstance(entry, dict) else 0 for entry in entries]
    spare = limit - sum(sizes)
    written = []
    changed = False
    for index, entry in enumerate(entries):
        context = context_for(index)
        new = entry if context is None else inject(entry, context, sizes[index] + spare)
        if new is not entry:
            changed = True
            spare -= size_of(new) - sizes[index]
        written.append(new)
    return written if changed else entries
