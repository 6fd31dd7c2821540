"""A queue that the desk reads for a function: batches, windows, what is deleted and what comes again."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from desk_kit import DeskForTests, eventually
from emulated_aws import Aws
from hypothesis import given, settings
from hypothesis import strategies as st

from hoptrace_local.lambda_host import LambdaHostError, SqsEventSource
from hoptrace_local.lambda_host.sqs_batch import failed_messages

# Says which bodies came; fails for those that the first invocation is told to fail.
SOURCE = """
    import json, time
    def handler(event, context):
        bodies = [record["body"] for record in event["Records"]]
        print("batch", json.dumps(bodies))
        time.sleep(0.1 if "slow" in bodies else 0)
        if "raise" in bodies:
            raise ValueError("no")
        bad = [r for r in event["Records"] if r["body"].startswith("bad")]
        return {"batchItemFailures": [{"itemIdentifier": r["messageId"]} for r in bad]}
"""


def batches(desk: DeskForTests) -> list[list[str]]:
    return [json.loads(line[6:]) for _, line in desk.lines if line.startswith("batch ")]


def test_a_message_becomes_a_record_as_lambda_writes_it_and_is_deleted(desk_on_aws: DeskForTests, aws: Aws) -> None:
    desk, queue = desk_on_aws, aws.queue("plain")
    desk.add("import json\ndef handler(event, context):\n    print('event', json.dumps(event))\n")
    desk.host.add_event_source("f", SqsEventSource(queue.arn))
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    queue.send(
        "hello",
        MessageAttributes={
            "text": {"DataType": "String", "StringValue": "t"},
            "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        },
        MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": trace}},
    )
    assert eventually(lambda: any(line.startswith("event ") for _, line in desk.lines))
    (event,) = [json.loads(line[6:]) for _, line in desk.lines if line.startswith("event ")]
    (record,) = event["Records"]
    assert record["body"] == "hello"
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"] == queue.arn
    assert record["awsRegion"] == queue.arn.split(":")[3]
    assert record["attributes"]["AWSTraceHeader"] == trace
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    lists = {"stringListValues": [], "binaryListValues": []}
    assert record["messageAttributes"] == {
        "text": {"stringValue": "t", "dataType": "String", **lists},
        "bytes": {"binaryValue": "AP8=", "dataType": "Binary", **lists},
    }
    assert {"messageId", "receiptHandle", "md5OfBody"} <= record.keys()
    assert eventually(lambda: queue.count() == (0, 0))


def test_only_what_succeeded_is_deleted_and_the_rest_comes_again_until_the_queue_redrives_it(
    desk_on_aws: DeskForTests, aws: Aws
) -> None:
    desk, dead = desk_on_aws, aws.queue("dead")
    policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 2})
    queue = aws.queue("partly", VisibilityTimeout="1", RedrivePolicy=policy)
    desk.add(SOURCE, timeout=1)
    queue.send("good", "bad")
    desk.host.add_event_source("f", SqsEventSource(queue.arn, report_batch_item_failures=True))
    (message,) = dead.messages(8)
    assert message["Body"] == "bad"
    assert queue.count() == (0, 0)
    assert batches(desk) == [["good", "bad"], ["bad"]]


def test_a_batch_whose_function_fails_comes_again_as_a_whole(desk_on_aws: DeskForTests, aws: Aws) -> None:
    desk, queue = desk_on_aws, aws.queue("whole", VisibilityTimeout="60")
    desk.add(SOURCE, timeout=2)
    queue.send("good", "raise")
    desk.host.add_event_source("f", SqsEventSource(queue.arn))
    assert eventually(lambda: desk.host.stats("f").errors == 1)
    queue.send("later")
    assert eventually(lambda: ["later"] in batches(desk) and sum(queue.count()) == 2)
    assert queue.count() == (0, 2), "what succeeded later was deleted, what failed before was not"


def test_without_partial_answers_a_success_deletes_everything(desk_on_aws: DeskForTests, aws: Aws) -> None:
    desk, queue = desk_on_aws, aws.queue("all", VisibilityTimeout="60")
    desk.add(SOURCE)
    queue.send("good", "bad")
    desk.host.add_event_source("f", SqsEventSource(queue.arn))
    assert eventually(lambda: bool(batches(desk)) and queue.count() == (0, 0))


def test_a_window_gathers_what_comes_while_it_is_open(desk_on_aws: DeskForTests, aws: Aws) -> None:
    desk, queue = desk_on_aws, aws.queue("window")
    desk.add(SOURCE)
    desk.host.add_event_source("f", SqsEventSource(queue.arn, batch_size=14, batching_window=1.0))
    queue.send(*map(str, range(12)))
    assert eventually(lambda: bool(batches(desk)))
    time.sleep(0.2)
    assert [sorted(map(int, batch)) for batch in batches(desk)] == [list(range(12))]


def test_batches_run_side_by_side_and_no_more_than_allowed(desk_on_aws: DeskForTests, aws: Aws) -> None:
    desk, queue = desk_on_aws, aws.queue("parallel")
    desk.add(SOURCE)
    queue.send(*["slow"] * 6)
    desk.host.add_event_source("f", SqsEventSource(queue.arn, batch_size=1, maximum_concurrency=2))
    assert eventually(lambda: desk.host.stats("f").invocations == 6 and queue.count() == (0, 0))
    assert desk.host.stats("f").peak_concurrency == 2


def test_a_batch_larger_than_an_event_may_be_is_cut(desk_on_aws: DeskForTests, aws: Aws) -> None:
    desk, queue = desk_on_aws, aws.queue("large")
    desk.add("def handler(event, context):\n    print('came', len(event['Records']))\n")
    queue.send(*["x" * 1_000_000] * 8)
    desk.host.add_event_source("f", SqsEventSource(queue.arn, maximum_concurrency=1))
    assert eventually(lambda: sum(int(line[5:]) for _, line in desk.lines if line.startswith("came ")) == 8)
    assert max(int(line[5:]) for _, line in desk.lines if line.startswith("came ")) == 6


def test_a_host_that_ends_keeps_no_message(desk_on_aws: DeskForTests, aws: Aws) -> None:
    desk, queue = desk_on_aws, aws.queue("ending", VisibilityTimeout="60")
    desk.add(SOURCE)
    desk.host.add_event_source("f", SqsEventSource(queue.arn, batching_window=30.0))
    queue.send("early")
    assert eventually(lambda: queue.count() == (0, 1))
    desk.host.shutdown()
    assert queue.count() == (1, 0)
    assert batches(desk) == []


def test_what_lambda_would_refuse_is_refused(desk_on_aws: DeskForTests, desk: DeskForTests, aws: Aws) -> None:
    queue = aws.queue("short", VisibilityTimeout="2")

    def refuse(match: str, on: DeskForTests, source: SqsEventSource) -> None:
        with pytest.raises(LambdaHostError, match=match):
            on.host.add_event_source("f", source)

    desk_on_aws.add(SOURCE, timeout=3)
    refuse("visibility timeout: 2 seconds is less than Function timeout: 3", desk_on_aws, SqsEventSource(queue.arn))
    refuse("cannot be read", desk_on_aws, SqsEventSource("arn:aws:sqs:us-east-1:1:absent"))
    refuse("batch_size goes from", desk_on_aws, SqsEventSource(queue.arn, batch_size=0))
    refuse("needs a batching_window", desk_on_aws, SqsEventSource(queue.arn, batch_size=11))
    refuse("maximum_concurrency", desk_on_aws, SqsEventSource(queue.arn, maximum_concurrency=0))


def test_a_queue_needs_an_endpoint(desk: DeskForTests) -> None:
    desk.add(SOURCE)
    with pytest.raises(LambdaHostError, match="needs an AWS endpoint"):
        desk.host.add_event_source("f", SqsEventSource("arn:aws:sqs:us-east-1:1:q"))


ALL = {"a", "b"}


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (None, set()),
        ({}, set()),
        ({"batchItemFailures": None}, set()),
        ({"batchItemFailures": []}, set()),
        ({"batchItemFailures": [{"itemIdentifier": "b"}]}, {"b"}),
        ({"batchItemFailures": [{"itemIdentifier": "b"}, {"itemIdentifier": "b"}]}, {"b"}),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, ALL),
        ({"batchItemFailures": [{"itemIdentifier": None}]}, ALL),
        ({"batchItemFailures": [{"itemIdentifier": "b"}, {"itemIdentifier": "c"}]}, ALL),
        ({"batchItemFailures": [{"identifier": "b"}]}, ALL),
        ({"batchItemFailures": "b"}, ALL),
        ("done", ALL),
    ],
)
def test_an_answer_says_which_messages_failed(answer: object, failed: set[str]) -> None:
    assert failed_messages(json.dumps(answer).encode(), ALL) == failed


_json: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["batchItemFailures", "itemIdentifier", "x"]), inner, max_size=3)
    ),
)


@settings(database=None)
@given(_json)
def test_no_answer_names_a_message_that_was_not_in_the_batch(answer: object) -> None:
    assert failed_messages(json.dumps(answer).encode(), ALL) <= ALL
