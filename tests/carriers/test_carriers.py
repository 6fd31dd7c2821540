"""What inject writes, extract reads; the user's call keeps its meaning, its bytes and its objects."""

import base64
import copy
import json
from types import SimpleNamespace
from typing import Any

import pytest
from awslambdaric.lambda_context import LambdaContext
from hypothesis import given, settings
from hypothesis import strategies as st

from hoptrace.carriers import client_context, eventbridge, sns, sqs
from hoptrace.carriers.headers import extract_headers, extract_headers_root
from hoptrace.carriers.reserved import extract_reserved
from hoptrace.jsontext import set_member
from hoptrace.shape import Shape
from hoptrace.spans.context import SpanContext, format_traceparent

hexes = "0123456789abcdef"
contexts = st.builds(
    SpanContext,
    st.text(hexes, min_size=32, max_size=32).filter(lambda text: text.strip("0")),
    st.text(hexes, min_size=16, max_size=16).filter(lambda text: text.strip("0")),
    st.integers(0, 3),
    st.sampled_from(["", "vendor=1", "a=1,b=2"]),
    st.just(True),
)
CONTEXT = SpanContext("a" * 32, "b" * 16, 1, "vendor=1", remote=True)
BARE = SpanContext("a" * 32, "b" * 16, 1, "", remote=True)
STRING = {"DataType": "String", "StringValue": "v"}

names = st.text("abcdefghij", min_size=1, max_size=6)
attribute_sets = st.dictionaries(names, st.just(STRING), max_size=12)


def received_from_sqs(entry: dict[str, Any]) -> Shape:
    """The record that Lambda gets of what was sent."""
    return Shape(
        {
            "messageAttributes": {
                name: {"stringValue": value["StringValue"], "dataType": value["DataType"]}
                for name, value in entry.get("MessageAttributes", {}).items()
            },
            "attributes": {
                name: value["StringValue"] for name, value in entry.get("MessageSystemAttributes", {}).items()
            },
        }
    )


@given(contexts, attribute_sets, st.text(max_size=50))
@settings(deadline=None)
def test_sqs_brings_back_what_was_sent_and_never_more_than_ten_attributes(
    context: SpanContext, attributes: dict[str, Any], body: str
) -> None:
    entry = {"MessageBody": body, "MessageAttributes": attributes}
    before = copy.deepcopy(entry)
    sent = sqs.inject_entry(entry, context)

    assert entry == before
    assert sent is not entry
    assert {name: sent["MessageAttributes"][name] for name in attributes} == attributes
    assert sent["MessageBody"] == body
    assert len(sent["MessageAttributes"]) <= max(10, len(attributes))
    record = received_from_sqs(sent)
    bare = SpanContext(context.trace_id, context.span_id, context.flags, "", remote=True)
    if len(attributes) <= 8:
        assert sqs.extract_attributes(record) == context
    elif len(attributes) == 9:
        assert sqs.extract_attributes(record) == bare
    else:
        assert sqs.extract_attributes(record) is None
        bare.flags &= 1
        assert sqs.extract_trace_header(record) == (bare if bare.sampled else None)
        assert sqs.extract_trace_header_root(record) == context.trace_id


def test_a_binary_traceparent_is_read_too() -> None:
    """SNS delivers a Binary attribute raw as Binary."""
    value = base64.b64encode(format_traceparent(BARE).encode()).decode()
    record = Shape({"messageAttributes": {"traceparent": {"binaryValue": value, "dataType": "Binary"}}})
    assert sqs.extract_attributes(record) == BARE
    assert (
        sns.extract_message(Shape({"MessageAttributes": {"traceparent": {"Type": "Binary", "Value": value}}})) == BARE
    )


@pytest.mark.parametrize("size", [sqs.SQS_BYTES, sqs.SQS_BYTES - 50])
def test_a_message_without_spare_bytes_carries_the_free_trace_header(size: int) -> None:
    entry = {"MessageBody": "x" * size}
    sent = sqs.inject_entry(entry, CONTEXT, "Root=1-00000000-000000000000000000000000;Lineage=1:e5:0")
    assert "MessageAttributes" not in sent
    header = sent["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"]
    assert header == f"Root=1-{'a' * 8}-{'a' * 24};Parent={'b' * 16};Sampled=1;Lineage=1:e5:0"


