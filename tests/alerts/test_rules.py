"""Rules as they are written: what is read of them, and that one mistake costs one rule."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoptrace_collector.alert.builtin import BUILTIN
from hoptrace_collector.alert.rules import MOST_RULES, Mistake, Rule, read_rules
from hoptrace_collector.alert.sources import is_reference, of_text, read_package, read_setting
from tests.alerts import UNHURRIED


def one(**settings: Any) -> Rule:
    rules, mistakes = read_rules({"mine": settings}, {})
    assert mistakes == []
    return rules[0]


def wrong(**settings: Any) -> Mistake:
    rules, mistakes = read_rules({"mine": settings}, {})
    assert rules == []
    return mistakes[0]


def test_a_rule_of_one_line_has_sensible_settings() -> None:
    rule = one(when="failed")
    assert (rule.scope, rule.of, rule.severity, rule.window, rule.cooldown) == (
        "invocation",
        "invocation",
        "error",
        0,
        300,
    )
    counted = one(when="p95(duration) > limit", limit="1.5s", minimum=20, by="faas.trigger")
    assert (counted.scope, counted.window, counted.minimum, counted.by) == ("environment", 300, 20, ("faas.trigger",))
    assert (counted.limit, counted.samples[0].share, counted.samples[0].text) == (1.5, 95, "p95(duration)")
    assert counted.names == ("duration",)


def test_a_plain_condition_in_a_window_is_a_count_of_it() -> None:
    rule = one(when="failed", window="1m", minimum=3)
    assert [rule.when({0: count}.get) for count in (2, 3)] == [False, True]


@pytest.mark.parametrize(
    ("settings", "key", "words", "at"),
    [
        ({}, "", "it has no condition", -1),
        ({"when": "failed", "whne": "x"}, "whne", "no rule has this setting", -1),
        ({"when": "duration >"}, "when", "a value is expected", 10),
        ({"when": "failed", "where": "1 +"}, "where", "a value is expected", 3),
        ({"when": "failed", "where": "count() > 1"}, "where", "count is for when", 0),
        ({"when": "duration > limit"}, "when", "the rule has no limit", 11),
        ({"when": "failed", "limit": [1]}, "limit", "it is a number", -1),
        ({"when": "failed", "window": "90%"}, "window", "it is a time", -1),
        ({"when": "failed", "window": "2d"}, "window", "up to a day", -1),
        ({"when": "failed", "for": -1}, "for", "it is a time", -1),
        ({"when": "failed", "minimum": 3}, "minimum", "set window", -1),
        ({"when": "failed", "minimum": True}, "minimum", "a whole number", -1),
        ({"when": "failed", "window": "1m", "resolve": "not failed"}, "resolve", "when the window says so", -1),
        ({"when": "failed", "severity": "bad"}, "severity", "one of info, warning", -1),
        ({"when": "failed", "scope": "world"}, "scope", "one of invocation", -1),
        ({"when": "failed", "of": 3}, "of", "one of invocation, report", -1),
        ({"when": "failed", "by": ["a"] * 6}, "by", "up to 5", -1),
        ({"when": 3}, "when", "a condition is a text", -1),
        ({"when": "failed", "off": "yes"}, "off", "true or false", -1),
        ({"when": "failed", "runbook": 1}, "runbook", "it is a text", -1),
    ],
)
def test_a_mistake_says_under_which_setting_it_is(settings: dict[str, Any], key: str, words: str, at: int) -> None:
    mistake = wrong(**settings)
    assert (mistake.key, mistake.at) == (key, at)
    assert words in mistake.message
    assert str(mistake).startswith("rule mine")


def test_a_broken_rule_is_off_and_no_other() -> None:
    given_rules = {
        "memory": {"limit": "?"},
        "mine": {"when": "("},
        "other": {"when": "failed"},
        "timeout": {"off": True},
        "x y": {},
    }
    rules, mistakes = read_rules(given_rules, BUILTIN)
    names = {rule.name for rule in rules}
    assert {mistake.rule for mistake in mistakes} == {"mine", "x y"}
    assert names == {*BUILTIN, "other"} - {"slow", "timeout"}
    memory = next(rule for rule in rules if rule.name == "memory")
    assert not memory.when({"memory_utilization": 0.99}.get), "a limit that is a text is never reached"


def test_a_built_in_rule_is_changed_by_its_name_and_keeps_the_rest() -> None:
    rules, _ = read_rules({"memory": {"limit": "50%", "severity": "critical"}, "slow": {"off": False}}, BUILTIN)
    memory = next(rule for rule in rules if rule.name == "memory")
    assert (memory.severity, memory.limit, memory.of) == ("critical", 0.5, "report")
    assert memory.when({"memory_utilization": 0.6}.get)
    assert any(rule.name == "slow" for rule in rules)


def test_there_are_no_more_than_a_hundred() -> None:
    rules, mistakes = read_rules({f"r{number}": {"when": "failed"} for number in range(MOST_RULES + 2)}, {})
    assert (len(rules), len(mistakes)) == (MOST_RULES, 2)


_KEYS = st.sampled_from(
    ["when", "where", "of", "scope", "window", "minimum", "for", "by", "limit", "severity", "off", "resolve", "x"]
)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "failed", "count() > 1", "5m", "90%", "(", "fleet"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)


@UNHURRIED
@given(
    st.dictionaries(
        st.sampled_from(["memory", "error", "mine", "A b", ""]), st.dictionaries(_KEYS, _VALUES, max_size=4) | _VALUES
    )
)
def test_whatever_a_file_holds_every_rule_is_read_or_has_a_mistake(tables: dict[str, Any]) -> None:
    rules, mistakes = read_rules(tables, BUILTIN)
    judged = {rule.name for rule in rules} | {mistake.rule for mistake in mistakes}
    assert set(BUILTIN) - set(tables) - {"slow"} <= judged
    assert all(mistake.message for mistake in mistakes)


TOML = """
[rules.one]
when = "failed"
[rules.two]
when = "duration > 2s
[rules.three]
when = "coldstart"
"""


def test_a_rule_that_is_no_toml_is_off_and_the_rest_of_its_file_is_read() -> None:
    found = of_text(TOML, "rules.toml")
    assert set(found.rules) == {"one", "three"}
    (complaint,) = found.complaints
    assert "rules.toml is no TOML" in complaint
    assert "line 5" in complaint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "is no TOML"),
        ('{"rules": ', "is no JSON"),
        ('{"rules": [1]}', "to hold a table for each rule"),
        ("rule = 1", "'rule' beside rules"),
        ("x" * 300_000, "none of its rules are read"),
        ('{"rules": ' + "[" * 20_000, "is no JSON"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(text: str, words: str) -> None:
    found = of_text(text, "f")
    assert found.rules == {}
    assert words in found.complaints[0]


def _files(**files: str) -> Any:
    def read(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    return read


def test_where_rules_are_looked_for() -> None:
    toml, as_json = '[rules.a]\nwhen = "failed"', json.dumps({"rules": {"b": {"when": "failed"}}})
    read = _files(**{"/var/task/hoptrace.rules.toml": toml, "/opt/rules.json": as_json})
    assert set(read_package("/var/task", read).rules) == {"a"}
    assert read_package("/elsewhere", read) == ({}, [])
    assert set(read_setting("/opt/rules.json", read).rules) == {"b"}
    assert set(read_setting(as_json, read).rules) == {"b"}
    assert read_setting('rules.a.limit = "80%"', read).rules == {"a": {"limit": "80%"}}
    assert "cannot be read" in read_setting("/nowhere", read).complaints[0]
    for reference in ("ssm:/rules", "arn:aws:ssm:eu-west-1:1:parameter/x", "s3://b/k", "appconfig:a/e/p"):
        assert is_reference(reference)
        assert read_setting(reference, read) == ({}, [])
