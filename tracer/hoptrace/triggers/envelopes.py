"""Opens what lies in a message's text: an SNS notification, an EventBridge event, or one in the other.

A queue that is subscribed to a topic gets the notification as its body, a topic that is a rule's target gets the event
as its message, and both together nest. Only a text that shows the tell-tale keys is parsed, and for one invocation at
most `_MOST_CHARACTERS` of it: the user's own code will parse the same text again, and should not wait twice for 6 MB.
"""

import json

from hoptrace.carriers.eventbridge import extract_event
from hoptrace.carriers.reserved import RESERVED_KEY, SENT, extract_reserved
from hoptrace.carriers.sns import extract_message
from hoptrace.shape import Shape
from hoptrace.spans.context import SpanContext
from hoptrace.triggers.arrival import Hop, from_iso, from_ms, hop_since, is_coarse, is_event, last_of_arn

_MOST_CHARACTERS = 2 * 1024 * 1024
_NOTHING = Shape(None)


class Opener:
    """Parses texts that look like envelopes, for one invocation, until its share of work is used up."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = _MOST_CHARACTERS

    def open(self, text: str) -> Shape:
        """Return the envelope that `text` spells, or an empty shape."""
        if len(text) > self.left or not _looks_like_envelope(text):
            return _NOTHING
        self.left -= len(text)
        try:
            return Shape(json.loads(text))
        except (ValueError, RecursionError):
            return _NOTHING


def _looks_like_envelope(text: str) -> bool:
    if text[:1] != "{" and text.lstrip()[:1] != "{":
        return False
    return '"detail-type"' in text or '"TopicArn"' in text or f'"{RESERVED_KEY}"' in text


def is_notification(message: Shape) -> bool:
    """Tell whether an opened text is an SNS notification."""
    return message.text("Type") == "Notification" and message.text("TopicArn") != ""


def unwrap(text: str, opener: Opener) -> "tuple[SpanContext | None, list[Hop | None]]":
    """Find the producer's context and the hops, the earliest first, in a message's text."""
    message = opener.open(text)
    if is_notification(message):
        context, hops = unwrap_message(message, opener)
        return context, [*hops, sns_hop(message)]
    return _unwrap_event(message)


def unwrap_message(message: Shape, opener: Opener) -> "tuple[SpanContext | None, list[Hop | None]]":
    """Find what lies behind an SNS message: its own attributes first, then an event in its text."""
    context = extract_message(message)
    if context is not None:
        return context, []
    return _unwrap_event(opener.open(message.text("Message")))


def _unwrap_event(message: Shape) -> "tuple[SpanContext | None, list[Hop | None]]":
    if is_event(message):
        return extract_event(message), [eventbridge_hop(message)]
    # A rule with an input path sends the detail alone.
    return (extract_reserved(message) if message.has(RESERVED_KEY) else None), []


def sns_hop(message: Shape) -> Hop | None:
    """Make the hop of an SNS message, in Lambda's shape or a notification's, from when it was published."""
    start = from_iso(message.text("Timestamp"))
    if start is None:
        return None
    topic = last_of_arn(message.text("TopicArn"))
    hop = hop_since(f"SNS {topic}".rstrip(), "aws.sns", start, {"messaging.system": "aws.sns"})
    hop.attributes.update(
        (key, value)
        for key, value in (
            ("messaging.destination.name", topic),
            ("aws.sns.topic.arn", message.text("TopicArn")),
            ("messaging.message.id", message.text("MessageId")),
        )
        if value
    )
    return hop


def eventbridge_hop(event: Shape) -> Hop | None:
    """Make the hop of an EventBridge event, from when it was put.

    The reserved key has that to the millisecond, by the producer's clock; the event's own `time` has whole seconds,
    which the hop's attribute `hoptrace.start.granularity` says.
    A replayed event keeps the time of its first life, which says nothing about a wait: it has no hop.
    """
    if event.has("replay-name"):
        return None
    start = from_ms(event.number("detail", RESERVED_KEY, SENT))
    exact = start is not None
    if start is None:
        start = from_iso(event.text("time"))
    if start is None:
        return None
    name = f"EventBridge {event.text('detail-type')}"
    attributes = {"messaging.system": "aws.eventbridge", **event_attributes(event)}
    hop = (
        Hop(name, "aws.eventbridge", start, None, attributes)
        if exact
        else hop_since(name, "aws.eventbridge", start, attributes)
    )
    if not exact and is_coarse(start):
        hop.attributes["hoptrace.start.granularity"] = "1s"
    return hop


def event_attributes(event: Shape) -> "dict[str, str | int | float | bool | list[str]]":
    """Say which event it was."""
    return {
        key: value
        for key, value in (
            ("messaging.message.id", event.text("id")),
            ("hoptrace.eventbridge.source", event.text("source")),
            ("hoptrace.eventbridge.detail_type", event.text("detail-type")),
            ("hoptrace.eventbridge.replay", event.text("replay-name")),
        )
        if value
    }
