"""Queues and topics that take less, or more, than their service does at first, which a call does not tell."""

from typing import Any

import boto3
import pytest
from moto import mock_aws

from hoptrace.carriers import sns, sqs
from hoptrace.spans.context import SpanContext

CONTEXT = SpanContext("a" * 32, "b" * 16)
KIB = 1_024


@pytest.mark.parametrize("limit", [64 * KIB, 256 * KIB, 1024 * KIB])
@pytest.mark.parametrize("below", [0, 1, 71, 72, 73])
def test_a_queue_with_a_limit_of_its_own_takes_what_it_takes_without_us(limit: int, below: int) -> None:
    with mock_aws():
        client = boto3.client("sqs", "eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
        url = client.create_queue(QueueName="orders", Attributes={"MaximumMessageSize": str(limit)})["QueueUrl"]
        message = {"QueueUrl": url, "MessageBody": "x" * (limit - below)}
        client.send_message(**message)
        written: Any = sqs.inject_entry(message, CONTEXT)
        assert written is not message
        client.send_message(**written)
        entry: Any = {"Id": "1", "MessageBody": message["MessageBody"]}
        (carried,) = sqs.inject_batch([entry], lambda _: CONTEXT)
        answer = client.send_message_batch(QueueUrl=url, Entries=[carried])
        assert [each["Id"] for each in answer.get("Successful", [])] == ["1"]
        for each in (written, carried):
            assert ("MessageAttributes" in each) == (below >= 72)
            assert ("MessageSystemAttributes" in each) == (below < 72)


def test_a_topic_that_was_set_to_more_has_its_context_too() -> None:
    default: Any = {"TopicArn": "t", "Message": "x" * (256 * KIB)}
    assert sns.inject_entry(default, CONTEXT) is default
    large: Any = {"TopicArn": "t", "Message": "x" * (256 * KIB + 1)}
    assert "traceparent" in sns.inject_entry(large, CONTEXT)["MessageAttributes"]
    round_one: Any = {"TopicArn": "t", "Message": "x" * (512 * KIB)}
    assert sns.inject_entry(round_one, CONTEXT) is round_one
    largest: Any = {"TopicArn": "t", "Message": "x" * (1024 * KIB - 71)}
    assert sns.inject_entry(largest, CONTEXT) is largest


def test_a_batch_to_such_a_topic_is_counted_as_a_whole() -> None:
    entries: Any = [{"Id": str(number), "Message": "x" * (90 * KIB)} for number in range(3)]
    written: Any = sns.inject_batch(entries, lambda _: CONTEXT)
    assert all("traceparent" in each["MessageAttributes"] for each in written)
    full: Any = [{"Id": str(number), "Message": "x" * (128 * KIB)} for number in range(3)]
    assert sns.inject_batch(full, lambda _: CONTEXT) is full