def test_bytes_are_counted_not_characters() -> None:
    fits = {"MessageBody": "x" * 700_000}
    too_long = {"MessageBody": "ä" * 524_288}
    assert "MessageAttributes" in sqs.inject_entry(fits, CONTEXT)
    assert "MessageAttributes" not in sqs.inject_entry(too_long, CONTEXT)


def test_the_last_byte_is_used_and_none_more() -> None:
    """traceparent + String + 55 bytes = 72."""
    assert "MessageAttributes" in sqs.inject_entry({"MessageBody": "x" * (sqs.SQS_BYTES - 72)}, BARE)
    assert "MessageAttributes" not in sqs.inject_entry({"MessageBody": "x" * (sqs.SQS_BYTES - 71)}, BARE)


ODD_ENTRIES: list[Any] = [
    None,
    7,
    [],
    "text",
    {"MessageAttributes": 5},
    {"MessageAttributes": {"traceparent": STRING}},
    {"MessageAttributes": {f"a{n}": STRING for n in range(10)}, "MessageSystemAttributes": {"AWSTraceHeader": STRING}},
    {"MessageAttributes": {f"a{n}": STRING for n in range(11)}, "MessageSystemAttributes": 5},
]


@pytest.mark.parametrize("entry", ODD_ENTRIES)
def test_an_entry_that_cannot_take_a_context_comes_back_as_the_same_object(entry: Any) -> None:
    assert sqs.inject_entry(entry, CONTEXT) is entry
    assert sns.inject_entry(entry, CONTEXT) is entry
    entries = [entry]
    assert sqs.inject_batch(entries, lambda _: CONTEXT) is entries
    assert sns.inject_batch(entries, lambda _: CONTEXT) is entries
    assert sqs.inject_batch(entry, lambda _: CONTEXT) is entry or isinstance(entry, list)


def test_a_batch_is_counted_as_a_whole_and_each_entry_gets_its_own_context() -> None:
    other = SpanContext("c" * 32, "d" * 16)
    entries = [
        {"Id": "1", "MessageBody": "x" * 500_000},
        {"Id": "2", "MessageBody": "x" * (sqs.SQS_BYTES - 500_100)},
    ]
    sent = sqs.inject_batch(entries, lambda index: (BARE, other)[index])
    assert sqs.extract_attributes(received_from_sqs(dict(sent[0]))) == BARE
    found = sqs.extract_trace_header(received_from_sqs(dict(sent[1])))
    assert found is not None
    assert found.trace_id == other.trace_id
    assert all("MessageAttributes" not in entry for entry in entries)


def test_an_entry_without_a_context_is_left_alone_in_a_batch() -> None:
    entries = [{"Id": "1", "MessageBody": "x"}, {"Id": "2", "MessageBody": "x"}]
    sent = sqs.inject_batch(entries, lambda index: CONTEXT if index else None)
    assert sent[0] is entries[0]
    assert sent[1] is not entries[1]


@given(contexts, st.dictionaries(names, st.just(STRING), max_size=11))
@settings(deadline=None)
def test_sns_brings_back_what_was_published(context: SpanContext, attributes: dict[str, Any]) -> None:
    entry = {"Message": "m", "MessageAttributes": attributes}
    before = copy.deepcopy(entry)
    sent = sns.inject_entry(entry, context)
    assert entry == before
    message = Shape(
        {
            "MessageAttributes": {
                name: {"Type": value["DataType"], "Value": value["StringValue"]}
                for name, value in sent["MessageAttributes"].items()
            }
        }
    )
    assert len(sent["MessageAttributes"]) <= max(10, len(attributes))
    if len(attributes) >= 10:
        assert sent is entry
    else:
        found = sns.extract_message(message)
        assert found is not None
        assert (found.trace_id, found.span_id, found.flags) == (context.trace_id, context.span_id, context.flags)
        assert found.trace_state == (context.trace_state if len(attributes) <= 8 else "")


