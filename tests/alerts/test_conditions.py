"""The language of conditions: what it says, what it refuses and where, and that no text can break it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoptrace_collector.alert.compiled import compile_condition
from hoptrace_collector.alert.grammar import AGGREGATES, FUNCTIONS, aggregates_in, names_in, needs_of, parse
from hoptrace_collector.alert.tokens import LONGEST, UNITS, ExpressionError, quantity
from tests.alerts import UNHURRIED

FACTS = {
    "duration": 2.5,
    "failed": True,
    "outcome": "timeout",
    "memory": 120 * 1024 * 1024,
    "faas.name": "ship'ping",
    "tags": ["gold", "eu"],
    "count.x": 3,
    "flag": False,
    "odd-name": 7,
}


def holds(text: str, facts: dict[str, Any] = FACTS, **constants: Any) -> bool:
    return compile_condition(parse(text, constants=tuple(constants)), constants)(facts.get)


@pytest.mark.parametrize(
    "text",
    [
        "duration > 2s",
        "duration > 2400ms and duration <= 2.5",
        "failed",
        "not flag",
        "failed == true and flag == false",
        'outcome == "timeout" or nothing.there',
        "outcome != 'error'",
        "memory >= 120MB",
        "memory > 0.1 * 1GB and memory / 1MB == 120",
        "duration * 2 - 1 == 4 and -duration < -2",
        "duration in [1, 2.5]",
        'outcome not in ["ok", "error"]',
        '"gold" in tags',
        'tags == "eu" and contains(tags, "ol")',
        "contains(faas.name, \"p'p\") and startswith(faas.name, \"ship\") and endswith(faas.name, '\\'ping')",
        "has(duration) and not has(nothing)",
        'attr("odd-name") == 7',
        "1 + 2 * 3 == 7 and (1 + 2) * 3 == 9 and 10 - 2 - 3 == 5 and 8 / 2 / 2 == 2",
        "not flag and not not failed",
        "0.9 >= 90%",
        "duration > limit",
    ],
)
def test_what_holds(text: str) -> None:
    assert holds(text, limit=2.0)


@pytest.mark.parametrize(
    "text",
    [
        "nothing > 1",
        "nothing != 1",
        "nothing == nothing",
        "not has(duration)",
        'duration == "2.5"',
        "outcome > 3",
        "failed > flag or failed == 1",
        "duration / 0 > 0",
        'nothing in ["a"] or duration in []',
        'contains(duration, "2")',
        "memory",
    ],
)
def test_what_does_not_hold_because_it_is_unknown_or_of_another_kind(text: str) -> None:
    assert not holds(text)


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [
        ("", 0, "a value is expected, here is the end"),
        ("duration >", 10, "a value is expected"),
        ("duration > 2x", 12, "'x' is no unit"),
        ("duration = 2", 9, "equality is written =="),
        ("duration & 2", 9, "'&' means nothing here"),
        ('outcome == "time', 11, "this text has no end"),
        ("(failed", 7, "'(' is not closed"),
        ("failed)", 6, "nothing is expected after the condition"),
        ("3", 0, "a number and no condition"),
        ('"a" > 3', 4, "a text is never > a number"),
        ("1 < 2 < 3", 6, "comparisons are joined by 'and'"),
        ("failed and 3", 11, "'and' joins conditions"),
        ('"a" + 1 > 2', 0, "'+' is for numbers"),
        ("has(3)", 4, "has wants the name of a field"),
        ("foo(1)", 0, "there is no function foo"),
        ("contains(outcome)", 0, "contains takes 2 arguments, not 1"),
        ("duration in 3", 9, "a list is expected"),
        ("count(failed) > 3 and failed", 22, "failed is of one observation"),
        ("rate(count(failed) > 1) > 1", 5, "count cannot stand inside rate"),
        ("percentile(duration, 101) > 1", 21, "a number above 0 and up to 100"),
        ("rate(duration + 1) > 2", 5, "rate wants a condition"),
        ("((((((((((((((((((((((((((((((((((((((1 == 1", 32, "nested more than 32 deep"),
        ("a or " * 350 + "a", 750, "more than 300 parts"),
        ("x" * (LONGEST + 1), LONGEST, "longer than"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, at: int, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert words in caught.value.message
    assert caught.value.at == at


PIECES = [
    "and", "or", "not", "in", "(", ")", "[", "]", ",", "+", "-", "*", "/", "==", "!=", "<", ">=", "true", "false", "1",
    "2.5s", "90%", "'a'", '"b', "duration", "failed", "error.type", "limit", "\\", "é", "\0", "=", ".",
    *FUNCTIONS, *AGGREGATES, *UNITS,
]  # fmt: skip


@UNHURRIED
@given(st.lists(st.sampled_from(PIECES), max_size=25), st.sampled_from(["", " "]))
def test_whatever_is_written_is_a_condition_or_a_mistake_with_a_place(pieces: list[str], between: str) -> None:
    text = between.join(pieces)
    try:
        node = parse(text, constants=("limit",))
    except ExpressionError as error:
        assert error.message and 0 <= error.at <= len(text)
        return
    found = {each.at: 1 for each in aggregates_in(node)}
    result = compile_condition(node, {"limit": 1.0})(lambda name: found.get(name, FACTS.get(name)))
    assert result in (True, False)
    needs = needs_of(node)
    if needs is not None and not found:
        without = {name: value for name, value in FACTS.items() if name not in needs}
        assert not compile_condition(node, {"limit": 1.0})(without.get), "without what it needs nothing holds"
    assert all(text[each.at :].startswith((str(each.value), "attr")) for each in names_in(node))


VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text("ab1", max_size=3)
    | st.lists(st.integers() | st.text("ab", max_size=2), max_size=3)
)


@UNHURRIED
@given(VALUES, VALUES, st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "+", "/", "contains"]))
def test_no_value_makes_asking_fail(one: Any, other: Any, sign: str) -> None:
    if sign == "contains":
        text = "contains(one, other)"
    else:
        text = f"one {sign} other > 1" if sign in "+/" else f"one {sign} other"
    facts = {"one": one, "other": other}
    assert holds(text, facts) in (True, False)
    if sign in ("==", "!=", "<", ">"):
        assert not (holds(text, facts) and holds(f"not one {sign} other", facts))


@pytest.mark.parametrize(
    ("text", "value"),
    [("90%", 0.9), ("2s", 2.0), ("500ms", 0.5), ("1.5h", 5400.0), (" 10 ", 10.0), ("512MB", 512 * 1024 * 1024.0)],
)
def test_a_quantity_is_a_number_with_its_unit(text: str, value: float) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize("text", ["", "s", "2x", "two", "1 2", "-1", "9" * 50])
def test_what_is_no_quantity(text: str) -> None:
    assert quantity(text) is None


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("has(a.b)", {"a.b"}),
        ("has(a.b) or c.d > 1 or e.f in [1]", {"a.b", "c.d", "e.f"}),
        ("duration > 1 and a.b == 2", {"a.b"}),
        ("a.b > 1 or duration > 1", None),
        ("not has(a.b)", None),
        ("a.b > 1 and not c.d", {"a.b"}),
        ("duration > 1", None),
    ],
)
def test_what_must_be_there_for_a_condition_to_hold(text: str, needs: set[str] | None) -> None:
    assert needs_of(parse(text)) == needs
