"""The attribute of an item, typed or native, and when a stream's record may be believed to have been written so."""

import copy
import json
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer
from hypothesis import given, settings
from hypothesis import strategies as st

from hoptrace.carriers import dynamodb, keys
from hoptrace.shape import Shape
from hoptrace.spans.context import SpanContext, format_traceparent

NOW_MS = 1_790_000_000_000
CONTEXT = SpanContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1, "vendor=1", remote=True)
BARE = SpanContext(CONTEXT.trace_id, CONTEXT.span_id, 1, "", remote=True)
NATIVE = {"traceparent": format_traceparent(CONTEXT), "tracestate": "vendor=1", "sent": NOW_MS}

decimals = st.decimals(-(10**9), 10**9, allow_nan=False, allow_infinity=False, places=4)
scalars = st.text(max_size=12) | st.integers(-(10**20), 10**20) | decimals | st.binary(max_size=12)
natives = st.recursive(
    scalars | st.none() | st.booleans() | st.sets(st.text(min_size=1, max_size=4), min_size=1, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abcdef", min_size=2, max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
items = st.builds(
    lambda key, rest: {"pk": key, **rest},
    scalars,
    st.dictionaries(st.text("ghijkl", min_size=1, max_size=5), natives, max_size=4),
)


def typed(item: dict[str, Any]) -> dict[str, Any]:
    return {name: TypeSerializer().serialize(value) for name, value in item.items()}


def record(name: str, new: Any = None, old: Any = None) -> Shape:
    change = {"Keys": {"pk": {"S": "a"}}, "NewImage": new, "OldImage": old}
    return Shape({"eventName": name, "dynamodb": {key: value for key, value in change.items() if value is not None}})


@given(items)
@settings(deadline=None)
def test_a_native_and_a_typed_item_get_the_same_attribute_and_nothing_else_changes(item: dict[str, Any]) -> None:
    before = copy.deepcopy(item)
    native = dynamodb.inject(item, CONTEXT, NOW_MS)
    assert item == before
    assert native == {**item, "_hoptrace": NATIVE}
    low = typed(item)
    before = copy.deepcopy(low)
    sent = dynamodb.inject(low, CONTEXT, NOW_MS)
    assert low == before
    # What boto3's resource would make of ours is what we write.
    assert sent == {**low, "_hoptrace": typed({"_hoptrace": NATIVE})["_hoptrace"]}
    assert TypeDeserializer().deserialize(sent["_hoptrace"])["sent"] == NOW_MS
    context, clock = dynamodb.extract_record(record("INSERT", sent))
    assert (context, clock) == (CONTEXT, NOW_MS)


@given(items)
@settings(deadline=None)
def test_both_forms_of_an_item_have_the_same_size_and_so_the_same_room(item: dict[str, Any]) -> None:
    size = dynamodb.item_size(item, typed=False)
    assert size == dynamodb.item_size(typed(item), typed=True)
    assert size < dynamodb.ITEM_BYTES


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "ü"}, 2),
        ({"B": b"\x00" * 5}, 5),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"L": []}, 3),
        ({"M": {}}, 3),
        ({"L": [{"S": "ab"}, {"BOOL": False}]}, 3 + 2 + 1 + 1 + 1),
        ({"M": {"key": {"S": "ab"}}}, 3 + 3 + 2 + 1),
        ({"SS": ["ab", "c"]}, 3 + 3 + 2),
        ({"N": "38"}, 4),
    ],
)
def test_values_are_counted_as_dynamodb_documents_and_never_below(value: Any, size: int) -> None:
    assert dynamodb.item_size({"n": value}, typed=True) == 1 + size


@pytest.mark.parametrize("form", [typed, dict])
@pytest.mark.parametrize("spare", [-1, 0])
def test_an_item_is_filled_to_its_limit_and_not_a_byte_further(form: Any, spare: int) -> None:
    ours = dynamodb.inject(form({"pk": "a"}), CONTEXT, NOW_MS)
    size = dynamodb.item_size(ours, form is typed)
    item = form({"pk": "a", "t": "x" * (dynamodb.ITEM_BYTES - size - 1 - spare)})
    sent = dynamodb.inject(item, CONTEXT, NOW_MS)
    assert ("tracestate" in json.dumps(sent["_hoptrace"])) is (spare == 0)


def test_a_full_item_is_the_very_same_afterwards() -> None:
    for item in ({"pk": "a", "t": "x" * 399_950}, {"pk": {"S": "a"}, "t": {"S": "x" * 399_950}}):
        assert dynamodb.inject(item, CONTEXT, NOW_MS) is item


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "item",
    [
        None,
        "x",
        [],
        {},
        {"pk": {"S": "a"}, "b": "x"},
        {"pk": "a", "m": {"S": "looks typed"}},
        {"pk": 1.5},
        {"pk": object()},
        {"pk": "a", "deep": nested(60)},
        {"pk": {"S": object()}, "n": {"N": 7}},
        {"pk": "a", "_hoptrace": "mine"},
        {"pk": "a", "_hoptrace": {"traceparent": "mine"}},
        {"pk": {"S": "a"}, "_hoptrace": {"S": "mine"}},
        {"pk": {"S": "a"}, "_hoptrace": {"M": {"a": {"S": "mine"}}}},
    ],
)
def test_what_is_not_certainly_an_item_without_a_key_of_the_users_own_is_left_alone(item: Any) -> None:
    assert dynamodb.inject(item, CONTEXT, NOW_MS) is item


