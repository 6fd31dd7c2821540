"""DynamoDB: the attribute `_hoptrace` of an item, which the table's stream shows.

Calls: DynamoDB PutItem, BatchWriteItem (puts), TransactWriteItems (puts, without a `ClientRequestToken` of the user's:
    a transaction that is sent again under the same token must be the same). Never an update.
Written: the map `_hoptrace` with the context's texts and `sent`, beside the item's own attributes, typed or native as
    those are.
Read: `NewImage._hoptrace` of a stream's record, when that write put it there: not of a removal, and of a change only
    where the old image is there and has another one.
Limits: 400 kB for an item, 4 MB for a transaction, counted as "DynamoDB item sizes and formats" says.
Without room: first without `baggage`, then without `tracestate`, then nothing; the key is a pointer in any case.
Default: opt-in `dynamodb`
"""

from hoptrace.carriers.attributes import bytes_of
from hoptrace.carriers.reserved import RESERVED_KEY, SENT
from hoptrace.propagation import choices, extract, no_room
from hoptrace.shape import Shape
from hoptrace.spans.context import SpanContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# DynamoDB quotas, "item size": 400 KB; "transactions": 4 MB. Where KB may be either, the smaller.
ITEM_BYTES = 400_000
TRANSACTION_BYTES = 4_000_000
_TYPES = frozenset(("S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL"))
# Each of a list's and a map's members takes one byte more, the list or map itself three.
_MEMBER, _HOLDER = 1, 3
# DynamoDB allows 32 levels.
_DEEPEST = 40
_UNKNOWN = 1 << 40


def inject(item: "Any", context: SpanContext, now_ms: int, room: int = ITEM_BYTES) -> "Any":
    """Return a copy of an item with the context in it, `room` bytes longer at most; the very same when that cannot be.

    An item is typed when each of its values is, and native when none is and one of them can be a key: a string, a
    number or binary, which never looks like a typed value. In between is nothing that botocore would send.
    """
    typed = _is_typed(item)
    if typed is None:
        return item
    old = item.get(RESERVED_KEY)
    if old is not None and SENT not in ((old.get("M") or {}) if typed and isinstance(old, dict) else _mapping(old)):
        return item
    others = {name: value for name, value in item.items() if name != RESERVED_KEY}
    size = item_size(others, typed)
    most = min(ITEM_BYTES, (size if old is None else item_size(item, typed)) + room)
    found = choices(context)
    for fields in found:
        ours: dict[str, Any] = {**fields, SENT: now_ms}
        value = {"M": _typed(ours)} if typed else ours
        if size + item_size({RESERVED_KEY: value}, typed) <= most:
            return {**item, RESERVED_KEY: value}
    if found:
        no_room()
    return item


def extract_record(record: Shape) -> "tuple[SpanContext | None, float | None]":
    """Return the context that a stream record's write carried, and its writer's clock in epoch milliseconds."""
    change = record.get("dynamodb")
    written = change.get("NewImage", RESERVED_KEY, "M")
    if not written.raw or record.text("eventName") == "REMOVE":
        return None, None
    if record.text("eventName") != "INSERT":
        # An update, or a put by somebody who does not write ours, keeps the attribute that an earlier write left.
        old = change.get("OldImage")
        if not old.is_object() or old.get(RESERVED_KEY, "M").raw == written.raw:
            return None, None
    return extract(lambda name: written.text(name, "S")), written.number(SENT, "N")


def item_size(item: "dict[Any, Any]", typed: bool) -> int:
    """Count the bytes of an item: of each attribute the name's and the value's. More than any limit when unknown."""
    measure = _typed_size if typed else _native_size
    return sum(bytes_of(name) + measure(value, 0) for name, value in item.items())


def _is_typed(item: "Any") -> bool | None:
    if not isinstance(item, dict) or not item:
        return None
    values = [value for name, value in item.items() if name != RESERVED_KEY]
    marks = [_looks_typed(value) for value in values]
    if not any(marks):
        return False if any(_can_be_key(value) for value in values) else None
    return True if all(marks) else None


def _looks_typed(value: "Any") -> bool:
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _TYPES


def _can_be_key(value: "Any") -> bool:
    kind = type(value)
    return isinstance(value, (str, bytes, bytearray)) or kind is int or kind.__name__ in ("Decimal", "Binary")


def _mapping(value: "Any") -> "dict[Any, Any]":
    return value if isinstance(value, dict) else {}


def _typed(fields: "dict[str, Any]") -> "dict[str, Any]":
    return {name: {"S": value} if isinstance(value, str) else {"N": str(value)} for name, value in fields.items()}


def _typed_size(value: "Any", depth: int) -> int:
    if not _looks_typed(value) or depth > _DEEPEST:
        return _UNKNOWN
    ((kind, inner),) = value.items()
    if kind == "N":
        return _number_size(inner)
    if kind in ("S", "B"):
        return bytes_of(inner)
    if kind in ("BOOL", "NULL"):
        return 1
    if kind == "M" and isinstance(inner, dict):
        sizes = (bytes_of(name) + _typed_size(member, depth + 1) + _MEMBER for name, member in inner.items())
    elif isinstance(inner, (list, tuple, set)):
        one = _typed_size if kind == "L" else (lambda member, _: _scalar_size(member, kind))
        sizes = (one(member, depth + 1) + _MEMBER for member in inner)
    else:
        return _UNKNOWN
    return _HOLDER + sum(sizes)


def _scalar_size(member: "Any", kind: str) -> int:
    return _number_size(member) if kind == "NS" else bytes_of(member)


def _native_size(value: "Any", depth: int) -> int:
    kind = type(value)
    if value is None or kind is bool:
        return 1
    if isinstance(value, (str, bytes, bytearray)):
        return bytes_of(value)
    if kind is int or kind.__name__ == "Decimal":
        return _number_size(str(value))
    if kind.__name__ == "Binary":
        return bytes_of(value.value)
    if depth > _DEEPEST:
        return _UNKNOWN
    if isinstance(value, dict):
        sizes = (bytes_of(name) + _native_size(member, depth + 1) + _MEMBER for name, member in value.items())
    elif isinstance(value, (list, tuple, set, frozenset)):
        sizes = (_native_size(member, depth + 1) + _MEMBER for member in value)
    else:
        return _UNKNOWN
    return _HOLDER + sum(sizes)


def _number_size(text: "Any") -> int:
    """One byte for two digits, one more, and one for a sign; zeros on either side, which do not count, are counted."""
    return len(text) // 2 + 3 if isinstance(text, str) else _UNKNOWN
