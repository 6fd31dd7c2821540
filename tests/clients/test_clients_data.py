"""What goes into the user's own data, call by call: only where asked for, in a copy, total for whatever was passed."""

import copy
import io

import pytest

from hoptrace import clients, testing
from hoptrace.carriers.dynamodb import TRANSACTION_BYTES, item_size
from hoptrace.services import SERVICES, inject_data
from hoptrace.services import service as rows_of
from hoptrace.spans.context import SpanContext

CONTEXT = SpanContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1, "", remote=True)
WRITERS = [
    (service, operation, row.inject)
    for service, entry in ((name, rows_of(name)) for name in SERVICES)
    for operation, row in entry.rows.items()
    if row.inject is not None and row.opt_in
]
KEYS = (
    *("Data", "Record", "Records", "Item", "RequestItems", "TransactItems", "Metadata", "payload", "input"),
    *("MetadataDirective", "ClientRequestToken", "PartitionKey", "output", "Target"),
)
JUNK = (
    None,
    7,
    "x",
    b"{}x",
    [],
    {},
    [None],
    {"a": None},
    [{"Put": None}, {"Put": {"Item": None}}, 7],
    {"t": None, "u": [None, {"PutRequest": None}, {"PutRequest": {"Item": 1}}]},
    io.BytesIO(b"{}"),
    object(),
    1.5,
)


@pytest.mark.parametrize(("service", "operation", "write"), WRITERS, ids=[f"{s}.{o}" for s, o, _ in WRITERS])
@pytest.mark.parametrize("junk", range(len(JUNK)))
def test_parameters_of_any_type_come_back_as_they_are(service, operation, write, junk):
    for key in KEYS:
        if (service, key) in (("s3", "Metadata"), ("stepfunctions", "input")):
            continue
        params = {"MetadataDirective": "COPY", key: JUNK[junk]}
        if operation in ("PutObject", "CreateMultipartUpload", "StartExecution", "StartSyncExecution"):
            continue  # whatever else they have, these have room
        before = dict(params)
        assert write(params, CONTEXT) is params
        assert params == before


@pytest.mark.parametrize("metadata", [7, "x", [], object()])
def test_metadata_that_is_none_is_left_to_botocore(metadata):
    params = {"Metadata": metadata}
    assert inject_data.s3_object(params, CONTEXT) is params


def transaction(sizes):
    return {"TransactItems": [{"Put": {"TableName": "t", "Item": {"k": {"S": "x" * size}}}} for size in sizes]}


def written(params):
    return ["_hoptrace" in action["Put"]["Item"] for action in params["TransactItems"]]


def test_a_transaction_is_filled_to_its_limit_and_no_further():
    one = transaction([10])
    item = one["TransactItems"][0]["Put"]["Item"]
    sent = inject_data.dynamodb_transaction(one, CONTEXT)["TransactItems"][0]["Put"]["Item"]
    ours = item_size(sent, typed=True) - item_size(item, typed=True)
    fixed = inject_data._weight(one["TransactItems"][0]) - 10
    for spare, expected in ((-1, False), (0, True)):
        # One has the transaction's last bytes, however many there are.
        rest = TRANSACTION_BYTES - 11 * fixed - 390_000 * 10 - ours - spare
        params = transaction([390_000] * 10 + [rest])
        before = copy.deepcopy(params)
        sent = inject_data.dynamodb_transaction(params, CONTEXT)
        assert params == before
        assert sum(written(sent)) == (1 if expected else 0), spare


def test_what_other_actions_hold_counts_with_a_transaction():
    values = {":v": {"S": "x" * (TRANSACTION_BYTES - 150)}}
    update = {"Update": {"TableName": "t", "Key": {"k": {"S": "a"}}, "ExpressionAttributeValues": values}}
    params = {"TransactItems": [update, *transaction([10])["TransactItems"]]}
    assert inject_data.dynamodb_transaction(params, CONTEXT) is params


@pytest.mark.parametrize(("enabled", "disabled"), [("", ""), ("kinesis", "kinesis"), ("s3,dynamodb", "")])
def test_a_stream_carries_nothing_where_it_is_not_asked_for_or_is_switched_off(enabled, disabled, wire):
    kinesis = wire("kinesis", (200, {}, b'{"ShardId":"s-0","SequenceNumber":"1"}'))
    with testing.recorder({"HOPTRACE_INJECT_ENABLED": enabled, "HOPTRACE_INJECT_DISABLED": disabled}):
        clients.install()
        built = []
        kinesis.client.meta.events.register(
            "before-parameter-build.kinesis.PutRecord", lambda params, **_: built.append(params["Data"])
        )
        kinesis.client.put_record(StreamName="s", Data='{"a":1}', PartitionKey="a")
    assert built == ['{"a":1}']


def test_every_row_that_is_imported_late_is_there():
    for service, operation, write in WRITERS:
        assert callable(write), (service, operation)
        assert write({}, CONTEXT) is not None