@pytest.mark.parametrize("form", [typed, dict])
def test_an_item_that_was_read_and_is_put_again_gets_the_new_context(form: Any) -> None:
    old = SpanContext("c" * 32, "d" * 16, remote=True)
    again = dynamodb.inject(dynamodb.inject(form({"pk": "a"}), old, 1), BARE, NOW_MS)
    expected = {"traceparent": format_traceparent(BARE), "sent": NOW_MS}
    assert again == form({"pk": "a", "_hoptrace": expected})


# --- what a stream shows

OLD = typed({"pk": "a", "_hoptrace": {"traceparent": f"00-{'c' * 32}-{'d' * 16}-01", "sent": 1}})
NEW = typed({"pk": "a", "_hoptrace": NATIVE})
PLAIN = typed({"pk": "a"})


@pytest.mark.parametrize(
    ("name", "new", "old", "context"),
    [
        ("INSERT", NEW, None, CONTEXT),
        ("MODIFY", NEW, OLD, CONTEXT),
        ("MODIFY", NEW, PLAIN, CONTEXT),
        # An update leaves what an earlier put wrote.
        ("MODIFY", NEW, NEW, None),
        # The stream has no old images, so nobody knows whose it is.
        ("MODIFY", NEW, None, None),
        ("REMOVE", None, NEW, None),
        ("REMOVE", NEW, None, None),
        ("REMOVE", NEW, OLD, None),
        ("INSERT", PLAIN, None, None),
        ("INSERT", None, None, None),
        ("", NEW, None, None),
    ],
)
def test_a_context_is_believed_only_when_this_write_put_it_there(name: str, new: Any, old: Any, context: Any) -> None:
    assert dynamodb.extract_record(record(name, new, old))[0] == context


# --- keys


@pytest.mark.parametrize(
    ("value", "spelt"),
    [
        ("a", "S:a"),
        ("", "S:"),
        ("ü", "S:ü"),
        ("a\nb\\n", "S:a\\nb\\\\n"),
        (0, "N:0"),
        (Decimal("-0.00"), "N:0"),
        (1, "N:1e0"),
        (100, "N:1e2"),
        (Decimal("1.50"), "N:15e-1"),
        (Decimal("-1.50"), "N:-15e-1"),
        (Decimal("1E+2"), "N:1e2"),
        (Decimal("0.001200"), "N:12e-4"),
        (10**37 + 1, "N:" + str(10**37 + 1) + "e0"),
        (b"\x00\xff", "B:AP8="),
        (bytearray(b"\x00"), "B:AA=="),
        (Binary(b"\x00"), "B:AA=="),
    ],
)
def test_a_keys_value_has_one_spelling(value: Any, spelt: str) -> None:
    assert keys.canonical(value) == spelt
    assert keys.canonical(TypeSerializer().serialize(bytes(value) if isinstance(value, bytearray) else value)) == spelt


@given(st.integers(-(10**38) + 1, 10**38 - 1), st.integers(-120, 80))
def test_every_spelling_of_a_number_is_one(digits: int, tens: int) -> None:
    number = Decimal(digits).scaleb(tens)
    spellings = {
        keys.canonical({"N": text}) for text in (str(number), f"{number:f}", f"{number:E}", f"{number:f}".lower())
    }
    assert len(spellings) == 1
    (spelt,) = spellings
    assert spelt is not None
    assert Decimal(spelt[2:]) == number


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1.5,
        [],
        {},
        {"S": 1},
        {"N": 1},
        {"N": ""},
        {"N": "x"},
        {"N": "1e"},
        {"N": "١"},
        {"N": "NaN"},
        {"BOOL": True},
        {"S": "a", "N": "1"},
        {"B": 7},
        Decimal("NaN"),
        Decimal("Infinity"),
        {"N": "1" * 300},
        {"N": "--1"},
    ],
)
def test_what_cannot_be_a_key_has_none(value: Any) -> None:
    assert keys.canonical(value) is None
    assert keys.words("orders", {"pk": value}) is None


def test_a_stream_has_binary_in_base64_where_a_call_has_bytes_or_text() -> None:
    expected = ("aws.dynamodb", "orders", "pk", "B:AP8=", "sk", "N:15e-1")
    in_event = {"sk": {"N": "1.5"}, "pk": {"B": "AP8="}}
    assert keys.words("orders", in_event, in_event=True) == expected
    assert keys.words("orders", {"pk": {"B": b"\x00\xff"}, "sk": {"N": "1.50"}}) == expected
    assert keys.words("orders", {"pk": Binary(b"\x00\xff"), "sk": Decimal("1.500")}) == expected
    assert keys.canonical({"B": "text"}) == keys.canonical(b"text")


@pytest.mark.parametrize("key", [None, {}, {"a": "1", "b": "2", "c": "3"}, {1: "a"}, "x"])
def test_what_is_no_key_has_no_words(key: Any) -> None:
    assert keys.words("orders", key) is None
    assert keys.words("", {"pk": "a"}) is None
