"""Asynchronous invocations: accepted at once, retried under one request id, and their end told to whoever asked."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from desk_kit import DeskForTests, eventually
from emulated_aws import Aws

from hoptrace_local.lambda_host import AsyncConfig
from hoptrace_local.stage.emulator import REGION

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"
# Counts its attempts in a file, for a crash takes the process with it.
SOURCE = """
    import os
    def handler(event, context):
        path = os.environ["TMPDIR"] + "/attempts"
        with open(path, "a") as out:
            out.write(context.aws_request_id + "\\n")
        tried = len(open(path).readlines())
        if tried <= event.get("fail", 0):
            if event.get("crash"): os._exit(1)
            raise ValueError(f"attempt {tried}")
        return {"tried": tried}
"""


def attempts(desk: DeskForTests) -> list[str]:
    return (desk.environment().tmp_dir / "attempts").read_text().split()


@pytest.mark.parametrize("crash", [False, True])
def test_a_failure_is_retried_under_the_same_request_id_after_each_pause(desk: DeskForTests, crash: bool) -> None:
    desk.add(SOURCE, asynchronous=AsyncConfig(retry_delays=(0.1, 0.3)))
    begun = time.monotonic()
    request_id = desk.host.invoke_async("f", json.dumps({"fail": 2, "crash": crash}).encode())
    assert time.monotonic() - begun < 0.1, "accepted at once"
    assert desk.host.settle("f")
    assert attempts(desk) == [request_id] * 3
    assert time.monotonic() - begun > 0.4
    assert desk.host.stats("f").errors == 2


def test_what_fails_three_times_ends_with_its_record_and_its_dead_letter(desk_on_aws: DeskForTests, aws: Aws) -> None:
    desk = desk_on_aws
    failed, dead = aws.queue("failed"), aws.queue("dead")
    desk.add(SOURCE, asynchronous=AsyncConfig(retry_delays=(0.05,), on_failure=failed.arn, dead_letter=dead.arn))
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    desk.host.invoke_async("f", b'{"fail": 9}', request_id="r-1", trace_header=trace)
    assert desk.host.settle("f")
    (message,) = failed.messages()
    record = json.loads(message["Body"])
    assert record.pop("timestamp").endswith("Z")
    trace_lines = record["responsePayload"].pop("stackTrace")
    assert "app.py" in trace_lines[0]
    assert record == {
        "version": "1.0",
        "requestContext": {
            "requestId": "r-1",
            "functionArn": ARN + ":$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": {"fail": 9},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {"errorMessage": "attempt 3", "errorType": "ValueError", "requestId": "r-1"},
    }
    assert message["Attributes"]["AWSTraceHeader"] == trace
    (letter,) = dead.messages()
    assert json.loads(letter["Body"]) == {"fail": 9}
    assert {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()} == {
        "RequestID": "r-1",
        "ErrorCode": "200",
        "ErrorMessage": "attempt 3",
    }


def test_a_success_is_told_to_a_queue_a_topic_a_bus_and_another_function(desk_on_aws: DeskForTests, aws: Aws) -> None:
    desk = desk_on_aws
    direct, through_topic, through_bus = aws.queue("direct"), aws.queue("topic"), aws.queue("bus")
    topic = aws.topic_to(through_topic)
    aws.rule_to(through_bus, {"source": ["lambda"]})
    bus = "arn:aws:events:us-east-1:000000000000:event-bus/default"
    desk.add("def handler(event, context):\n    print('was told', event['responsePayload'])\n", name="next")
    for name, arn in {
        "q": direct.arn,
        "t": topic,
        "b": bus,
        "l": "arn:aws:lambda:us-east-1:123456789012:function:next",
    }.items():
        desk.add(SOURCE, name=name, asynchronous=AsyncConfig(on_success=arn))
        desk.host.invoke_async(name, b"{}")
    for name in "qtbl":
        assert desk.host.settle(name)
    assert desk.host.settle("next")
    records = [json.loads(direct.messages()[0]["Body"])]
    records.append(json.loads(json.loads(through_topic.messages()[0]["Body"])["Message"]))
    event = json.loads(through_bus.messages()[0]["Body"])
    assert event["detail-type"] == "Lambda Function Invocation Result - Success"
    assert event["resources"] == ["arn:aws:lambda:us-east-1:123456789012:function:b:$LATEST", bus]
    records.append(event["detail"])
    for record in records:
        assert record["requestContext"]["condition"] == "Success"
        assert record["requestContext"]["approximateInvokeCount"] == 1
        assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}
        assert record["responsePayload"] == {"tried": 1}
    assert ("next", "was told {'tried': 1}") in desk.lines


def test_a_failure_can_be_kept_in_a_bucket(desk_on_aws: DeskForTests, aws: Aws) -> None:
    desk = desk_on_aws
    aws.client("s3").create_bucket(Bucket="failures", CreateBucketConfiguration={"LocationConstraint": REGION})
    desk.add(SOURCE, asynchronous=AsyncConfig(retries=0, on_failure="arn:aws:s3:::failures"))
    desk.host.invoke_async("f", b'{"fail": 1}')
    assert desk.host.settle("f")
    (found,) = aws.client("s3").list_objects_v2(Bucket="failures")["Contents"]
    assert found["Key"].startswith("aws/lambda/async/f/20")
    body = aws.client("s3").get_object(Bucket="failures", Key=found["Key"])["Body"].read()
    assert json.loads(body)["requestContext"]["condition"] == "RetriesExhausted"


def test_a_throttled_event_waits_for_its_turn_and_an_old_one_is_given_up(desk_on_aws: DeskForTests, aws: Aws) -> None:
    desk, failed = desk_on_aws, aws.queue("old")
    desk.add(
        "import time\ndef handler(event, context):\n    time.sleep(0.4)\n",
        max_environments=1,
        asynchronous=AsyncConfig(throttle_delays=(0.05, 0.1)),
    )
    for _ in range(2):
        desk.host.invoke_async("f", b"{}")
    assert desk.host.settle("f")
    stats = desk.host.stats("f")
    assert (stats.invocations, stats.environments) == (2, 1)
    assert stats.throttles >= 2
    desk.add(
        SOURCE,
        name="never",
        max_environments=0,
        asynchronous=AsyncConfig(throttle_delays=(0.05, 0.05), maximum_age=0.2, on_failure=failed.arn),
    )
    desk.host.invoke_async("never", b"{}")
    assert desk.host.settle("never")
    record = json.loads(failed.messages()[0]["Body"])
    assert record["requestContext"]["condition"] == "EventAgeExceeded"
    assert record["requestContext"]["approximateInvokeCount"] == 0
    assert "responsePayload" not in record


def test_boto3s_event_invocation_and_an_emulators_event_door_are_retried_too(
    desk_on_aws: DeskForTests, aws: Aws
) -> None:
    desk = desk_on_aws
    desk.add(SOURCE, asynchronous=AsyncConfig(retry_delays=(0.05,)))
    client = aws.client("lambda", f"http://127.0.0.1:{desk.host.serve()}")
    assert client.invoke(FunctionName="f", Payload=b'{"fail": 1}', InvocationType="Event")["StatusCode"] == 202
    assert desk.host.settle("f")
    assert len(set(attempts(desk))) == 1
    assert len(attempts(desk)) == 2


def test_a_destination_that_cannot_be_reached_is_a_line_in_the_log(desk: DeskForTests) -> None:
    desk.add(SOURCE, asynchronous=AsyncConfig(on_success="arn:aws:sqs:us-east-1:1:q"))
    desk.host.invoke_async("f", b"{}")
    assert desk.host.settle("f")
    assert any("did not reach arn:aws:sqs" in line and "AwsEndpoint" in line for _, line in desk.lines)


def test_what_waits_for_a_retry_ends_with_the_host(desk: DeskForTests) -> None:
    desk.add(SOURCE)
    desk.host.invoke_async("f", b'{"fail": 9}')
    assert eventually(lambda: desk.host.stats("f").errors == 1)
    begun = time.monotonic()
    desk.host.shutdown()
    assert time.monotonic() - begun < 3
    assert any("1 asynchronous invocations of f end with the host" in line for _, line in desk.lines)


@pytest.mark.parametrize("kind", ["topic", "bus"])
def test_a_topic_and_a_bus_of_the_emulator_wake_a_function(desk_on_aws: DeskForTests, aws: Aws, kind: str) -> None:
    desk = desk_on_aws
    desk.add(
        """
        import json
        def handler(event, context):
            if event.pop("_", None): return
            import os
            if not os.path.exists(os.environ["TMPDIR"] + "/tried"):
                open(os.environ["TMPDIR"] + "/tried", "w").close()
                raise ValueError("once")
            print("event", json.dumps(event))
        """,
        asynchronous=AsyncConfig(retry_delays=(0.05,)),
    )
    function = aws.function(f"wake-{kind}", f"http://127.0.0.1:{desk.host.serve()}/event/f")
    if kind == "topic":
        topic = aws.client("sns").create_topic(Name="wakes")["TopicArn"]
        aws.client("sns").subscribe(TopicArn=topic, Protocol="lambda", Endpoint=function)
        aws.client("sns").publish(TopicArn=topic, Message="hello")
    else:
        events = aws.client("events")
        events.put_rule(Name="wakes", EventPattern='{"source":["wakes"]}')
        events.put_targets(Rule="wakes", Targets=[{"Id": "1", "Arn": function}])
        events.put_events(Entries=[{"Source": "wakes", "DetailType": "Hello", "Detail": "{}"}])
    found: list[Any] = []

    def woken() -> bool:
        found[:] = [json.loads(line[6:]) for _, line in desk.lines if line.startswith("event ")]
        return bool(found)

    assert eventually(woken)
    (event,) = found
    if kind == "topic":
        assert event["Records"][0]["Sns"]["Message"] == "hello"
    else:
        assert (event["source"], event["detail-type"]) == ("wakes", "Hello")
    assert desk.host.stats("f").errors == 1
