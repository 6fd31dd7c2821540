"""The view of untrusted JSON: right where something is, empty where nothing is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoptrace.shape import Shape

VALUE = {"a": [{"b": "text", "n": 5, "s": "17", "f": "1.5", "t": True, "e": None}], "h": {"X-Thing": ["one", "two"]}}


def test_paths_lead_through_objects_and_arrays() -> None:
    shape = Shape(VALUE)
    assert shape.text("a", 0, "b") == "text"
    assert shape.get("a", 0).number("n") == 5
    assert shape.number("a", 0, "s") == 17
    assert shape.number("a", 0, "f") == 1.5
    assert [item.text("b") for item in shape.items("a")] == ["text"]
    assert [key for key, _ in shape.pairs()] == ["a", "h"]
    assert shape.has("a", 0, "t")
    assert not shape.has("a", 0, "e")
    assert shape.is_object("h")
    assert not shape.is_object("a")


def test_headers_are_found_whatever_their_case() -> None:
    assert Shape(VALUE).get("h").header("x-thing") == "one"
    assert Shape({"x-thing": "exact", "X-Thing": "other"}).header("x-thing") == "exact"
    assert Shape({"X-THING": 5}).header("x-thing") == ""


@pytest.mark.parametrize(
    "number", [True, float("nan"), float("inf"), 2**63, -(2**63), "1" * 41, "1e400", "nan", "", "x", "٣", None, [], {}]
)
def test_what_is_no_sensible_number_is_none(number: Any) -> None:
    assert Shape({"n": number}).number("n") is None


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_no_look_up_raises(value: Any) -> None:
    shape = Shape(value)
    for path in ((), ("a",), (0,), (-1,), ("a", 0, "b"), (0, "a")):
        assert isinstance(shape.text(*path), str)
        assert isinstance(shape.items(*path), list)
        assert isinstance(shape.pairs(*path), list)
        assert isinstance(shape.get(*path).header("a"), str)
        shape.number(*path)
