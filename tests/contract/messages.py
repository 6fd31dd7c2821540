"""SQS, SNS and EventBridge, by each way that leads to a function."""

from __future__ import annotations

import json
from typing import Any

from tests.contract.lab import Lab
from tests.contract.ways import (
    CONTEXT,
    LOST,
    NOTHING,
    POINTER,
    REFUSED,
    Message,
    Way,
    as_parameters,
    from_queue,
    from_topic,
)

TEXTS = (
    "plain",
    "\u00fc\u20ac\U0001f600 \n",
    "{ no json",
    '{"b": 1.50, "a": 1e400, "b": 2}',
    "[1, 2]",
    "null",
    '"text"',
)
OBJECTS = ("{}", '{"order": 1}', ' {"b": 1.50,\n "a": "\\u00fc"} ', '{"deep": {"list": [1, [2, {"x": null}]]}}')

TYPED = (("String", "text \u00fc"), ("Number", "17.50"), ("String.mine", '{"a": 1}'))
# In a notification the emulator leaves out what a Binary attribute has for a value.
BINARY = (*TYPED, ("Binary", b"\x00\xff\x80"))


class QueueMessage(Way):
    """A message."""

    carrier, service, operation = "sqs", "sqs", "SendMessage"
    bodies = TEXTS
    attributed = BINARY

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.url, _ = lab.aws.queue(lab.name("queue"), self.function)

    def params(self, messages: list[Message]) -> dict[str, Any]:
        (message,) = messages
        return {"QueueUrl": self.url, **_message(message, "MessageBody")}

    def joined(self, message: Message) -> str:
        return REFUSED if len(message.attributes) > 10 else CONTEXT

    def read(self, event: Any) -> list[Message]:
        return [Message(record["body"], from_queue(record)) for record in event["Records"]]


class QueueBatch(QueueMessage):
    """A batch of messages."""

    operation = "SendMessageBatch"
    most = 10

    def params(self, messages: list[Message]) -> dict[str, Any]:
        entries = [{"Id": str(index), **_message(one, "MessageBody")} for index, one in enumerate(messages)]
        return {"QueueUrl": self.url, "Entries": entries}


class Published(Way):
    """A message to a topic, delivered to a function."""

    carrier, service, operation = "sns", "sns", "Publish"
    bodies = TEXTS
    attributed = TYPED

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.topic = lab.aws.topic(lab.name("topic"))
        self.connect()

    def connect(self) -> None:
        self.lab.aws.subscribe(self.topic, "lambda", self.arn)

    def params(self, messages: list[Message]) -> dict[str, Any]:
        (message,) = messages
        return {"TopicArn": self.topic, **_message(message, "Message")}

    def joined(self, message: Message) -> str:
        return POINTER if len(message.attributes) > 9 else CONTEXT

    def read(self, event: Any) -> list[Message]:
        return [Message(record["Sns"]["Message"], from_topic(record["Sns"])) for record in event["Records"]]


class PublishedBatch(Published):
    """A batch to a topic."""

    operation = "PublishBatch"
    most = 10

    def params(self, messages: list[Message]) -> dict[str, Any]:
        entries = [{"Id": str(index), **_message(one, "Message")} for index, one in enumerate(messages)]
        return {"TopicArn": self.topic, "PublishBatchRequestEntries": entries}


class PublishedToQueue(Published):
    """A message to a topic that a queue is subscribed to."""

    def connect(self) -> None:
        _, arn = self.lab.aws.queue(self.lab.name("queue"), self.function)
        self.lab.aws.subscribe(self.topic, "sqs", arn)

    def read(self, event: Any) -> list[Message]:
        notes = [json.loads(record["body"]) for record in event["Records"]]
        return [Message(note["Message"], from_topic(note)) for note in notes]


