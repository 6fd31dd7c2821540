"""Opens what lies in a message's text, or as an object inside an event: whatever AWS may have wrapped there, nested.

A queue that is subscribed to a topic gets the notification as its body, a topic that is a rule's target gets the event
as its message, a destination gets the event of the function that failed, and all of that nests. What an envelope can
be, the table `KINDS` says; each kind answers with a `Record`: the producer's context, the services that it came by, and
what else is known of it. What is no kind of its own is read by the table of triggers, since it is an event of another
function then.

Only a text that shows a tell-tale key is parsed, for one invocation at most `_MOST_CHARACTERS` of it and `_DEEPEST`
levels: the user's own code will parse the same text again, and should not wait twice for 6 MB.
"""

import json

from hoptrace.settings import settings
from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Record, is_event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hoptrace.triggers.arrival import Hop

_MOST_CHARACTERS = 2 * 1024 * 1024
_DEEPEST = 8
# Of the records of a batch that lies in a message, so many are linked to.
_MOST_LINKS = 100
_NOTHING = Shape(None)

RESERVED_KEY = "_hoptrace"
# AWS writes these near an envelope's beginning, or near its end where the user's own data comes first. Ours is
# appended to the user's data, and found anywhere.
_WORDS = ("detail-type", "TopicArn", "requestContext", "StateMachine", "eventSource", "s3:TestEvent")
_TELLING = tuple(f'"{word}"' for word in _WORDS)
_MARGIN = 4_096

UNREAD = "hoptrace.envelope.unread"
"""The attribute of a record in which something looked like an envelope and was too large, or too deep, to be opened."""


class Opener:
    """Parses texts that look like envelopes, for one invocation, until its share of work is used up.

    `left` characters may still be parsed, `depth` envelopes are open just now; `unread` says that since it was last
    asked (`refused`) one had to stay closed.
    """

    __slots__ = ("depth", "left", "unread")

    def __init__(self) -> None:
        self.left = _MOST_CHARACTERS
        self.depth = 0
        self.unread = False

    def open(self, text: str, sure: bool = False) -> Shape:
        """Return the JSON that `text` spells, or an empty shape; `sure` says that it need not look like an envelope."""
        if not (sure or _looks_like_envelope(text)):
            return _NOTHING
        if len(text) > self.left or self.depth >= _DEEPEST:
            self.unread = True
            return _NOTHING
        self.left -= len(text)
        try:
            return Shape(json.loads(text))
        except (ValueError, RecursionError):
            return _NOTHING

    def refused(self) -> bool:
        """Tell whether an envelope stayed closed since the last time that this was asked."""
        unread, self.unread = self.unread, False
        return unread


def _looks_like_envelope(text: str) -> bool:
    start = text[:64].lstrip()[:1]
    if start != "{" and start != "[":
        return False
    head, tail = text[:_MARGIN], text[max(_MARGIN, len(text) - _MARGIN) :]
    for key in _TELLING:
        if key in head or key in tail:
            return True
    return f'"{RESERVED_KEY}"' in text


def read_each(members: "list[Shape]", read: "Callable[[Shape, Opener], Record]", opener: Opener) -> "list[Record]":
    """Read as many records as are linked to, and let the others count; in an envelope, fewer."""
    if opener.depth:
        return [read(member, opener) for member in members[:_MOST_LINKS]]
    most = settings().max_batch_links
    return [read(member, opener) for member in members[:most]] + [Record()] * max(0, len(members) - most)


def unwrap(text: str, opener: Opener, sure: bool = False) -> Record | None:
    """Read what a message's text wraps; None when it is no envelope."""
    document = opener.open(text, sure)
    return None if document.raw is None else within(document, opener)


def text_of_message(text: str, attributes: Shape, value: str, found: Record, opener: Opener) -> "list[Hop | None]":
    """Let `found` have what a message's text wraps; return the hops. `value` is the member that attributes' texts have.

    A text that a service gave up on is what its target was to get, and the attributes say so.
    """
    inner = None
    if attributes.raw:
        from hoptrace.triggers.dead_letters import given_up

        inner = given_up(text, lambda name: attributes.text(name, value), opener)
    hops = take(found, inner or unwrap(text, opener))
    if opener.refused():
        found.attributes[UNREAD] = True
    return hops


def within(document: Shape, opener: Opener) -> Record | None:
    """Read an object, or an array, as the first kind of envelope that it is; None when it is none."""
    if opener.depth >= _DEEPEST:
        opener.unread = True
        return None
    opener.depth += 1
    try:
        for fits, read in KINDS:
            if fits(document):
                found = read(document, opener)
                if found is not None:
                    return found
        return None
    finally:
        opener.depth -= 1


