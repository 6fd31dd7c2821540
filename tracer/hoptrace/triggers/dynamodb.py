"""DynamoDB streams: a batch of a shard's changes to a table's items, in their order.

Recognised by: `Records[0].eventSource` is `aws:dynamodb`.
Context: `NewImage._hoptrace`, when this very write put it there: never of a removal, and of a change only when the
    stream has old images too and the old one is another.
Hops: DynamoDB, from `_hoptrace.sent` (ms, the writer's clock), else from `ApproximateCreationDateTime`, whose fraction
    of a second is cut off.
Pointers: the table and the item's key.
"""

from hoptrace.carriers.dynamodb import extract_record
from hoptrace.carriers.keys import words
from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Hop, Record, from_ms, from_seconds, hop_since
from hoptrace.triggers.streams import each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hoptrace.triggers.arrival import Attributes

SYSTEM = "aws.dynamodb"
_OPERATIONS = {"INSERT": "insert", "MODIFY": "edit", "REMOVE": "delete"}


def read(event: Shape, name: str) -> Arrival:
    """Read every change; of the items themselves nothing is recorded."""
    members = event.items("Records")
    arrival = Arrival(name, "datasource", partial_failures=True, ordered=True)
    arrival.records = each(members, record)
    table = _table(members[0])
    arrival.attributes = {"db.system.name": SYSTEM}
    if table:
        arrival.attributes.update({"db.collection.name": table, "faas.document.collection": table})
    if len(members) == 1:
        arrival.attributes.update(_about(members[0], table))
    arrival.attributes["hoptrace.batch.record_count"] = len(members)
    return arrival


def record(member: Shape) -> Record:
    """Read one change."""
    table = _table(member)
    found = Record(member.text("dynamodb", "SequenceNumber"), f"process {table}".rstrip())
    found.attributes = _about(member, table)
    found.context, sent = extract_record(member)
    found.carrier = "traceparent" if found.context is not None else ""
    start = found.since_ns = from_seconds(member.number("dynamodb", "ApproximateCreationDateTime"))
    hop = _hop(table, from_ms(sent) if found.context is not None else None, start)
    found.hops = [] if hop is None else [hop]
    pointer = words(table, member.get("dynamodb", "Keys").raw, in_event=True)
    if pointer is not None:
        found.pointers.append(pointer)
    return found


def _hop(table: str, exact: int | None, start: int | None) -> Hop | None:
    name, attributes = f"DynamoDB {table}".rstrip(), _database(table)
    if exact is not None:
        return Hop(name, SYSTEM, exact, None, attributes)
    return None if start is None else hop_since(name, SYSTEM, start, attributes)


def _table(member: Shape) -> str:
    """The table, of an ARN like `arn:aws:dynamodb:…:table/orders/stream/2026-11-23T…`."""
    return member.text("eventSourceARN").partition(":table/")[2].partition("/")[0]


def _database(table: str) -> "Attributes":
    return {"db.system.name": SYSTEM, "db.collection.name": table} if table else {"db.system.name": SYSTEM}


def _about(member: Shape, table: str) -> "Attributes":
    kind = member.text("eventName")
    found = _database(table)
    found.update(
        (key, value)
        for key, value in (
            ("faas.document.collection", table),
            ("faas.document.operation", _OPERATIONS.get(kind, "")),
            ("hoptrace.dynamodb.event", kind),
            ("hoptrace.dynamodb.sequence_number", member.text("dynamodb", "SequenceNumber")),
        )
        if value
    )
    return found
