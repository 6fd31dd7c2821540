"""What Kinesis, Firehose, DynamoDB and Kafka have in common: batches of thousands, and data that has to be opened."""

from hoptrace.carriers.json_data import read as decoded
from hoptrace.carriers.reserved import extract_text
from hoptrace.settings import settings
from hoptrace.triggers.arrival import Record
from hoptrace.triggers.envelopes import UNREAD, Opener, take, unwrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hoptrace.shape import Shape
    from hoptrace.triggers.arrival import Hop


def each(members: "list[Shape]", read: "Callable[[Shape], Record]") -> list[Record]:
    """Read as many records as are linked to, and the last, which tells how far behind a stream is.

    A batch may have ten thousand; the others only count.
    """
    most = settings().max_batch_links
    found = [read(member) for member in members[:most]] + [Record()] * max(0, len(members) - most)
    if len(members) > most:
        found[-1] = read(members[-1])
    return found


def open_data(data: str, found: Record, opener: Opener) -> "list[Hop | None]":
    """Look for a context in a record's data: the reserved key, what the data wraps, then plain members.

    Return the hops of what it wraps. All data of an invocation and all that lies in it share the opener's bound.
    """
    text = decoded(data, opener.left)
    if not text:
        return []
    opener.left -= len(data)
    hops = take(found, unwrap(text, opener))
    if opener.refused():
        found.attributes[UNREAD] = True
    elif found.context is None:
        found.context = extract_text(text)
        found.carrier = "traceparent" if found.context is not None else ""
    return hops
