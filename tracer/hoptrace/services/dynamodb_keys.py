"""Which attributes are a table's key: from the settings, or from a call on the same table that named a key.

A put writes a whole item and does not say what of it is the key.
"""

from ..carriers.keys import words
from ..settings import settings
from .fields import EACH, name_of, values
from .row import Params

_MOST_TABLES = 200
_learned: dict[str, tuple[str, ...]] = {}
_ACTIONS = ("Get", "Update", "Delete", "ConditionCheck")

Words = list[tuple[str, ...]]


def pointers(params: Params, _response: object) -> Words:
    """The items that a call wrote; what it says of the tables' keys is kept for the next one."""
    learn(params)
    found: Words = []
    for table, key in _keyed(params, written=True):
        _point(found, table, key)
    for table, item in _puts(params):
        names = names_of(table)
        if names is not None and isinstance(item, dict) and all(name in item for name in names):
            _point(found, table, {name: item[name] for name in names})
    return found


def learned(params: Params, _response: object) -> Words:
    """Keep what a call that reads says of its tables' keys; it wrote nothing to point to."""
    learn(params)
    return []


def learn(params: Params) -> None:
    """Keep the names of a key that a call gave; of so many tables that nobody has more."""
    for table, key in _keyed(params, written=False):
        if table not in _learned and len(_learned) < _MOST_TABLES and isinstance(key, dict) and words(table, key):
            _learned[table] = tuple(sorted(key))


def forget() -> None:
    """Forget what was learned; for tests."""
    _learned.clear()


def names_of(table: str) -> tuple[str, ...] | None:
    """The names of a table's key, `None` when nobody said them."""
    return settings().dynamodb_keys.get(table) or _learned.get(table)


def _point(found: Words, table: str, key: object) -> None:
    pointer = words(table, key)
    if pointer is not None and pointer not in found:
        found.append(pointer)


def _keyed(params: Params, written: bool) -> list[tuple[str, object]]:
    """Each table with a key that the call names; only of what it writes, or all of it."""
    found = []
    if "Key" in params:
        found.append((_table(params), params["Key"]))
    for one in values(params, ("TransactItems", EACH)):
        for action in _ACTIONS:
            for target in values(one, (action,)):
                if not written or action in ("Update", "Delete"):
                    found += [(_table(target), key) for key in values(target, ("Key",))]
    for table, requests in _requests(params):
        found += [(table, key) for key in values(requests, (EACH, "DeleteRequest", "Key"))]
        if not written:
            found += [(table, key) for key in values(requests, ("Keys", EACH))]
    return found


def _puts(params: Params) -> list[tuple[str, object]]:
    found = [(_table(params), params["Item"])] if "Item" in params else []
    for target in values(params, ("TransactItems", EACH, "Put")):
        found += [(_table(target), item) for item in values(target, ("Item",))]
    for table, requests in _requests(params):
        found += [(table, item) for item in values(requests, (EACH, "PutRequest", "Item"))]
    return found


def _requests(params: Params) -> list[tuple[str, object]]:
    given = params.get("RequestItems")
    if not isinstance(given, dict):
        return []
    return [(name_of(table), requests) for table, requests in given.items() if isinstance(table, str)]


def _table(target: object) -> str:
    named = values(target, ("TableName",))
    return name_of(named[0]) if named and isinstance(named[0], str) else ""
