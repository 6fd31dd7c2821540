"""Envelopes in envelopes: what services put into each other's messages, and what becomes of a function's event."""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from real_aws import ACCOUNT, REGION, RealAws
from scenarios import PRODUCER

from hoptrace.carriers import sqs as to_queue
from hoptrace_local.lambda_host import AsyncConfig, AwsEndpoint, FunctionConfig, LambdaHost, SqsEventSource

BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
HERE = "arn:aws:lambda:us-east-1:123456789012:function:"


# --- S3


def _bucket(aws: RealAws, name: str, **notifications: Any) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=notifications)


def _put_object(aws: RealAws, bucket: str) -> None:
    aws.client("s3").put_object(Bucket=bucket, Key="in/an order.json", Body=b"{}")


def s3_test_event_in_sqs(aws: RealAws) -> Any:
    """What a queue gets when it is named in a bucket's notifications, before any object is written."""
    _, arn = aws.queue("s3-test-queue", aws.function("s3_test_event_in_sqs"))
    _bucket(aws, "tested", QueueConfigurations=[{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}])
    return aws.event_for("s3_test_event_in_sqs")


def s3_in_sqs(aws: RealAws) -> Any:
    _, arn = aws.queue("s3-queue", aws.function("s3_in_sqs"))
    _bucket(aws, "to-queue", QueueConfigurations=[{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}])
    aws.event_for("s3_in_sqs")
    _put_object(aws, "to-queue")
    return aws.event_for("s3_in_sqs")


def s3_in_sns_in_sqs(aws: RealAws) -> Any:
    topic = aws.topic("s3-topic")
    _, arn = aws.queue("s3-topic-queue", aws.function("s3_in_sns_in_sqs"))
    aws.subscribe(topic, "sqs", arn)
    _bucket(aws, "to-topic", TopicConfigurations=[{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}])
    aws.event_for("s3_in_sns_in_sqs")
    _put_object(aws, "to-topic")
    return aws.event_for("s3_in_sns_in_sqs")


def _bucket_to_bus(aws: RealAws, bucket: str, target: str) -> None:
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}
    events = aws.client("events")
    events.put_rule(Name=bucket, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=bucket, Targets=[{"Id": "1", "Arn": target}])
    _bucket(aws, bucket, EventBridgeConfiguration={})
    _put_object(aws, bucket)


def s3_in_eventbridge(aws: RealAws) -> Any:
    _bucket_to_bus(aws, "to-bus", aws.function("s3_in_eventbridge"))
    return aws.event_for("s3_in_eventbridge")


def s3_in_eventbridge_in_sqs(aws: RealAws) -> Any:
    _, arn = aws.queue("s3-bus-queue", aws.function("s3_in_eventbridge_in_sqs"))
    _bucket_to_bus(aws, "to-bus-to-queue", arn)
    return aws.event_for("s3_in_eventbridge_in_sqs")


# --- queues that take what another queue gave up


def sqs_dead_letter(aws: RealAws) -> Any:
    """A message that was received once too often: its attributes are those that its producer sent.

    Read by the local host, since MiniStack's mapping leaves out which queue gave it up.
    """
    sqs = aws.client("sqs")
    dead_url, dead = aws.queue("gave-up")
    url, _ = aws.queue("tries-once")
    policy = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 1})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "0"})
    sqs.send_message(**to_queue.inject_entry({"QueueUrl": url, "MessageBody": "x"}, PRODUCER))
    deadline = time.monotonic() + 10
    count = "ApproximateNumberOfMessages"
    while time.monotonic() < deadline:
        sqs.receive_message(QueueUrl=url)
        if sqs.get_queue_attributes(QueueUrl=dead_url, AttributeNames=[count])["Attributes"][count] != "0":
            break
        time.sleep(0.05)
    with _host(aws) as (host, folder):
        seen = _add_listener(host, folder)
        host.add_event_source("told", SqsEventSource(dead))
        while not seen.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        return json.loads(seen.read_text())


# --- what becomes of an asynchronous invocation, by the local Lambda host