def origin(document: Shape, opener: Opener) -> Record | None:
    """Read the event of a function that failed or is over: who woke that one also woke what came of it.

    Its hops are left out. That function has drawn them, and when its own work began is not known here.
    """
    found = within(document, opener)
    return None if found is None else _producer_only(found)


def take(record: Record, inner: Record | None) -> "list[Hop | None]":
    """Let `record` have what the envelope in it knows, as far as it has no context of its own; return the hops."""
    if inner is None:
        return []
    if record.context is None and inner.context is not None:
        record.context, record.carrier = inner.context, inner.carrier
    record.root = inner.root or record.root
    record.links += inner.links
    record.pointers += inner.pointers
    for key, value in inner.attributes.items():
        # The message in hand is the outer one, whatever lies in it.
        if key not in record.attributes and not key.startswith("messaging."):
            record.attributes[key] = value
    return [*inner.hops]


# --- the kinds


def is_notification(message: Shape) -> bool:
    """Tell whether an opened text is an SNS notification."""
    return message.text("Type") == "Notification" and message.text("TopicArn") != ""


def _notification(message: Shape, opener: Opener) -> Record:
    from hoptrace.triggers.sns import message as read_message

    return read_message(message, opener)


def _bus_event(event: Shape, opener: Opener) -> Record:
    from hoptrace.triggers.eventbridge import record

    return record(event, opener)


def _is_test_event(document: Shape) -> bool:
    return document.text("Event") == "s3:TestEvent" and document.text("Bucket") != ""


def _test_event(document: Shape, _opener: Opener) -> Record:
    """What S3 sends once to a queue or a topic that is to get a bucket's notifications: nobody's doing."""
    return Record(attributes={"aws.s3.bucket": document.text("Bucket"), "hoptrace.s3.event": "s3:TestEvent"})


def _is_source_record(document: Shape) -> bool:
    return document.text("eventSource") != "" and not document.is_object("records")


def _source_record(document: Shape, opener: Opener) -> Record | None:
    """A single record of a queue or a stream, as a pipe hands it to its target."""
    from hoptrace.triggers.pipes import record

    return record(document, opener)


# Triggers whose events services put into messages, so that the services they came by led here.
_DELIVERED = frozenset(("s3", "destination", "scheduler", "step_functions", "pipes", "iot"))
# Triggers whose readers open what lies in their events, and share the work with whoever opened those.
_NESTING = frozenset(("sqs", "sns", "kinesis", "firehose", "destination", "step_functions", "pipes"))


def _is_any(_document: Shape) -> bool:
    return True


def _trigger(document: Shape, opener: Opener) -> Record | None:
    """The event of a function: read by the table of triggers."""
    from hoptrace.triggers import TRIGGERS, reader

    for name, fits, module in TRIGGERS:
        if fits(document):
            read: Callable[..., Arrival] = reader(module)
            arrival = read(document, name, opener) if name in _NESTING else read(document, name)
            merged = _merged(arrival)
            return merged if name in _DELIVERED else _producer_only(merged)
    return None


def _is_detail(document: Shape) -> bool:
    return document.has(RESERVED_KEY)


def _detail(document: Shape, _opener: Opener) -> Record:
    """What a rule with an input path cuts out of an event, or a state machine's input."""
    from hoptrace.carriers.reserved import extract_reserved

    return Record(context=extract_reserved(document), carrier="traceparent")


KINDS: "tuple[tuple[Callable[[Shape], bool], Callable[[Shape, Opener], Record | None]], ...]" = (
    (is_notification, _notification),
    (is_event, _bus_event),
    (_is_test_event, _test_event),
    (_is_source_record, _source_record),
    (_is_any, _trigger),
    (_is_detail, _detail),
)
"""Every kind of envelope: what it looks like, and what reads it. The first that fits and has an answer is it."""


def _merged(arrival: Arrival) -> Record:
    """Make one record of all that an event has: one producer when there is only one trace, else links to all."""
    records = arrival.records[:_MOST_LINKS]
    if len(arrival.records) == 1:
        return records[0]
    merged = Record()
    producers = [record.context for record in records if record.context is not None]
    if producers and len(producers) == len(records) and len({producer.trace_id for producer in producers}) == 1:
        merged.context, merged.carrier = producers[0], records[0].carrier
    else:
        merged.links = [(producer, {}) for producer in producers]
    for record in records:
        merged.links += record.links
        if record.context is None:
            merged.pointers += record.pointers
    return merged


def _producer_only(found: Record) -> Record:
    """What another function was woken by says who produced it, not what this one is woken by."""
    found.hops = []
    found.attributes = {UNREAD: True} if UNREAD in found.attributes else {}
    return found
