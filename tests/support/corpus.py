"""Events that a function may be woken with: real ones, real ones with a wrong part, and ones nobody should send."""

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EVENTS = Path(__file__).resolve().parents[1] / "data" / "events"

HOSTILE: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**40,
    "",
    "text",
    "\ud800",
    "\x00",
    [],
    [None],
    [[]],
    {},
    {"Records": None},
    {"Records": []},
    {"Records": {}},
    {"Records": [None]},
    {"Records": ["text", 1, {}]},
    {"Records": [{"eventSource": None}]},
    {"Records": [{"eventSource": "aws:sqs"}]},
    {"Records": [{"eventSource": "aws:sqs", "body": None, "messageAttributes": None, "attributes": None}]},
    {"Records": [{"eventSource": "aws:sqs", "body": "{", "messageAttributes": {"traceparent": None}}]},
    {"Records": [{"eventSource": "aws:sqs", "messageAttributes": {"traceparent": {"stringValue": "garbage"}}}]},
    {"Records": [{"EventSource": "aws:sns", "Sns": None}]},
    {"Records": [{"EventSource": "aws:sns", "Sns": {"MessageAttributes": [], "Timestamp": {}}}]},
    {"httpMethod": "GET", "headers": None},
    {"httpMethod": None, "headers": [], "requestContext": None},
    {"httpMethod": "GET", "headers": {"traceparent": 7}, "requestContext": {"requestTimeEpoch": "soon"}},
    {"requestContext": None},
    {"requestContext": {"elb": None}},
    {"requestContext": {"http": None}, "version": "2.0"},
    {"version": "2.0", "requestContext": {"http": {"method": []}, "timeEpoch": -(10**30)}, "headers": {"a": None}},
    {"detail-type": None, "source": None, "detail": None},
    {"detail-type": "x", "source": "y", "detail": "text", "time": "never"},
    {"detail-type": "x", "source": "y", "detail": {"_hoptrace": []}, "time": 1},
    {"detail-type": "x", "source": "y", "detail": {"_hoptrace": {"traceparent": "00-0-0-00", "sent": "x"}}},
    {"statusCode": "200"},
    {"x": "y" * 6_000_000},
    {"nested": None},
]


def _nested(depth: int) -> Any:
    value: Any = "bottom"
    for level in range(depth):
        value = {"detail": value} if level % 2 else [value]
    return value


HOSTILE += [_nested(50), _nested(400), {"Records": _nested(200)}, {"detail": _nested(300), "source": "s"}]

RAW: list[bytes] = [
    b"\xff\xfe",
    b'{"a": "\xc3\x28"}',
    b"{",
    b"",
    b"NaN",
    b'{"a": Infinity}',
    b'{"a": 1, "a": 2}',
    b"[1,]",
]
"""Bodies that are not good JSON or not UTF-8."""


def real() -> list[Any]:
    """Every recorded and generated event in the test data."""
    return [json.loads(path.read_text("utf-8")) for path in sorted(EVENTS.rglob("*.json"))]


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if len(path) < 5:
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in items:
            yield (*path, key)
            yield from _paths(inner, (*path, key))


def broken(count: int, seed: int = 7) -> list[Any]:
    """Real events with one part replaced by something that does not belong there."""
    chosen = random.Random(seed)
    events = [event for event in real() if isinstance(event, dict)]
    wrong = [None, [], {}, "", "text", 0, -1, True, [None], {"a": None}]
    found = []
    while len(found) < count:
        event = copy.deepcopy(chosen.choice(events))
        path = chosen.choice(list(_paths(event)))
        holder = event
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = chosen.choice(wrong)
        found.append(event)
    return found


def bodies() -> list[bytes]:
    """Everything, as it goes over the wire."""
    events = [*HOSTILE, *real(), *broken(150)]
    return [*(json.dumps(event).encode() for event in events), *RAW]