@contextmanager
def _host(aws: RealAws) -> Iterator[tuple[LambdaHost, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        host = LambdaHost(state_dir=Path(folder) / "state", aws=AwsEndpoint(aws.url, REGION))
        try:
            yield host, Path(folder)
        finally:
            host.shutdown()


def _add(host: LambdaHost, folder: Path, name: str, source: str, **asynchronous: Any) -> None:
    (folder / name).mkdir()
    (folder / name / "app.py").write_text(source)
    policy = AsyncConfig(retries=1, retry_delays=(0.05,), **asynchronous)
    host.add(FunctionConfig(name, folder / name, "app.handler", asynchronous=policy))


def _add_listener(host: LambdaHost, folder: Path) -> Path:
    """Add a function `told`, which writes its event to a file, at once and whole."""
    seen = folder / "seen.json"
    source = f"""
import json, os
def handler(event, context):
    with open({str(seen)!r} + ".new", "w") as out:
        json.dump(event, out)
    os.replace({str(seen)!r} + ".new", {str(seen)!r})
"""
    _add(host, folder, "told", source)
    return seen


_FAILS = "def handler(event, context):\n    raise ValueError('no such order')\n"
_WORKS = "def handler(event, context):\n    return {'done': True}\n"


def _message() -> bytes:
    """The event of the function that is over: one message, sent by `PRODUCER`."""
    attributes = to_queue.inject_entry({"MessageBody": "x"}, PRODUCER)["MessageAttributes"]
    message = {
        "messageId": "2e1424d4-f796-459a-8184-9c92662be6da",
        "body": "x",
        "attributes": {"SentTimestamp": "1790000000000", "ApproximateReceiveCount": "1"},
        "messageAttributes": {
            name: {"stringValue": value["StringValue"], "dataType": "String"} for name, value in attributes.items()
        },
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:orders",
    }
    return json.dumps({"Records": [message]}).encode()


def _told(aws: RealAws, source: str, **asynchronous: Any) -> None:
    with _host(aws) as (host, folder):
        _add(host, folder, "worker", source, **asynchronous)
        host.invoke_async("worker", _message())
        assert host.settle("worker")


def _to_function(aws: RealAws, source: str, way: str) -> Any:
    with _host(aws) as (host, folder):
        seen = _add_listener(host, folder)
        _add(host, folder, "worker", source, **{way: f"{HERE}told"})
        host.invoke_async("worker", _message())
        assert host.settle("worker") and host.settle("told")
        return json.loads(seen.read_text())


def destination(aws: RealAws) -> Any:
    return _to_function(aws, _WORKS, "on_success")


def destination_of_failure(aws: RealAws) -> Any:
    return _to_function(aws, _FAILS, "on_failure")


def destination_in_sqs(aws: RealAws) -> Any:
    _, arn = aws.queue("failures", aws.function("destination_in_sqs"))
    _told(aws, _FAILS, on_failure=arn)
    return aws.event_for("destination_in_sqs")


def destination_in_sns(aws: RealAws) -> Any:
    topic = aws.topic("failures-topic")
    aws.subscribe(topic, "lambda", aws.function("destination_in_sns"))
    _told(aws, _FAILS, on_failure=topic)
    return aws.event_for("destination_in_sns")


def destination_in_eventbridge(aws: RealAws) -> Any:
    aws.rule("results", "lambda", aws.function("destination_in_eventbridge"))
    _told(aws, _WORKS, on_success=BUS)
    return aws.event_for("destination_in_eventbridge")


def dead_letter_in_sqs(aws: RealAws) -> Any:
    """A function's dead-letter queue gets the event itself."""
    _, arn = aws.queue("dead", aws.function("dead_letter_in_sqs"))
    _told(aws, _FAILS, dead_letter=arn)
    return aws.event_for("dead_letter_in_sqs")


def dead_letter_in_sns(aws: RealAws) -> Any:
    topic = aws.topic("dead-topic")
    aws.subscribe(topic, "lambda", aws.function("dead_letter_in_sns"))
    _told(aws, _FAILS, dead_letter=topic)
    return aws.event_for("dead_letter_in_sns")


def dead_letter_in_sns_in_sqs(aws: RealAws) -> Any:
    topic = aws.topic("dead-topic-2")
    _, arn = aws.queue("dead-topic-queue", aws.function("dead_letter_in_sns_in_sqs"))
    aws.subscribe(topic, "sqs", arn)
    _told(aws, _FAILS, dead_letter=topic)
    return aws.event_for("dead_letter_in_sns_in_sqs")


SCENARIOS = (
    s3_test_event_in_sqs,
    s3_in_sqs,
    s3_in_sns_in_sqs,
    s3_in_eventbridge,
    s3_in_eventbridge_in_sqs,
    sqs_dead_letter,
    destination,
    destination_of_failure,
    destination_in_sqs,
    destination_in_sns,
    destination_in_eventbridge,
    dead_letter_in_sqs,
    dead_letter_in_sns,
    dead_letter_in_sns_in_sqs,
)
