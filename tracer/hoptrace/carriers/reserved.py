"""The one key of ours inside a user's JSON object, for services that pass on nothing else.

Besides the context it holds `sent`, the producer's clock in epoch milliseconds: services write their times in whole
seconds, or not at all.
"""

from hoptrace.propagation import choices, extract, no_room
from hoptrace.shape import Shape
from hoptrace.spans.context import SpanContext

RESERVED_KEY = "_hoptrace"
SENT = "sent"
VIA = "via"
_LONGEST_TEXT = 1 << 20
# What shows a context among the members of somebody's own JSON object, in any of the formats.
MARKS = ("traceparent", "b3", "x-b3-traceid", "x-datadog-trace-id", "x-amzn-trace-id", "_datadog")


def add(text: str, context: SpanContext, now_ms: int, room: int, via: str = "") -> str | None:
    """Return the JSON object that `text` spells with the key added, no other byte changed, `room` bytes longer at most.

    None when that cannot be. A key that an object came with and that is sent on is replaced, in its place. What is no
    valid JSON stays invalid. `via` names a service whose events do not tell that they are its own.
    """
    import json

    from hoptrace.jsontext import set_member

    more = {VIA: via} if via else {}
    found = choices(context)
    for fields in found:
        value = json.dumps({**fields, SENT: now_ms, **more}, separators=(",", ":"))
        longer = set_member(text, RESERVED_KEY, value, SENT)
        if longer is None:
            return None
        # Both are ASCII where they differ, so characters are bytes.
        if len(longer) - len(text) <= room:
            return longer
    if found:
        no_room()
    return None


def extract_reserved(document: Shape) -> SpanContext | None:
    """Read the reserved key of a JSON object, or the same texts as plain members, as hoptrace's own alerts do."""
    reserved = document.get(RESERVED_KEY)
    return (extract(reserved.text) if reserved.raw else None) or extract(lambda name: member(document, name))


def extract_text(text: str) -> SpanContext | None:
    """Read the same of a JSON object that is text; one that mentions no context is not parsed."""
    if len(text) > _LONGEST_TEXT or not any(f'"{name}"' in text for name in (RESERVED_KEY, *MARKS)):
        return None
    import json

    try:
        return extract_reserved(Shape(json.loads(text)))
    except (ValueError, RecursionError):
        return None


def member(document: Shape, name: str) -> str:
    """Read a text of an object; Datadog's is an object itself, here as text."""
    if name == "_datadog" and document.is_object(name):
        import json

        return json.dumps(document.get(name).raw)
    return document.text(name)
