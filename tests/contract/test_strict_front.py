"""The front refuses what AWS refuses, passes on what AWS passes on, and lets everything else through to the byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hoptrace_local.strict import StrictFront
from tests.contract.lab import Lab
from tests.support.ports import free_port

HEADER = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1;Lineage=1:e5:0"
OTHERS = "Root=1-aaaaaaaa-aaaaaaaaaaaaaaaaaaaaaaaa;Parent=bbbbbbbbbbbbbbbb;Sampled=1"


def attributes(count: int) -> dict[str, Any]:
    return {f"a{number}": {"DataType": "String", "StringValue": "v"} for number in range(count)}


def trace_header(client: Any) -> None:
    """Have the client send the header as an instrumented one does."""
    client.meta.events.register_first(
        "before-call", lambda params, **_: params["headers"].update({"X-Amzn-Trace-Id": HEADER})
    )


def refusal(call: Any, **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**params)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def receive(client: Any, url: str, *names: str, system: tuple[str, ...] = ("All",)) -> Any:
    return client.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        MessageAttributeNames=list(names),
        MessageSystemAttributeNames=list(system),
    ).get("Messages", [])


@pytest.fixture
def sqs(lab: Lab) -> Any:
    return lab.client("sqs")


@pytest.fixture
def queue(lab: Lab) -> str:
    return str(lab.aws.queue(lab.name("strict"))[0])


def test_a_message_with_eleven_attributes_is_refused_and_one_with_ten_is_not(sqs: Any, queue: str) -> None:
    sqs.send_message(QueueUrl=queue, MessageBody="x", MessageAttributes=attributes(10))
    code, told = refusal(sqs.send_message, QueueUrl=queue, MessageBody="x", MessageAttributes=attributes(11))
    assert code == "InvalidParameterValue"
    assert told == "Number of message attributes [11] exceeds the allowed maximum [10]."
    assert len(receive(sqs, queue, "All")) == 1


def test_of_a_batch_only_the_entry_with_eleven_attributes_fails(sqs: Any, queue: str) -> None:
    entries = [
        {"Id": "a", "MessageBody": "a", "MessageAttributes": attributes(11)},
        {"Id": "b", "MessageBody": "b", "MessageAttributes": attributes(10)},
    ]
    answer = sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    assert [one["Id"] for one in answer["Successful"]] == ["b"]
    assert [(one["Id"], one["Code"], one["SenderFault"]) for one in answer["Failed"]] == [
        ("a", "InvalidParameterValue", True)
    ]
    assert [one["Body"] for one in receive(sqs, queue)] == ["b"]


def test_attributes_count_in_the_size_of_a_message_and_of_a_batch(sqs: Any, queue: str) -> None:
    one = {"a": {"DataType": "String", "StringValue": "v"}, "b": {"DataType": "Binary", "BinaryValue": b"\x00\x01\x02"}}
    bytes_of_one = (1 + 6 + 1) + (1 + 6 + 3)
    fits = "\u00e4" * ((1_048_576 - bytes_of_one) // 2)
    sqs.send_message(QueueUrl=queue, MessageBody=fits, MessageAttributes=one)
    code, told = refusal(sqs.send_message, QueueUrl=queue, MessageBody=fits + "x", MessageAttributes=one)
    assert (code, "shorter than 1048576 bytes" in told) == ("InvalidParameterValue", True)
    entries = [
        {"Id": "a", "MessageBody": fits[:-1], "MessageAttributes": one},
        {"Id": "b", "MessageBody": "xy"},
    ]
    sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    entries[1]["MessageBody"] = "xyz"
    code, told = refusal(sqs.send_message_batch, QueueUrl=queue, Entries=entries)
    assert code == "AWS.SimpleQueueService.BatchRequestTooLong"
    assert told == "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes."


@pytest.mark.parametrize("batch", [False, True])
def test_the_trace_header_of_a_request_is_that_of_its_messages_but_for_those_that_bring_one(
    batch: bool, sqs: Any, queue: str
) -> None:
    trace_header(sqs)
    own = {"AWSTraceHeader": {"DataType": "String", "StringValue": OTHERS}}
    messages: list[dict[str, Any]] = [{"MessageBody": "a"}, {"MessageBody": "b", "MessageSystemAttributes": own}]
    if batch:
        entries = [{"Id": str(number), **message} for number, message in enumerate(messages)]
        answer = sqs.send_message_batch(QueueUrl=queue, Entries=entries)
        assert sorted(one["Id"] for one in answer["Successful"]) == ["0", "1"]
    else:
        for message in messages:
            sqs.send_message(QueueUrl=queue, **message)
    found = {one["Body"]: one["Attributes"]["AWSTraceHeader"] for one in receive(sqs, queue)}
    assert found == {"a": HEADER, "b": OTHERS}


def test_who_receives_gets_what_was_asked_for_and_no_more(sqs: Any, queue: str) -> None:
    trace_header(sqs)
    for asked, system, names, system_names in (
        ((), (), None, None),
        (("a1",), ("SentTimestamp",), {"a1"}, {"SentTimestamp"}),
        (("a.*",), ("AWSTraceHeader",), {"a0", "a1"}, {"AWSTraceHeader"}),
    ):
        sqs.send_message(QueueUrl=queue, MessageBody="x", MessageAttributes=attributes(2))
        (message,) = receive(sqs, queue, *asked, system=system)
        assert (set(message["MessageAttributes"]) if names else message.get("MessageAttributes")) == names
        assert (set(message["Attributes"]) if system_names else message.get("Attributes")) == system_names
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert receive(sqs, queue) == []


def test_a_raw_delivery_with_eleven_attributes_is_discarded_and_a_wrapped_one_is_not(lab: Lab, sqs: Any) -> None:
    topic = lab.aws.topic(lab.name("topic"))
    urls = {}
    for raw in (True, False):
        urls[raw], arn = lab.aws.queue(lab.name("subscribed"))
        lab.aws.subscribe(topic, "sqs", arn, raw=raw)
    sns = lab.client("sns")
    for count in (11, 10):
        sns.publish(TopicArn=topic, Message=str(count), MessageAttributes=attributes(count))
    assert [one["Body"] for one in receive(sqs, urls[True], "All")] == ["10"]
    assert [json.loads(one["Body"])["Message"] for one in receive(sqs, urls[False], "All")] == ["11", "10"]
    state = sqs.get_queue_attributes(QueueUrl=urls[True], AttributeNames=["All"])["Attributes"]
    assert (state["ApproximateNumberOfMessages"], state["ApproximateNumberOfMessagesNotVisible"]) == ("0", "1")


def test_a_topic_counts_attributes_and_batches(lab: Lab) -> None:
    sns = lab.client("sns")
    topic = lab.aws.topic(lab.name("topic"))
    text = "\u00e4" * ((262_144 - 8) // 2)
    sns.publish(TopicArn=topic, Message=text, MessageAttributes=_tiny())
    code, told = refusal(sns.publish, TopicArn=topic, Message=text + "x", MessageAttributes=_tiny())
    assert (code, told) == ("InvalidParameter", "Invalid parameter: Message too long")
    entries = [{"Id": "a", "Message": text[:-1], "MessageAttributes": _tiny()}, {"Id": "b", "Message": "xy"}]
    assert len(sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)["Successful"]) == 2
    entries[1]["Message"] = "xyz"
    code, _ = refusal(sns.publish_batch, TopicArn=topic, PublishBatchRequestEntries=entries)
    assert code == "BatchRequestTooLong"


def _tiny() -> dict[str, Any]:
    return {"a": {"DataType": "String", "StringValue": "v"}}


def event(detail: str, **more: Any) -> dict[str, Any]:
    return {"Source": "s", "DetailType": "t", "Detail": detail, **more}


def test_a_bus_takes_ten_events_and_refuses_eleven(lab: Lab) -> None:
    events = lab.client("events")
    assert events.put_events(Entries=[event("{}")] * 10)["FailedEntryCount"] == 0
    code, told = refusal(events.put_events, Entries=[event("{}")] * 11)
    assert (code, "less than or equal to 10" in told) == ("ValidationException", True)


@pytest.mark.parametrize("more", [{}, {"Time": 1_790_000_000}, {"Resources": ["12345", "678"]}])
def test_a_bus_takes_less_than_a_megabyte(more: dict[str, Any], lab: Lab) -> None:
    events = lab.client("events")
    room = 999_999 - len("s") - len("t") - (14 if "Time" in more else 0) - len("".join(more.get("Resources", [])))
    fits = '{"\u00e4":"' + "x" * (room - 9) + '"}'
    assert len(fits.encode()) == room
    assert events.put_events(Entries=[event(fits, **more)])["FailedEntryCount"] == 0
    code, told = refusal(events.put_events, Entries=[event(fits[:-2] + 'y"}', **more)])
    assert (code, told) == ("ValidationException", "Total size of the entries in the request is over the limit.")


def test_an_entry_with_a_malformed_detail_fails_alone_and_in_its_place(lab: Lab) -> None:
    events = lab.client("events")
    answer = events.put_events(Entries=[event("{"), event("{}"), event("[]")])
    assert answer["FailedEntryCount"] == 2
    assert [one.get("ErrorCode") for one in answer["Entries"]] == ["MalformedDetail", None, "MalformedDetail"]
    assert answer["Entries"][1]["EventId"]
    answer = events.put_events(Entries=[event("nothing")])
    assert [one["ErrorCode"] for one in answer["Entries"]] == ["MalformedDetail"]


@pytest.mark.parametrize(
    ("own", "sent", "found"),
    [
        (OTHERS, False, OTHERS),
        (None, True, HEADER),
        (OTHERS, True, OTHERS),
        (None, False, None),
        ("Root=mine", False, None),
    ],
)
def test_an_events_trace_header_is_that_of_the_message_in_the_queue_behind_its_rule(
    own: str | None, sent: bool, found: str | None, lab: Lab, sqs: Any
) -> None:
    url, arn = lab.aws.queue(lab.name("target"))
    source = lab.name("source")
    lab.aws.rule(lab.name("rule"), source, arn)
    events = lab.client("events")
    if sent:
        trace_header(events)
    entry = {**event('{"a": 1}'), "Source": source}
    events.put_events(Entries=[{**entry, "TraceHeader": own} if own else entry])
    (message,) = receive(sqs, url)
    assert message["Attributes"].get("AWSTraceHeader") == found
    assert json.loads(message["Body"])["detail"] == {"a": 1}
    assert "TraceHeader" not in message["Body"]


def test_what_no_rule_is_about_goes_through_to_the_byte(lab: Lab) -> None:
    s3 = lab.client("s3")
    bucket = lab.name("bucket")
    s3.create_bucket(Bucket=bucket)
    data = bytes(range(256)) * 1_000
    s3.put_object(Bucket=bucket, Key="a b/\u00fc", Body=data, Metadata={"k": "v"})
    assert s3.get_object(Bucket=bucket, Key="a b/\u00fc")["Body"].read() == data
    head = s3.head_object(Bucket=bucket, Key="a b/\u00fc")
    assert (head["ContentLength"], head["Metadata"]) == (len(data), {"k": "v"})
    assert refusal(s3.get_object, Bucket=bucket, Key="none")[0] == "NoSuchKey"
    s3.delete_object(Bucket=bucket, Key="a b/\u00fc")


def test_an_emulator_that_is_gone_is_a_bad_gateway(lab: Lab) -> None:
    import urllib.error
    import urllib.request

    with (
        StrictFront(f"http://127.0.0.1:{free_port()}") as front,
        pytest.raises(urllib.error.HTTPError, match="502"),
    ):
        urllib.request.urlopen(front.url, timeout=10)