class PublishedToQueueRaw(Published):
    """The same with raw delivery, which the front's rules are for: so its consumer polls as Lambda does."""

    attributed = BINARY

    def connect(self) -> None:
        self.url, arn = self.lab.aws.queue(self.lab.name("queue"))
        self.queue = arn
        self.lab.aws.subscribe(self.topic, "sqs", arn, raw=True)

    def joined(self, message: Message) -> str:
        # Without an envelope there is no id that the sender could know.
        return LOST if len(message.attributes) > 10 else NOTHING if len(message.attributes) > 9 else CONTEXT

    def events(self, count: int, seconds: float = 20.0) -> list[Any]:
        return polled(self.lab, self.url, self.queue, count, seconds)

    def quiet(self, seconds: float = 0.5) -> bool:
        return not polled(self.lab, self.url, self.queue, 0, seconds)

    def read(self, event: Any) -> list[Message]:
        return [Message(record["body"], from_queue(record)) for record in event["Records"]]


class Put(Way):
    """An event to a bus, delivered to a function."""

    carrier, service, operation = "eventbridge", "events", "PutEvents"
    bodies = OBJECTS
    most = 10

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.source = lab.name("source")
        self.connect()

    def connect(self) -> None:
        self.lab.aws.rule(self.lab.name("rule"), self.source, self.arn)

    def params(self, messages: list[Message]) -> dict[str, Any]:
        common = {"Source": self.source, "DetailType": "Placed", "Resources": ["arn:aws:s3:::b"]}
        return {"Entries": [{**common, "Detail": message.body} for message in messages]}

    def numbered(self, number: int) -> Any:
        return json.dumps({"number": number})

    def received(self, message: Message) -> Message:
        return Message(json.loads(message.body))

    def read(self, event: Any) -> list[Message]:
        assert (event["source"], event["detail-type"], event["resources"]) == (
            self.source,
            "Placed",
            ["arn:aws:s3:::b"],
        )
        return [_detail(event["detail"])]


class PutToQueue(Put):
    """An event to a bus whose rule has a queue for its target."""

    def connect(self) -> None:
        _, arn = self.lab.aws.queue(self.lab.name("queue"), self.function)
        self.lab.aws.rule(self.lab.name("rule"), self.source, arn)

    def read(self, event: Any) -> list[Message]:
        return [one for record in event["Records"] for one in super(PutToQueue, self).read(json.loads(record["body"]))]


class PutToTopic(Put):
    """An event to a bus whose rule has a topic for its target."""

    def connect(self) -> None:
        topic = self.lab.aws.topic(self.lab.name("topic"))
        self.lab.aws.subscribe(topic, "lambda", self.arn)
        self.lab.aws.rule(self.lab.name("rule"), self.source, topic)

    def read(self, event: Any) -> list[Message]:
        texts = [record["Sns"]["Message"] for record in event["Records"]]
        return [one for text in texts for one in super(PutToTopic, self).read(json.loads(text))]


class PutDetailToQueue(Put):
    """An event to a bus whose rule hands its detail alone to a queue."""

    def connect(self) -> None:
        _, arn = self.lab.aws.queue(self.lab.name("queue"), self.function)
        self.lab.aws.rule(self.lab.name("rule"), self.source, arn, InputPath="$.detail")

    def read(self, event: Any) -> list[Message]:
        return [_detail(json.loads(record["body"])) for record in event["Records"]]


def polled(lab: Lab, url: str, arn: str, count: int, seconds: float = 20.0) -> list[Any]:
    """The events that the local Lambda makes of a queue's messages, read through the front; 0 for whatever is there."""
    import time

    from hoptrace_local.lambda_host.sqs_batch import as_record

    client = lab.client("sqs")
    found: list[Any] = []
    deadline = time.monotonic() + seconds
    while (len(found) < count or count == 0) and time.monotonic() < deadline:
        messages = client.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        ).get("Messages", [])
        for message in messages:
            client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found.append(as_record(message, arn))
        if not messages:
            time.sleep(0.05)
    assert count in (0, len(found)), f"{len(found)} of {count} arrived"
    return [{"Records": found}] if found else []


def _message(message: Message, key: str) -> dict[str, Any]:
    given: dict[str, Any] = {key: message.body}
    if message.attributes:
        given["MessageAttributes"] = as_parameters(message.attributes)
    return given


def _detail(detail: dict[str, Any]) -> Message:
    return Message({name: value for name, value in detail.items() if name != "_hoptrace"})
