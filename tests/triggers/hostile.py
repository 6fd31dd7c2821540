"""Events that nobody should send, made from those that AWS sends: torn, swapped, nested, with hostile texts in them.

By a seeded random generator and not by hypothesis: ten thousand of them have to be made in seconds, and a failure names
its seed and number.
"""

from __future__ import annotations

import base64
import copy
import json
import random
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from golden import EXPECTED, load

GOLDEN = [load(file) for file in EXPECTED]

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TEXTS: tuple[str, ...] = (
    "",
    "x",
    " ",
    "\ud800",
    "\x00",
    "null",
    "{",
    "}{",
    "[1",
    "1" * 5_000,
    "-1",
    "1e400",
    "NaN",
    "\u0661\u0662",
    "0" * 32,
    "=" * 50,
    "!!!!",
    "arn:aws:sqs",
    ":" * 100,
    "/" * 100,
    "\u00e4" * 300,
    TRACEPARENT,
    TRACEPARENT[:-1],
    TRACEPARENT + "-extra",
    TRACEPARENT.upper(),
    "ff" + TRACEPARENT[2:],
    "00-" + "0" * 32 + "-" + "0" * 16 + "-01",
    "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1",
    "Root=1-;;;=;Parent",
    "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-d",
    '{"x-datadog-trace-id": "18446744073709551615", "x-datadog-parent-id": "1"}',
    '{"_hoptrace": {"traceparent": 7}}',
    '{"Type": "Notification", "TopicArn": "t", "Message": "{\\"detail-type\\": 1}"}',
    '{"detail-type": "a", "source": "b", "detail": {"_hoptrace": []}}',
    '{"Records": [{"eventSource": "aws:sqs", "body": "{}"}]}',
    "2026-13-45T99:99:99Z",
    "2026-11-23T16:24:05.123Z",
    "99999999999999",
    base64.b64encode(b'{"_hoptrace": {}}').decode(),
    base64.b64encode(b"\x1f\x8b\x08" + bytes(20)).decode(),
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**63,
    10**40,
    float("nan"),
    float("inf"),
    1_790_000_000_123,
    [],
    {},
    [None],
    [[]],
    [{}],
    {"": None},
    {"traceparent": TRACEPARENT},
    {"stringValue": TRACEPARENT, "dataType": "String"},
    [116, -48, 300, "x", None],
)
KEYS: tuple[str, ...] = (
    "Records", "eventSource", "EventSource", "eventSourceARN", "body", "messageAttributes", "attributes", "Sns",
    "Message", "MessageAttributes", "Type", "TopicArn", "Timestamp", "kinesis", "data", "dynamodb", "Keys", "NewImage",
    "s3", "object", "key", "records", "headers", "value", "messages", "rmqMessagesByQueue", "basicProperties",
    "awslogs", "deliveryStreamArn", "requestContext", "responseContext", "requestPayload", "condition", "functionArn",
    "detail-type", "source", "detail", "time", "resources", "replay-name", "type", "methodArn", "routeArn",
    "connectionId", "eventType", "elb", "http", "version", "httpMethod", "resource", "multiValueHeaders",
    "queryStringParameters", "multiValueQueryStringParameters", "info", "request", "triggerSource", "userPoolId",
    "Execution", "State", "StateMachine", "Task", "_hoptrace", "_datadog", "traceparent", "tracestate", "baggage", "b3",
    "x-b3-traceid", "X-Amzn-Trace-Id", "AWSTraceHeader", "stringValue", "binaryValue", "Value", "sent", "via",
    "clientId",
)  # fmt: skip
PROPAGATORS = (
    "",
    "none",
    "tracecontext",
    "xray",
    "b3",
    "b3multi",
    "datadog",
    "tracecontext,baggage,xray,b3,b3multi,datadog",
    "datadog,xray",
)


def cases(seed: int, count: int) -> Iterator[tuple[Any, Any]]:
    """So many events, each with the handler's second argument."""
    chance = random.Random(seed)
    for _ in range(count):
        event = _event(chance)
        for _ in range(chance.choice((0, 1, 1, 2, 4))):
            event = _hurt(event, chance)
        if chance.random() < 0.3:
            event = _wrapped(event, chance)
        yield event, _context(chance)


