"""DynamoDB, by the "Database" conventions' page of its own.

A file because a call names its tables in four ways: a parameter, the keys of `RequestItems`, each action of a
transaction, or (PartiQL) inside a statement, which is not read: it holds values.
"""

from .fields import EACH, KEYS, Field, each_as_json, flag, name_of, number, text, values
from .row import Inject, Params, Row, Service, later

_ACTIONS = ("Put", "Get", "Update", "Delete", "ConditionCheck")
_PATHS = (
    ("TableName",),
    ("RequestItems", KEYS),
    *(("TransactItems", EACH, action, "TableName") for action in _ACTIONS),
)


def tables(operation: str, params: Params, _region: str) -> dict[str, object]:
    """The database and operation, `aws.dynamodb.table_names`, and `db.collection.name` when there is one."""
    found: dict[str, None] = {}  # in the order of the call, each once
    for path in _PATHS:
        for one in values(params, path):
            if isinstance(one, str):
                found[name_of(one)] = None
    attributes: dict[str, object] = {"db.system.name": "aws.dynamodb", "db.operation.name": operation}
    if found:
        attributes["aws.dynamodb.table_names"] = list(found)
    if len(found) == 1:
        attributes["db.collection.name"] = next(iter(found))
    return attributes


def unprocessed(found: list[object]) -> object:
    """How many items of a batch DynamoDB gave back undone, mostly for want of capacity; nothing for none."""
    by_table = found[0] if found and isinstance(found[0], dict) else {}
    left = (values(one, ("Keys",)) or [one] for one in by_table.values())
    return sum(len(one[0]) for one in left if isinstance(one[0], list | tuple)) or None


_REQUEST = (
    Field("aws.dynamodb.index_name", text, "IndexName"),
    Field("aws.dynamodb.limit", number, "Limit"),
    Field("aws.dynamodb.consistent_read", flag, "ConsistentRead"),
    Field("aws.dynamodb.select", text, "Select"),
)
_RESPONSE = (
    Field("aws.dynamodb.count", number, "Count"),
    Field("aws.dynamodb.scanned_count", number, "ScannedCount"),
    # There only when the call asked for it.
    Field("aws.dynamodb.consumed_capacity", each_as_json, "ConsumedCapacity"),
    # In an answer of 200 that botocore neither raises nor retries for.
    Field("hoptrace.dynamodb.unprocessed_count", unprocessed, "UnprocessedItems"),
    Field("hoptrace.dynamodb.unprocessed_count", unprocessed, "UnprocessedKeys"),
)


def _writes(inject: Inject | None = None) -> Row:
    return Row(
        extra=tables,
        request=_REQUEST,
        response=_RESPONSE,
        inject=inject,
        opt_in=True,
        pointers=later("dynamodb_keys", "pointers"),
        always_points=True,
    )


DYNAMODB = Service(
    other=Row(extra=tables, request=_REQUEST, response=_RESPONSE, pointers=later("dynamodb_keys", "learned")),
    rows={
        "PutItem": _writes(later("inject_data", "dynamodb_item")),
        "UpdateItem": _writes(),
        "DeleteItem": _writes(),
        "BatchWriteItem": _writes(later("inject_data", "dynamodb_batch")),
        "TransactWriteItems": _writes(later("inject_data", "dynamodb_transaction")),
    },
)