def test_sns_takes_nothing_over_256_kib_or_to_a_telephone() -> None:
    long = {"TopicArn": "t", "Message": "x" * (sns.SNS_BYTES - 71)}
    assert sns.inject_entry(long, BARE) is long
    text = {"PhoneNumber": "+4912345", "Message": "x"}
    assert sns.inject_entry(text, BARE) is text
    fits = {"TopicArn": "t", "Message": "x" * (sns.SNS_BYTES - 72)}
    assert sns.inject_entry(fits, BARE) is not fits


json_objects = st.dictionaries(
    st.text(max_size=8),
    st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x, max_size=3)),
    max_size=5,
)
spaces = st.text(" \t\r\n", max_size=3)


@given(contexts, json_objects, spaces, spaces, st.sampled_from([None, 0, 2]))
@settings(deadline=None)
def test_a_detail_keeps_every_member_and_gains_one(
    context: SpanContext, detail: dict[str, Any], before: str, after: str, indent: int | None
) -> None:
    text = before + json.dumps(detail, indent=indent) + after
    entry = {"Source": "s", "DetailType": "d", "Detail": text}
    sent = eventbridge.inject_entry(entry, context, 1_790_000_000_123)
    assert entry["Detail"] == text
    longer = json.loads(sent["Detail"])
    assert eventbridge.extract_event(Shape({"detail": longer})) == context
    assert longer.pop("_hoptrace")["sent"] == 1_790_000_000_123
    assert longer == detail
    # Nothing but the new member was put in.
    end = text.rindex("}")
    assert sent["Detail"].startswith(text[:end])
    assert sent["Detail"].endswith(text[end:])
    assert sent["TraceHeader"].startswith(f"Root=1-{context.trace_id[:8]}-")


@given(st.text('{}[]",:\\ab1 ', max_size=14).map(lambda text: "{" + text + "}"))
@settings(max_examples=1500, deadline=None)
def test_a_detail_is_valid_json_after_exactly_when_it_was_before(text: str) -> None:
    sent = set_member(text, "_hoptrace", '{"traceparent":"x"}', "traceparent")
    assert sent is not None
    assert is_json(sent) == is_json(text)


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("detail", ["", " ", "[]", "null", "7", '"x"', "{", "}", None, 7, {}, "x{}", "{}x"])
def test_a_detail_that_is_no_object_stays_as_it_is(detail: Any) -> None:
    entry = {"Source": "s", "DetailType": "d", "Detail": detail, "TraceHeader": "Root=mine"}
    assert eventbridge.inject_entry(entry, CONTEXT, 1) is entry


def test_an_event_that_is_sent_on_gets_this_functions_context_in_place_of_the_old_one() -> None:
    first = eventbridge.inject_entry({"Detail": '{"a": 1}'}, SpanContext("c" * 32, "d" * 16), 1)["Detail"]
    # The usual way of sending on: parsed by the runtime, one key changed, written anew.
    received = json.loads(first)
    received["b"] = 2
    sent = eventbridge.inject_entry({"Detail": json.dumps(received)}, BARE, 2)["Detail"]
    assert json.loads(sent) == {"a": 1, "_hoptrace": {"traceparent": format_traceparent(BARE), "sent": 2}, "b": 2}


@pytest.mark.parametrize(
    "theirs", ['{"_hoptrace": 5}', '{"_hoptrace": {"mine": 1}}', '{"a":{"_hoptrace":1},"_hoptrace":{}}']
)
def test_a_reserved_key_that_is_not_ours_is_left_alone(theirs: str) -> None:
    entry = {"Detail": theirs, "TraceHeader": "Root=mine"}
    assert eventbridge.inject_entry(entry, CONTEXT, 1) is entry


def test_a_whole_event_inside_a_detail_keeps_its_own_context() -> None:
    inner = eventbridge.inject_entry({"Detail": "{}"}, SpanContext("c" * 32, "d" * 16), 1)["Detail"]
    sent = eventbridge.inject_entry({"Detail": json.dumps({"original": json.loads(inner)})}, BARE, 2)["Detail"]
    assert json.loads(sent)["original"] == json.loads(inner)
    assert extract_reserved(Shape(json.loads(sent))) == BARE


