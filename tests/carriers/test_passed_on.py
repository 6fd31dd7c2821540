"""What a function sends on with the context that it came with: in the same trace, whoever sends it on is the parent."""

import base64
import json
from typing import Any

import pytest

from hoptrace import propagation
from hoptrace.carriers import client_context, sns, sqs
from hoptrace.shape import Shape
from hoptrace.spans.context import SpanContext, format_traceparent

UPSTREAM = SpanContext("a" * 32, "1" * 16, trace_state="up=1", baggage="tenant=7")
HERE = SpanContext("a" * 32, "2" * 16, trace_state="up=1", baggage="tenant=7")
ELSEWHERE = SpanContext("b" * 32, "3" * 16)


@pytest.fixture(autouse=True)
def _nothing_arrived() -> None:
    propagation._arrived[:] = [set(), set()]


def received(message: Any) -> None:
    found = message["MessageAttributes"]
    shown = {name: {"stringValue": each["StringValue"], "dataType": "String"} for name, each in found.items()}
    assert sqs.extract_attributes(Shape({"messageAttributes": shown})) is not None


@pytest.mark.parametrize("inject", [sqs.inject_entry, sns.inject_entry])
@pytest.mark.parametrize("many", [0, 7])
def test_attributes_that_are_sent_on_get_the_senders_context(inject: Any, many: int) -> None:
    users = {f"a{number}": {"DataType": "String", "StringValue": "v"} for number in range(many)}
    message: Any = sqs.inject_entry({"MessageBody": "x", "MessageAttributes": users}, UPSTREAM)
    received(message)
    before = json.dumps(message)
    sent = inject({"Message": "x", **message}, HERE)["MessageAttributes"]
    assert sent["traceparent"]["StringValue"] == format_traceparent(HERE)
    assert sent["baggage"]["StringValue"] == "tenant=7"
    assert {name: sent[name] for name in users} == users
    assert len(sent) == many + 3
    assert json.dumps(message) == before


def test_baggage_that_was_changed_on_the_way_is_the_users_own() -> None:
    message: Any = sqs.inject_entry({"MessageBody": "x"}, UPSTREAM)
    received(message)
    message["MessageAttributes"]["baggage"]["StringValue"] = "tenant=8"
    sent: Any = sqs.inject_entry(message, HERE)["MessageAttributes"]
    assert sent["traceparent"]["StringValue"] == format_traceparent(HERE)
    assert sent["baggage"]["StringValue"] == "tenant=8"


@pytest.mark.parametrize("inject", [sqs.inject_entry, sns.inject_entry])
def test_in_another_trace_what_is_sent_on_keeps_its_own(inject: Any) -> None:
    message: Any = {"Message": "x", **sqs.inject_entry({"MessageBody": "x"}, UPSTREAM)}
    received(message)
    assert inject(message, ELSEWHERE) is message


@pytest.mark.parametrize("inject", [sqs.inject_entry, sns.inject_entry])
def test_a_context_that_never_came_here_is_the_users_own(inject: Any) -> None:
    message: Any = {"Message": "x", **sqs.inject_entry({"MessageBody": "x"}, UPSTREAM)}
    assert inject(message, HERE) is message


def test_a_client_context_that_is_sent_on_gets_the_callers_context() -> None:
    users = base64.b64encode(json.dumps({"custom": {"order": "1"}, "env": {"a": "b"}}).encode()).decode()
    given = client_context.inject_client_context(users, UPSTREAM)
    assert given is not None
    assert client_context.inject_client_context(given, HERE) == given
    custom = Shape(json.loads(base64.b64decode(given))["custom"])
    assert propagation.extract(custom.text) is not None
    sent = client_context.inject_client_context(given, HERE)
    assert sent is not None
    document = json.loads(base64.b64decode(sent))
    assert document["custom"]["traceparent"] == document["w3c"]["traceparent"] == format_traceparent(HERE)
    assert (document["custom"]["order"], document["env"]) == ("1", {"a": "b"})


def test_of_what_arrived_only_the_last_is_remembered() -> None:
    for number in range(1, 10_001):
        text = f"00-{'c' * 32}-{number:016x}-01"
        propagation.extract(lambda name, text=text: text if name == "traceparent" else "")  # type: ignore[misc]
    remembered = propagation._arrived[0] | propagation._arrived[1]
    assert len(remembered) <= 4_000
    assert f"{10_000:016x}" in remembered
