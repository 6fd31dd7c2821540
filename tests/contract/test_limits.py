"""At every limit and a byte to each side of it: AWS takes what it takes without us, the context goes where it can."""

from __future__ import annotations

import json

import pytest

from hoptrace.triggers import identify
from tests.contract.lab import Lab, call, in_lambda, traced
from tests.contract.messages import (
    Published,
    PublishedBatch,
    PublishedToQueueRaw,
    Put,
    PutToQueue,
    QueueBatch,
    QueueMessage,
    polled,
)
from tests.contract.test_every_way import check, meeting
from tests.contract.ways import CONTEXT, NOTHING, POINTER, Message, Way, attributes

# The name, the type and the 55 characters of a `traceparent`; and an attribute that the user sends.
TRACEPARENT = len("traceparent") + len("String") + 55
USERS = {"mine": ("Number", "1.50")}
USERS_BYTES = len("mine") + len("Number") + len("1.50")

SQS, SNS, BUS = 1_048_576, 262_144, 999_999


def around(limit: int, ours: int) -> list[int]:
    """Sizes of what the user sends: where ours just fits and just does not, and where AWS begins to refuse."""
    return [limit - ours - 1, limit - ours, limit - ours + 1, limit - 1, limit, limit + 1]


def accepted_alone(lab: Lab, way: Way, messages: list[Message]) -> bool:
    """Whether AWS takes it from a client that nobody traces."""
    method = {"SendMessage": "send_message", "SendMessageBatch": "send_message_batch", "Publish": "publish"}
    method |= {"PublishBatch": "publish_batch", "PutEvents": "put_events"}
    client = lab.client(way.service)
    with in_lambda():
        try:
            getattr(client, method[way.operation])(**way.params(messages))
        except client.exceptions.ClientError:
            return False
    way.events(len(messages))
    return True


