"""The limits of services that carry data alone, a byte to each side: what is sent is never longer than AWS takes."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.contract.lab import Lab, in_lambda, on_the_wire, traced

MARK = b'"_hoptrace"'
# The key with a traceparent and thirteen digits of a time, and the comma before it.
KEY = len(',"_hoptrace":{"traceparent":"","sent":1790000000123}') + 55


@dataclass(frozen=True)
class Limit:
    """How much one call takes.

    Attributes:
        most: the bytes that AWS takes, of what `counted` counts.
        ours: the bytes that a context adds.
        params: the parameters that send these data.
        data: the data of a request's body.
        frame: what counts beside the data.
    """

    service: str
    operation: str
    most: int
    ours: int
    params: Callable[[bytes], dict[str, Any]]
    data: Callable[[bytes], bytes]
    frame: int = 0


def in_base64(*path: Any) -> Callable[[bytes], bytes]:
    """The data at a place of a request of JSON."""

    def find(body: bytes) -> bytes:
        found = json.loads(body)
        for step in path:
            found = found[step]
        return base64.b64decode(found)

    return find


LIMITS = {
    "Kinesis": Limit(
        "kinesis",
        "PutRecord",
        1_048_576,
        KEY,
        lambda data: {"StreamName": "s", "PartitionKey": "four", "Data": data},
        in_base64("Data"),
        frame=len("four"),
    ),
    "Kinesis, several": Limit(
        "kinesis",
        "PutRecords",
        1_048_576,
        KEY,
        lambda data: {"StreamName": "s", "Records": [{"PartitionKey": "four", "Data": data}]},
        in_base64("Records", 0, "Data"),
        frame=len("four"),
    ),
    "Firehose": Limit(
        "firehose",
        "PutRecord",
        1_024_000,
        KEY,
        lambda data: {"DeliveryStreamName": "s", "Record": {"Data": data}},
        in_base64("Record", "Data"),
    ),
    "Firehose, several": Limit(
        "firehose",
        "PutRecordBatch",
        1_024_000,
        KEY,
        lambda data: {"DeliveryStreamName": "s", "Records": [{"Data": data}]},
        in_base64("Records", 0, "Data"),
    ),
    "IoT": Limit(
        "iot-data",
        "Publish",
        128_000,
        KEY + len(',"via":"iot"'),
        lambda data: {"topic": "t", "qos": 1, "payload": data},
        lambda body: body,
    ),
    "Step Functions": Limit(
        "stepfunctions",
        "StartExecution",
        262_144,
        KEY + len(',"via":"states"'),
        lambda data: {"stateMachineArn": "arn:aws:states:r:1:stateMachine:m", "input": data.decode()},
        lambda body: json.loads(body)["input"].encode(),
    ),
    "Step Functions, a task's end": Limit(
        "stepfunctions",
        "SendTaskSuccess",
        262_144,
        KEY + len(',"via":"states"'),
        lambda data: {"taskToken": "t", "output": data.decode()},
        lambda body: json.loads(body)["output"].encode(),
    ),
}


def document(size: int) -> bytes:
    """One JSON object of so many bytes, some of its characters longer than one."""
    frame = '{"\u00fc": ""}'.encode()
    return frame[:-2] + b"x" * (size - len(frame)) + frame[-2:]


def sent(lab: Lab, limit: Limit, data: bytes) -> bytes:
    return limit.data(on_the_wire(lab.client(limit.service), limit.operation, limit.params(data))[3])


@pytest.mark.parametrize("name", LIMITS)
def test_data_gets_the_key_while_there_is_room_for_its_last_byte_and_never_a_byte_more(name: str, lab: Lab) -> None:
    limit = LIMITS[name]
    for spare in (limit.ours + 1, limit.ours, limit.ours - 1, 1, 0):
        data = document(limit.most - limit.frame - spare)
        with traced({"HOPTRACE_INJECT_ENABLED": limit.service}):
            found = sent(lab, limit, data)
        assert (MARK in found) == (spare >= limit.ours), spare
        assert len(found) == len(data) + (limit.ours if spare >= limit.ours else 0)
        assert len(found) + limit.frame <= limit.most
        assert found[: len(data) - 1] == data[:-1]


@pytest.mark.parametrize("name", LIMITS)
def test_data_that_aws_refuses_anyway_is_sent_as_it_is(name: str, lab: Lab) -> None:
    limit = LIMITS[name]
    data = document(limit.most - limit.frame + 1)

    def outcome() -> Any:
        try:
            return sent(lab, limit, data)
        except Exception as error:  # botocore knows some limits itself, and says so before anything is sent
            return type(error).__name__, str(error)

    with in_lambda():
        alone = outcome()
    with traced({"HOPTRACE_INJECT_ENABLED": limit.service}):
        assert outcome() == alone


@pytest.mark.parametrize(
    ("service", "operation", "most", "key"),
    [("kinesis", "PutRecords", 5_242_880, "PartitionKey"), ("firehose", "PutRecordBatch", 4_000_000, "")],
)
def test_a_batch_of_data_is_counted_as_a_whole(service: str, operation: str, most: int, key: str, lab: Lab) -> None:
    """Only the smallest is opened: of what is large, parsing would cost more than a context is worth."""
    frame = {key: "four"} if key else {}
    large = most // 10 - 100_000
    name = "StreamName" if key else "DeliveryStreamName"
    for spare in (KEY - 1, KEY, 2 * KEY - 1, 2 * KEY):
        small = [document(1_000), document(1_001)]
        others = [document(large) for _ in range(9)]
        filling = most - sum(map(len, [*small, *others])) - 12 * sum(map(len, frame.values())) - spare
        records = [*small, *others, b"-" * filling]
        params = {name: "s", "Records": [{"Data": data, **frame} for data in records]}
        with traced({"HOPTRACE_INJECT_ENABLED": service}):
            body = json.loads(on_the_wire(lab.client(service), operation, params)[3])
        found = [base64.b64decode(record["Data"]) for record in body["Records"]]
        assert sum(MARK in data for data in found) == spare // KEY
        assert sum(map(len, found)) + 12 * sum(map(len, frame.values())) <= most


def test_an_item_gets_the_attribute_while_it_has_room(lab: Lab) -> None:
    """Sizes by "DynamoDB item sizes and formats"; how exactly AWS counts is its own affair, so never over."""

    def item(fill: int) -> dict[str, Any]:
        return {"TableName": "t", "Item": {"id": {"S": "k"}, "fill": {"S": "x" * fill}}}

    client = lab.client("dynamodb")

    def carried(fill: int) -> bool:
        with traced({"HOPTRACE_INJECT_ENABLED": "dynamodb"}):
            body = json.loads(on_the_wire(client, "PutItem", item(fill))[3])
        written = body["Item"].pop("_hoptrace", None)
        assert body["Item"] == item(fill)["Item"]
        if written is not None:
            names = ("id", "k", "fill", "x" * fill, "_hoptrace", *written["M"])
            size = sum(map(len, names)) + sum(len(next(iter(value.values()))) for value in written["M"].values())
            assert size <= 400_000
        return written is not None

    fits, full = 399_840, 399_994
    assert carried(fits)
    while full - fits > 1:
        middle = (fits + full) // 2
        fits, full = (middle, full) if carried(middle) else (fits, middle)
    assert not carried(full)
