"""Message attributes, as SQS and SNS both have them: named values beside the body, ten at most, counted in its size."""

from hoptrace.propagation import choices, has_context, no_room, without_passed_on
from hoptrace.shape import as_text, walk
from hoptrace.spans.context import SpanContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Entry = Mapping[str, Any]

# SQS quotas: 10 message attributes. SNS delivers raw to SQS and counts the same 10, but discards a message that has
# more (SNS guide, "message attributes").
MOST_ATTRIBUTES = 10
# A queue or a topic may take less than the service does (`MaximumMessageSize`), which a call does not tell. Who sets it
# takes a round number: what queues took at first, 64 KiB, or a multiple, such as the 256 KiB that they took for years.
_LIMITS = 65_536
# More than any of our values, and what Datadog's object takes.
_LONGEST_BINARY = 8_192


def with_context(entry: "Entry", context: SpanContext, size: int, room: int) -> "Entry":
    """Return a copy of a message of `size` bytes with the context among its attributes; the very same when none fits.

    As many of our attributes as leave no more than ten and no more than `room` bytes; String attributes that are not
    JSON, so that subscriptions' filter policies go on to work.
    """
    given = attributes_of(entry)
    if given is None:
        return entry
    attributes = own_attributes(given, context)
    if has_context(attributes):
        return entry
    if attributes is not given:
        size += attribute_bytes(attributes) - attribute_bytes(given)
    found = choices(context)
    for fields in found:
        ours = {
            name: {"DataType": "String", "StringValue": value}
            for name, value in fields.items()
            if name not in attributes
        }
        if len(attributes) + len(ours) <= MOST_ATTRIBUTES and size + attribute_bytes(ours) <= room:
            return {**entry, "MessageAttributes": {**attributes, **ours}}
    if found:
        no_room()
    return entry


def round_limit(size: int) -> int:
    """Return the lowest limit that somebody may have set and that a message of `size` bytes just keeps to."""
    return -(-max(size, 1) // _LIMITS) * _LIMITS


def attributes_of(entry: "Entry") -> "dict[str, Any] | None":
    """Return the user's attributes, {} when there are none, None when they are nothing that we understand."""
    if not isinstance(entry, dict):
        return None
    attributes = entry.get("MessageAttributes")
    if attributes is None:
        return {}
    return attributes if isinstance(attributes, dict) else None


def own_attributes(attributes: "dict[str, Any]", context: SpanContext) -> "dict[str, Any]":
    """Return the attributes without a context that the message came with and is sent on with, else the very same."""
    return without_passed_on(attributes, context, lambda value: walk(value, ("StringValue",)))


def bytes_of(value: "Any") -> int:
    """Count the bytes that `value` takes on the wire; what is no text counts nothing (botocore refuses it anyway)."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    return len(value) if isinstance(value, (bytes, bytearray)) else 0


def attribute_bytes(attributes: "Any") -> int:
    """Count name, type and value of every attribute, as SQS and SNS do."""
    if not isinstance(attributes, dict):
        return 0
    size = 0
    for name, attribute in attributes.items():
        size += bytes_of(name)
        for field in ("DataType", "StringValue", "BinaryValue"):
            size += bytes_of(walk(attribute, (field,)))
    return size


def text_of_binary(value: str) -> str:
    """Decode a Binary attribute; "" when it is none that could hold one of our values."""
    if not value or len(value) > _LONGEST_BINARY:
        return ""
    import binascii

    try:
        return as_text(binascii.a2b_base64(value).decode("ascii"))
    except ValueError:
        return ""


def inject_each(
    entries: "Sequence[Entry]",
    context_for: "Callable[[int], SpanContext | None]",
    size_of: "Callable[[Entry], int]",
    limit: int,
    inject: "Callable[[Entry, SpanContext, int], Entry]",
) -> "Sequence[Entry]":
    """Inject into each entry while the sum of all of them stays within `limit` bytes.

    `context_for(index)` names an entry's context, `inject` gets the bytes that the entry may have. When nothing could
    be written, `entries` itself is returned.
    """
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