@pytest.mark.parametrize("size", around(SQS, TRACEPARENT))
@pytest.mark.parametrize("letter", ["x", "\u00e4"])
def test_a_message_to_a_queue_has_its_context_at_every_size(size: int, letter: str, lab: Lab) -> None:
    way = lab.way(QueueMessage)
    left = size - USERS_BYTES
    body = letter * (left // len(letter.encode())) + "x" * (left % len(letter.encode()))
    message = Message(body, USERS)
    assert accepted_alone(lab, way, [message]) == (size <= SQS)
    with traced() as recorder:
        done = call(lab.client("sqs"), "SendMessage", way.params([message]), recorder)
    assert done.refused == (size > SQS)
    if size > SQS:
        return
    (event,) = way.events(1)
    (record,) = identify(event).records
    assert way.read(event) == [message]
    assert meeting(done.span, record) == CONTEXT
    assert record.carrier == ("traceparent" if size + TRACEPARENT <= SQS else "xray")


@pytest.mark.parametrize("size", around(SQS, 2 * TRACEPARENT) + around(SQS, TRACEPARENT)[:3])
def test_a_batch_to_a_queue_is_counted_as_a_whole(size: int, lab: Lab) -> None:
    way = lab.way(QueueBatch)
    # Neither is near a multiple of 64 KiB, which a queue may have for its limit.
    first = size // 2 + 30_000
    messages = [Message("a" * first), Message("b" * (size - first))]
    assert accepted_alone(lab, way, messages) == (size <= SQS)
    with traced() as recorder:
        done = call(lab.client("sqs"), "SendMessageBatch", way.params(messages), recorder)
    assert done.refused == (size > SQS)
    if size > SQS:
        return
    carriers = []
    for event in way.events(2):
        for message, record in zip(way.read(event), identify(event).records, strict=True):
            assert message in messages
            assert meeting(done.span, record) == CONTEXT
            carriers.append(record.carrier)
    room = (SQS - size) // TRACEPARENT
    assert sorted(carriers) == ["traceparent"] * min(2, room) + ["xray"] * (2 - min(2, room))


@pytest.mark.parametrize("kind", [Published, PublishedToQueueRaw], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("size", around(SNS, TRACEPARENT))
def test_a_message_to_a_topic_has_its_context_while_there_is_room(kind: type[Way], size: int, lab: Lab) -> None:
    way = lab.way(kind)
    message = Message("x" * (size - USERS_BYTES), USERS)
    assert accepted_alone(lab, way, [message]) == (size <= SNS)
    with traced() as recorder:
        done = call(lab.client("sns"), "Publish", way.params([message]), recorder)
    assert done.refused == (size > SNS)
    if size > SNS:
        return
    (event,) = way.events(1)
    assert way.read(event) == [message]
    without = NOTHING if kind is PublishedToQueueRaw else POINTER
    assert meeting(done.span, identify(event).records[0]) == (CONTEXT if size + TRACEPARENT <= SNS else without)


@pytest.mark.parametrize("size", around(SNS, 2 * TRACEPARENT) + around(SNS, TRACEPARENT)[:3])
def test_a_batch_to_a_topic_is_counted_as_a_whole(size: int, lab: Lab) -> None:
    way = lab.way(PublishedBatch)
    messages = [Message("a" * (size // 2)), Message("b" * (size - size // 2))]
    assert accepted_alone(lab, way, messages) == (size <= SNS)
    with traced() as recorder:
        done = call(lab.client("sns"), "PublishBatch", way.params(messages), recorder)
    assert done.refused == (size > SNS)
    if size > SNS:
        return
    found = [(way.read(event)[0], identify(event).records[0]) for event in way.events(2)]
    assert all(message in messages for message, _ in found)
    room = min(2, (SNS - size) // TRACEPARENT)
    ends = [CONTEXT] * room + [POINTER] * (2 - room)
    assert sorted(meeting(done.span, record) for _, record in found) == ends


def put_size(detail: str) -> int:
    """What EventBridge counts of the tests' entries, whose resources are one ARN."""
    return len("arn:aws:s3:::b") + len("Placed") + len(detail)


def detail_of(size: int, way: Put) -> str:
    frame = json.dumps({"fill": ""})
    return json.dumps({"fill": "x" * (size - put_size(frame) - len(way.source))})


# The key with a traceparent and thirteen digits of a time, and the comma before it.
RESERVED = len(',"_hoptrace":{"traceparent":"","sent":1790000000123}') + 55


@pytest.mark.parametrize("size", around(BUS, RESERVED))
def test_an_event_has_its_context_in_its_detail_while_there_is_room(size: int, lab: Lab) -> None:
    way = lab.way(Put)
    message = Message(detail_of(size, way))
    assert accepted_alone(lab, way, [message]) == (size <= BUS)
    with traced() as recorder:
        done = call(lab.client("events"), "PutEvents", way.params([message]), recorder)
    assert done.refused == (size > BUS)
    if size > BUS:
        return
    (event,) = way.events(1)
    assert way.read(event) == [way.received(message)]
    assert meeting(done.span, identify(event).records[0]) == (CONTEXT if size + RESERVED <= BUS else POINTER)


class PutToPolledQueue(PutToQueue):
    """An event to a bus whose rule has a queue for its target, read through the front, as the local Lambda does."""

    def connect(self) -> None:
        self.url, self.queue = self.lab.aws.queue(self.lab.name("queue"))
        self.lab.aws.rule(self.lab.name("rule"), self.source, self.queue)


@pytest.mark.parametrize("size", around(BUS, RESERVED)[:-1])
def test_an_event_without_room_is_known_by_the_trace_header_of_the_queue_behind_its_rule(size: int, lab: Lab) -> None:
    way = lab.way(PutToPolledQueue)
    message = Message(detail_of(size, way))
    with traced() as recorder:
        done = call(lab.client("events"), "PutEvents", way.params([message]), recorder)
    (event,) = polled(lab, way.url, way.queue, 1)
    assert way.read(event) == [way.received(message)]
    (record,) = identify(event).records
    assert meeting(done.span, record) == CONTEXT
    assert record.carrier == ("traceparent" if size + RESERVED <= BUS else "xray")


def test_ten_large_events_are_counted_together(lab: Lab) -> None:
    way = lab.way(Put)
    each = BUS // 10 - RESERVED // 2
    messages = [Message(detail_of(each, way)[:-2] + f'{number}"}}') for number in range(10)]
    with traced() as recorder:
        done = call(lab.client("events"), "PutEvents", way.params(messages), recorder)
    assert not done.refused
    found = [identify(event).records[0] for event in way.events(10)]
    room = (BUS - sum(put_size(message.body) + len(way.source) for message in messages)) // RESERVED
    assert 0 < room < 10
    assert [meeting(done.span, record) for record in found].count(CONTEXT) == room


class PreparedQueue(QueueMessage):
    """A queue that the function reads only when all messages are there, so that they come in one batch."""

    def __init__(self, lab: Lab) -> None:
        Way.__init__(self, lab)
        self.url, self.queue = lab.aws.queue(lab.name("queue"))


def test_a_function_that_gets_a_batch_of_any_size_finds_each_messages_own_sender(lab: Lab) -> None:
    batches = []
    with traced() as recorder:
        for count in range(1, 11):
            way = PreparedQueue(lab)
            messages = [Message(way.numbered(number), attributes(PreparedQueue, number)) for number in range(count)]
            client = lab.client("sqs")
            sent = [(one, call(client, "SendMessage", way.params([one]), recorder)) for one in messages]
            assert len({done.span.context.trace_id for _, done in sent}) == count
            batches.append((way, sent))
    for way, _ in batches:
        lab.aws.map(way.queue, way.function)
    for way, sent in batches:
        event = lab.aws.event_for(way.function)
        assert len(event["Records"]) == len(sent)
        lab.aws.arrived[way.function].put(event)
        check(way, sent)


def test_a_filter_policy_still_takes_what_it_took(lab: Lab) -> None:
    """On attributes and on the body, and says no to what it said no to."""
    sns = lab.client("sns")
    policies = {
        "attributes": ({"a0": ["text \u00fc"], "a1": [{"numeric": [">", 17]}]}, "MessageAttributes"),
        "absent": ({"tracestate": [{"exists": False}], "a9": [{"exists": False}]}, "MessageAttributes"),
        "body": ({"order": {"id": [1]}}, "MessageBody"),
        "other": ({"a0": [{"anything-but": ["text \u00fc"]}]}, "MessageAttributes"),
    }
    topic = lab.aws.topic(lab.name("topic"))
    functions = {}
    for name, (policy, scope) in policies.items():
        functions[name] = lab.name(name)
        sns.subscribe(
            TopicArn=topic,
            Protocol="lambda",
            Endpoint=lab.aws.function(functions[name]),
            Attributes={"FilterPolicy": json.dumps(policy), "FilterPolicyScope": scope},
        )
    way = lab.way(Published)
    message = Message('{"order": {"id": 1}}', attributes(Published, 2))
    with traced() as recorder:
        params = {**way.params([message]), "TopicArn": topic}
        done = call(sns, "Publish", params, recorder)
    for name in ("attributes", "absent", "body"):
        event = lab.aws.event_for(functions[name])
        assert way.read(event) == [message]
        assert meeting(done.span, identify(event).records[0]) == CONTEXT
    assert lab.aws.arrived[functions["other"]].empty()
