"""DynamoDB, by the "Database" conventions' page of its own.

A file because a call names its tables in four ways: a parameter, the keys of `RequestItems`, each action of a
transaction, or (PartiQL) inside a statement, which is not read: it holds values.
"""

from .fields import EACH, KEYS, Field, flag, name_of, number, text, values
from .row import Params, Row, Service

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


DYNAMODB = Service(
    other=Row(
        extra=tables,
        request=(
            Field("aws.dynamodb.index_name", text, "IndexName"),
            Field("aws.dynamodb.limit", number, "Limit"),
            Field("aws.dynamodb.consistent_read", flag, "ConsistentRead"),
            Field("aws.dynamodb.select", text, "Select"),
        ),
        response=(
            Field("aws.dynamodb.count", number, "Count"),
            Field("aws.dynamodb.scanned_count", number, "ScannedCount"),
        ),
    )
)
