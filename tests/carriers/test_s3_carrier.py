"""User metadata of an object: 2,048 bytes with the user's own, which stay."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoptrace.carriers import s3
from hoptrace.shape import Shape
from hoptrace.spans.context import SpanContext, format_traceparent

CONTEXT = SpanContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1, "vendor=1", remote=True, baggage="a=1")
OURS = {"traceparent": format_traceparent(CONTEXT), "tracestate": "vendor=1", "baggage": "a=1"}


@given(st.dictionaries(st.text("abcXYZ-", min_size=1, max_size=8), st.text("abc ", max_size=20), max_size=6))
@settings(deadline=None)
def test_what_is_written_is_read_and_the_users_own_stays(metadata: dict[str, str]) -> None:
    entry = {"Bucket": "b", "Key": "k", "Metadata": metadata}
    before = copy.deepcopy(entry)
    sent = s3.inject(entry, CONTEXT)
    assert entry == before
    assert sent["Metadata"] == {**metadata, **OURS}
    assert s3.extract_metadata(Shape({"Metadata": {name.lower(): value for name, value in sent["Metadata"].items()}}))


def test_an_object_without_metadata_gets_ours() -> None:
    for entry in ({"Bucket": "b"}, {"Bucket": "b", "Metadata": None}):
        assert s3.inject(entry, CONTEXT)["Metadata"] == OURS
    assert s3.extract_metadata(Shape({"Metadata": OURS})) == CONTEXT


@pytest.mark.parametrize("name", ["traceparent", "Traceparent", "TRACEPARENT"])
def test_a_context_of_the_users_own_stays(name: str) -> None:
    entry = {"Metadata": {name: "mine"}}
    assert s3.inject(entry, CONTEXT) is entry


@pytest.mark.parametrize("entry", [None, "x", {"Metadata": "x"}, {"Metadata": []}])
def test_what_botocore_would_refuse_is_left_to_it(entry: Any) -> None:
    assert s3.inject(entry, CONTEXT) is entry


@pytest.mark.parametrize(
    ("spare", "names"), [(0, ["traceparent", "tracestate", "baggage"]), (-1, ["traceparent", "tracestate"])]
)
def test_metadata_is_filled_to_two_kilobytes_and_not_a_byte_further(spare: int, names: list[str]) -> None:
    ours = sum(11 + len(name) + len(value) for name, value in OURS.items())
    metadata = {"n": "x" * (2_048 - ours - 12 - spare)}
    sent = s3.inject({"Metadata": metadata}, CONTEXT)["Metadata"]
    assert [name for name in sent if name != "n"] == names


def test_without_room_for_a_traceparent_nothing_is_written() -> None:
    least = 11 + len("traceparent") + 55
    full = {"Metadata": {"n": "x" * (2_048 - least - 12 + 1)}}
    assert s3.inject(full, CONTEXT) is full
    fits = {"Metadata": {"n": "x" * (2_048 - least - 12)}}
    assert list(s3.inject(fits, CONTEXT)["Metadata"]) == ["n", "traceparent"]


@pytest.mark.parametrize("answer", [None, {}, {"Metadata": None}, {"Metadata": {}}, {"Metadata": {"traceparent": "x"}}])
def test_an_answer_without_a_context_has_none(answer: Any) -> None:
    assert s3.extract_metadata(Shape(answer)) is None
