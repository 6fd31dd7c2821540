"""`identify` answers for everything: arbitrary JSON, golden events with pieces torn out, objects that fight back."""

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from golden import EXPECTED, load
from hypothesis import given, settings
from hypothesis import strategies as st

from hoptrace.triggers import Arrival, identify

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
# Arrays under the keys that the table looks at are likelier to hurt than random words.
telling = st.sampled_from(
    [
        "Records",
        "requestContext",
        "headers",
        "version",
        "detail",
        "detail-type",
        "source",
        "httpMethod",
        "resource",
        "Sns",
    ]
)
telling_events = st.dictionaries(telling, json_values, max_size=6)
replacements = st.sampled_from(
    [None, True, 0, -1, 2**70, float("nan"), float("inf"), "", "x", "\ud800", "1" * 5000, [], {}, [None], {"": None}]
)


def check(event: Any) -> Arrival:
    arrival = identify(event)
    assert type(arrival) is Arrival
    for record in arrival.records:
        assert all(hop.start_ns <= hop.times(hop.start_ns)[1] for hop in record.hops)
        assert all(before.end_ns == after.start_ns for before, after in zip(record.hops, record.hops[1:], strict=False))
        assert all(hop.end_ns is None or hop.start_ns <= hop.end_ns for hop in record.hops)
        assert (record.context is None) == (record.carrier == "")
    for attributes in [arrival.attributes, *(record.attributes for record in arrival.records)]:
        assert all(isinstance(value, (str, int, float, bool)) for value in attributes.values())
    return arrival


@given(json_values | telling_events)
@settings(max_examples=400, deadline=None)
def test_any_json_gives_an_arrival(event: Any) -> None:
    check(event)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


def replaced(event: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    event = copy.deepcopy(event)
    target = event
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return event


@pytest.mark.parametrize("file", EXPECTED)
@given(st.randoms(use_true_random=False), replacements)
@settings(max_examples=40, deadline=None)
def test_a_golden_event_with_any_value_replaced_gives_an_arrival(file: str, chance: random.Random, value: Any) -> None:
    event = load(file)
    check(replaced(event, chance.choice(places(event)), value))


@pytest.mark.parametrize("file", [file for file in EXPECTED if "_in_s" in file and "Records" in load(file)])
@given(st.randoms(use_true_random=False), replacements)
@settings(max_examples=40, deadline=None)
def test_an_envelope_with_any_value_replaced_gives_an_arrival(file: str, chance: random.Random, value: Any) -> None:
    event = load(file)
    record = event["Records"][0]
    holder, key = (record, "body") if "body" in record else (record["Sns"], "Message")
    if not holder[key].startswith("{"):
        return
    envelope = json.loads(holder[key])
    holder[key] = json.dumps(replaced(envelope, chance.choice(places(envelope)), value))
    check(event)


class Fighting(dict[str, Any]):
    """A dict whose every overridable method raises."""

    def _raise(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("no")

    __getitem__ = get = items = keys = __contains__ = __iter__ = __len__ = __missing__ = _raise  # type: ignore[assignment]


class Masked:
    """An object that raises when asked what it is."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("no")


class BadKey(str):
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    __hash__ = str.__hash__


def nested(depth: int, inner: Any = None) -> Any:
    for _ in range(depth):
        inner = {"Records": [inner], "detail": inner, "requestContext": inner}
    return inner


# Made inside the tests: pytest asks every parameter what it is, and these would tell it off.
FIGHTERS: "dict[str, Callable[[], Any]]" = {
    "messages": lambda: Fighting(Records=[Fighting(eventSource="aws:sqs", body="x")]),
    "request": lambda: Fighting(requestContext=Fighting(http={}), version="2.0", headers=Fighting(traceparent="x")),
    "masked": Masked,
    "masked record": lambda: {"Records": [Masked()]},
    "masked values": lambda: {"Records": Masked(), "detail": Masked(), "detail-type": "x", "source": Masked()},
    "keys": lambda: {BadKey("Records"): 1, BadKey("version"): 2, BadKey("headers"): 3},
    "deep": lambda: nested(20_000),
    "object": object,
    "bytes": lambda: b"bytes",
    "function": lambda: nested,
    "deep array in a body": lambda: of_sqs("{" + "[" * 100_000 + '"TopicArn"'),
    "deep object in a body": lambda: of_sqs('{"TopicArn":' + '{"a":' * 100_000),
    "other records": lambda: {"Records": [{"eventSource": "aws:sqs"}, None, 7, "x", [], {"body": {}}]},
    "tuple": lambda: {"Records": ({"eventSource": "aws:sqs"},)},
}


def of_sqs(body: str) -> Any:
    return {"Records": [{"eventSource": "aws:sqs", "body": body}]}


@pytest.mark.parametrize("name", FIGHTERS)
def test_objects_that_fight_back_give_an_arrival(name: str) -> None:
    check(FIGHTERS[name]())


class FightingContext:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.mark.parametrize("context", [lambda: None, lambda: 7, lambda: "x", FightingContext, Masked, object])
def test_a_context_that_fights_back_gives_an_arrival(context: "Callable[[], Any]") -> None:
    assert identify({"a": 1}, context()).name == "other"
    assert identify(load("recorded/sqs.json"), context()).name == "sqs"
    assert identify(load("recorded/sns.json"), context()).records[0].context is not None