def test_an_event_near_one_megabyte_gets_the_trace_header_only() -> None:
    """14 bytes for Time, and source, type, detail and resources by their length."""
    added = len(eventbridge.inject_entry({"Detail": "{}"}, BARE, 1)["Detail"]) - 2 + 1  # and a comma
    rest = {"Time": 1, "Source": "abc", "DetailType": "def", "Resources": ["12345"]}
    spare = eventbridge.EVENTBRIDGE_BYTES - 14 - 3 - 3 - 5 - added
    fits = {**rest, "Detail": '{"a":"' + "x" * (spare - 8) + '"}'}
    assert len(fits["Detail"]) == spare
    assert eventbridge.inject_entry(fits, BARE, 1)["Detail"] != fits["Detail"]
    full = {**rest, "Detail": '{"a":"' + "x" * (spare - 7) + '"}'}
    sent = eventbridge.inject_entry(full, BARE, 1)
    assert sent["Detail"] is full["Detail"]
    assert "TraceHeader" in sent


def test_switching_the_reserved_key_off_leaves_the_detail_alone() -> None:
    sent = eventbridge.inject_entry({"Detail": "{}"}, BARE, 1, detail=False)
    assert sent["Detail"] == "{}"
    assert "TraceHeader" in sent


def test_an_alert_carries_a_plain_traceparent_in_its_detail() -> None:
    assert eventbridge.extract_event(Shape({"detail": {"traceparent": format_traceparent(BARE)}})) == BARE


# --- the client context


def lambda_context(encoded: str | None) -> LambdaContext:
    document = json.loads(base64.b64decode(encoded)) if encoded else None
    return LambdaContext("id", document, None, 0)


@given(contexts, st.none() | st.dictionaries(names, st.integers() | st.text(), max_size=4))
@settings(deadline=None)
def test_the_runtime_client_gives_the_function_what_the_caller_put_in(
    context: SpanContext, custom: dict[str, Any] | None
) -> None:
    theirs = None if custom is None else base64.b64encode(json.dumps({"custom": custom}).encode()).decode()
    sent = client_context.inject_client_context(theirs, context)
    received = lambda_context(sent)
    assert client_context.extract_client_context(received) == context
    older = SimpleNamespace(client_context=received.client_context)
    assert client_context.extract_client_context(older) == context
    assert {name: received.client_context.custom[name] for name in custom or {}} == (custom or {})


@pytest.mark.parametrize(
    "encoded",
    [
        "!!!",
        base64.b64encode(b"not json").decode(),
        base64.b64encode(b"[1]").decode(),
        base64.b64encode(b'{"custom":[1]}').decode(),
        base64.b64encode(b'{"custom":{"traceparent":"mine"}}').decode(),
        base64.b64encode(b'{"env":{"n":1e999}}').decode(),
        base64.b64encode(json.dumps({"custom": {"x": "y" * 2_600}}).encode()).decode(),
        base64.b64encode(b"[" * 50_000).decode(),
        7,
    ],
)
def test_a_client_context_that_cannot_take_one_more_is_left_as_it_is(encoded: Any) -> None:
    assert client_context.inject_client_context(encoded, CONTEXT) is encoded


def test_a_client_context_never_exceeds_its_limit() -> None:
    for size in range(2_300, 2_700, 7):
        encoded = base64.b64encode(json.dumps({"custom": {"x": "y" * size}}).encode()).decode()
        sent = client_context.inject_client_context(encoded, CONTEXT)
        assert sent is encoded or len(sent or "") <= 3_583


def test_headers_carry_the_context_whatever_their_case() -> None:
    headers = Shape({"Traceparent": format_traceparent(CONTEXT), "TraceState": "vendor=1"})
    assert extract_headers(headers) == CONTEXT
    assert extract_headers_root(Shape({"X-Amzn-Trace-Id": f"Root=1-{'a' * 8}-{'a' * 24}"})) == "a" * 32
