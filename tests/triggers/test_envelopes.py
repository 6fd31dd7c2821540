"""Envelopes: what wraps what is found at any sensible depth, and no text makes the function wait."""

import copy
import json
import random
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from golden import EXPECTED, load
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scenarios import PRODUCER, SECOND
from wrapping import AROUND, NOON_MS, carried, detail, in_destination, in_event, in_notification, message, only, sqs

from hoptrace.triggers import identify
from hoptrace.triggers.envelopes import UNREAD


@given(st.lists(st.sampled_from(sorted(AROUND)), max_size=6))
@settings(max_examples=300, deadline=None)
def test_whatever_wraps_whatever_the_producer_and_the_way_are_found(kinds: list[str]) -> None:
    """Six around one another, in a queue; what a failed function was woken by was drawn by that function."""
    inner: Any = detail()
    systems: list[str] = []
    for step, kind in enumerate(kinds):
        around, hops = AROUND[kind]
        # A detail is always an object.
        assume(kind != "event" or isinstance(inner, dict))
        inner = around(inner, NOON_MS + 1_000 * step + 1)
        systems = hops if kind == "destination" else [*systems, *hops]
    event = sqs(message(json.dumps(inner), NOON_MS + 60_000))
    before = copy.deepcopy(event)
    record = only(event)
    assert record.context == PRODUCER
    assert [hop.system for hop in record.hops] == [*systems, "aws_sqs"]
    assert all(one.end_ns == other.start_ns for one, other in zip(record.hops, record.hops[1:], strict=False))
    assert all(one.start_ns <= other.start_ns for one, other in zip(record.hops, record.hops[1:], strict=False))
    assert UNREAD not in record.attributes
    assert event == before


def test_what_is_nested_deeper_than_anybody_nests_stays_closed_and_says_so() -> None:
    inner: Any = detail()
    for step in range(9):
        inner = in_destination(inner, NOON_MS + step)
    record = only(sqs(message(json.dumps(inner))))
    assert record.context is None
    assert record.attributes[UNREAD] is True
    assert record.attributes["hoptrace.origin.invocation_id"] == "r-1"


def test_what_is_too_large_stays_closed_and_says_so() -> None:
    large = sqs(message(json.dumps(in_event(detail(fill="x" * 2_200_000), NOON_MS))))
    assert only(large).attributes[UNREAD] is True
    assert only(large).context is None


def test_a_users_own_text_is_not_said_to_be_unread() -> None:
    assert UNREAD not in only(sqs(message(json.dumps({"order": "x" * 3_000_000})))).attributes


def test_a_batch_of_one_trace_in_a_message_has_one_producer_and_one_of_several_has_links() -> None:
    mine, also = carried(PRODUCER), carried(SECOND)
    same = only(in_destination(sqs(message("a", attributes=mine), message("b", attributes=mine)), NOON_MS))
    assert (same.context, same.links) == (PRODUCER, [])
    several = only(in_destination(sqs(message("a", attributes=mine), message("b", attributes=also)), NOON_MS))
    assert several.context is None
    assert [context for context, _ in several.links] == [PRODUCER, SECOND]


def test_a_batch_that_was_sent_on_as_it_was_has_its_producer_and_nothing_of_its_way() -> None:
    record = only(sqs(message(json.dumps(sqs(message("x" * 10_000, attributes=carried(PRODUCER)))), NOON_MS + 5_000)))
    assert record.context == PRODUCER
    assert [(hop.name, hop.start_ns // 10**6 - NOON_MS) for hop in record.hops] == [("SQS orders", 5_000)]


def test_a_message_without_a_producer_in_a_message_leaves_its_pointer() -> None:
    (record,) = identify(in_destination(sqs(message("a")), NOON_MS)).records
    assert record.pointers == [("aws_sqs", "m-1")]


def test_what_another_function_was_called_with_says_nothing_of_this_one_but_the_producer() -> None:
    inner = load("recorded/function_url.json")
    record = only(in_destination(inner, NOON_MS))
    assert record.context == PRODUCER
    assert [hop.name for hop in record.hops] == ["Lambda destination of worker"]
    assert not [key for key in record.attributes if key.startswith(("http.", "url.", "user_agent"))]


def hostile(kind: str) -> str:
    """2 MiB of text, each made to cost in its own way."""
    size = 2 * 1024 * 1024
    if kind == "objects":
        inner: Any = {"fill": "y" * 100}
        for step in range(40):
            inner = in_destination(inner, NOON_MS + step)
        return json.dumps(in_event({"many": [inner] * (size // len(json.dumps(inner)) - 2)}, NOON_MS))
    if kind == "texts":
        # Each level doubles the escapes of the one inside.
        inner = {"fill": '"' * 15_000}
        for step in range(6):
            inner = in_notification(inner, NOON_MS + step)
        return json.dumps(inner)
    if kind == "tells":
        words = '"detail-type" "TopicArn" "Records" "_hoptrace" "StateMachine" '
        return json.dumps({"Records": words * (size // (len(words) + 14))})
    if kind in ("records", "pipe", "objects of a bucket"):
        one = load("recorded/s3.json")["Records"][0] if kind == "objects of a bucket" else message("{}")
        many = [one] * (size // (len(json.dumps(one)) + 2) - 10)
        return json.dumps(many if kind == "pipe" else {"Records": many})
    if kind == "wide":
        return json.dumps({"Execution": 1, "StateMachine": 2, **{f"k{index}": {} for index in range(size // 16)}})
    return json.dumps({"detail-type": "d", "source": "s", "detail": {"_hoptrace": {}, "fill": "x" * (size - 200)}})


@pytest.mark.parametrize(
    "kind", ["objects", "texts", "tells", "records", "pipe", "objects of a bucket", "wide", "fill"]
)
def test_two_megabytes_of_hostile_nesting_cost_no_more_than_parsing_them_a_few_times(kind: str) -> None:
    text = hostile(kind)
    assert len(text) > 200_000
    event = sqs(message(text))

    def took(call: Callable[[], Any]) -> float:
        begun = time.process_time()
        call()
        return time.process_time() - begun

    parse = min(took(lambda: json.loads(text)) for _ in range(5))
    read = min(took(lambda: identify(event)) for _ in range(5))
    # As it is parsed once, what is beyond that is what our reading adds.
    assert read < 3 * parse + 0.01, (kind, read, parse)


@given(st.randoms(use_true_random=False), st.sampled_from(sorted(EXPECTED)), st.integers(1, 10))
@settings(max_examples=150, deadline=None)
def test_any_golden_event_nested_at_random_is_read_without_a_change(
    chance: random.Random, file: str, depth: int
) -> None:
    inner = load(file)
    for step in range(depth):
        inner = AROUND[chance.choice(sorted(AROUND))][0](inner, NOON_MS + step)
    event = sqs(message(json.dumps(inner)))
    before = copy.deepcopy(event)
    arrival = identify(event, SimpleNamespace(client_context=None))
    assert arrival.name == "sqs"
    assert event == before
    assert all(hop.end_ns is None or hop.start_ns <= hop.end_ns for hop in arrival.records[0].hops)