def _event(chance: random.Random) -> Any:
    kind = chance.random()
    if kind < 0.75:
        return copy.deepcopy(chance.choice(GOLDEN))
    if kind < 0.95:
        return _anything(chance, 4)
    return _nest(chance)


def _anything(chance: random.Random, depth: int) -> Any:
    kind = chance.random()
    if depth == 0 or kind < 0.3:
        return chance.choice(TEXTS) if chance.random() < 0.5 else copy.deepcopy(chance.choice(VALUES))
    if kind < 0.5:
        return [_anything(chance, depth - 1) for _ in range(chance.randrange(4))]
    return {chance.choice(KEYS): _anything(chance, depth - 1) for _ in range(chance.randrange(6))}


def _nest(chance: random.Random) -> Any:
    value = _anything(chance, 1)
    keys = chance.sample(KEYS, 3)
    for _ in range(chance.choice((10, 100, 400))):
        value = [value] if chance.random() < 0.3 else {chance.choice(keys): value}
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every holder and key inside, without going down more than some levels."""
    found = []
    left = [(value, 0)]
    while left:
        holder, depth = left.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        for key in keys:
            found.append((holder, key))
            if depth < 12:
                left.append((holder[key], depth + 1))
    return found


def _hurt(event: Any, chance: random.Random) -> Any:
    places = _places(event)
    if not places:
        return _anything(chance, 2)
    holder, key = chance.choice(places)
    value = holder[key]
    way = chance.randrange(8)
    if way == 0:
        del holder[key]
    elif way == 1:
        holder[key] = copy.deepcopy(chance.choice(VALUES))
    elif way == 2:
        holder[key] = chance.choice(TEXTS)
    elif way == 3:
        other, name = chance.choice(places)
        holder[key] = copy.deepcopy(other[name])
    elif way == 4 and isinstance(value, str):
        holder[key] = _inside(value, chance)
    elif way == 5 and isinstance(holder, dict):
        holder[chance.choice(KEYS)] = _anything(chance, 2)
    elif way == 6:
        holder[key] = copy.deepcopy(chance.choice(GOLDEN))
    else:
        holder[key] = [value] if chance.random() < 0.5 else {chance.choice(KEYS): value}
    return event


def _inside(text: str, chance: random.Random) -> str:
    """Hurt the JSON that a text spells, or its base64; or cut the text."""
    for decode, encode in ((str, str), (_from_base64, _to_base64)):
        try:
            inner = json.loads(decode(text))
            return encode(json.dumps(_hurt(inner, chance)))
        except (ValueError, TypeError):
            continue
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(TEXTS) + text[at + chance.randrange(3) :]


def _from_base64(text: str) -> str:
    return base64.b64decode(text, validate=True).decode()


def _to_base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()


def _wrapped(event: Any, chance: random.Random) -> Any:
    """Put an event into the text or the data of another, as services do, once or often."""
    for _ in range(chance.choice((1, 1, 2, 3, 12))):
        text = json.dumps(event)
        if len(text) > 200_000:
            break
        event = chance.choice(
            (
                {"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": text, "attributes": {}}]},
                {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": text, "TopicArn": "a:b"}}]},
                {"Type": "Notification", "TopicArn": "a:b", "Message": text},
                {"detail-type": "t", "source": "s", "detail": event},
                {"Records": [{"eventSource": "aws:kinesis", "kinesis": {"data": _to_base64(text)}}]},
                {"requestContext": {"functionArn": "f", "condition": "Success"}, "requestPayload": event},
                [{"eventSource": "aws:sqs", "body": text}],
                {"awslogs": {"data": _to_base64(text)}},
            )
        )
    return event


def _context(chance: random.Random) -> Any:
    """What Lambda passes beside the event, or something else."""
    kind = chance.random()
    if kind < 0.6:
        return None
    custom = _anything(chance, 2)
    w3c = _anything(chance, 1)
    client = SimpleNamespace(custom=custom, env=None, client=None)
    if kind < 0.8:
        return SimpleNamespace(client_context=client, aws_request_id=chance.choice(TEXTS))
    if kind < 0.95:
        return SimpleNamespace(client_context=client, w3c=lambda: w3c)
    return chance.choice((7, "x", [], object(), SimpleNamespace(client_context=7, w3c=7)))
