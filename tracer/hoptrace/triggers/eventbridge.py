"""EventBridge: one event from a bus, by a rule.

Recognised by: `detail-type`, `source` and an object `detail`, and no trigger further up.
Context: `detail._hoptrace`, then the same texts as members of `detail`; then what the detail wraps, such as the record
    of a Lambda destination. A replayed event's is linked to: who sent it in its first life did not cause this one.
Hops: what the detail wraps, then EventBridge, from `detail._hoptrace.sent` (ms, the producer's clock), else from
    `time`; none for a replayed event.
Pointers: those of what the detail wraps, else the event's id.
"""

from hoptrace.carriers.eventbridge import extract_event
from hoptrace.carriers.reserved import RESERVED_KEY, SENT
from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Hop, Record, chain, from_iso, from_ms, hop_since, is_coarse
from hoptrace.triggers.envelopes import UNREAD, Opener, take, within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hoptrace.triggers.arrival import Attributes


def read(event: Shape, name: str) -> Arrival:
    """Read the event; the bus is not named in it, so its `detail-type` is the best name."""
    found = record(event, Opener())
    return Arrival(name, "pubsub", attributes=dict(found.attributes), records=[found])


def record(event: Shape, opener: Opener) -> Record:
    """Read one event, whether Lambda was invoked with it or a message wraps it."""
    about = _about(event)
    found = Record(event.text("id"), f"process {event.text('detail-type')}", extract_event(event), "traceparent")
    found.attributes = {"messaging.system": "aws.eventbridge", "messaging.operation.type": "process", **about}
    hops: list[Hop | None] = []
    if event.text("source") == "aws.s3":
        from hoptrace.triggers.s3 import of_bus

        of_bus(event, found)
    if found.context is None:
        hops = take(found, within(event.get("detail"), opener))
        if opener.refused():
            found.attributes[UNREAD] = True
    if event.has("replay-name") and found.context is not None:
        # Who sent it in its first life, maybe months ago, did not cause this.
        found.links.append((found.context, {"hoptrace.link": "replay"}))
        found.context, found.carrier, found.root = None, "", ""
    found.hops = chain([*hops, _hop(event, about)])
    if found.item_id and not found.pointers:
        found.pointers.append(("aws.eventbridge", found.item_id))
    return found


def _hop(event: Shape, about: "Attributes") -> Hop | None:
    """The time since the event was put.

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
    attributes = {"messaging.system": "aws.eventbridge", **about}
    hop = (
        Hop(name, "aws.eventbridge", start, None, attributes)
        if exact
        else hop_since(name, "aws.eventbridge", start, attributes)
    )
    if not exact and is_coarse(start):
        hop.attributes["hoptrace.start.granularity"] = "1s"
    return hop


def _about(event: Shape) -> "Attributes":
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
