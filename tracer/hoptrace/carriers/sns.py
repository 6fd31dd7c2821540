"""SNS: message attributes. It takes no system attribute to fall back to.

Calls: SNS Publish to a topic, PublishBatch.
Written: String attributes that are no JSON, so that filter policies go on to work.
Read: String and Binary attributes, of the event and of a notification in a message's body.
Limits: 10 attributes (a raw delivery to SQS with more is discarded); 256 KiB, for a batch all its entries together.
    What is larger goes to a topic that was set to more (`MaximumMessageSize`), and is not made to exceed the multiple
    of 64 KiB that it keeps to.
Without room: first without `baggage`, then without `tracestate`, then nothing.
Default: on.
"""

from hoptrace.carriers.attributes import (
    attribute_bytes,
    bytes_of,
    inject_each,
    round_limit,
    text_of_binary,
    with_context,
)
from hoptrace.propagation import extract
from hoptrace.shape import Shape
from hoptrace.spans.context import SpanContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hoptrace.carriers.attributes import Entry

# SNS guide, "Publishing large messages": a message with its attributes, and a whole batch, may have what the topic's
# `MaximumMessageSize` says, by default 256 KiB, at most 1 MiB.
SNS_BYTES = 262_144
LARGEST_BYTES = 1_048_576


def inject_entry(entry: "Entry", context: SpanContext, room: int = LARGEST_BYTES) -> "Entry":
    """Write `context` into the parameters of Publish or one entry of PublishBatch; return new ones.

    Without room, or for a text message to a telephone, `entry` itself is returned.
    """
    if not isinstance(entry, dict) or "PhoneNumber" in entry:
        return entry
    size = _size(entry)
    return with_context(entry, context, size, min(room, _limit(size)))


def inject_batch(entries: "Sequence[Entry]", context_for: "Callable[[int], SpanContext | None]") -> "Sequence[Entry]":
    """Write a context into each entry of a PublishBatch; the size limit is the whole batch's."""
    if not isinstance(entries, (list, tuple)):
        return entries
    whole = sum(_size(entry) for entry in entries if isinstance(entry, dict))
    return inject_each(entries, context_for, _size, _limit(whole), inject_entry)


def extract_message(message: Shape) -> SpanContext | None:
    """Read an SNS message, as Lambda gets it under `Sns` or as SQS gets it in a body: both have Type and Value."""
    attributes = message.get("MessageAttributes")
    return extract(lambda name: _value(attributes, name)) if attributes.raw else None


def _value(attributes: Shape, name: str) -> str:
    value = attributes.text(name, "Value")
    return text_of_binary(value) if attributes.text(name, "Type") == "Binary" else value


def _limit(size: int) -> int:
    """What the topic surely takes that takes `size` bytes."""
    return SNS_BYTES if size <= SNS_BYTES else min(round_limit(size), LARGEST_BYTES)


def _size(entry: "Entry") -> int:
    return (
        bytes_of(entry.get("Message"))
        + bytes_of(entry.get("Subject"))
        + attribute_bytes(entry.get("MessageAttributes"))
    )
