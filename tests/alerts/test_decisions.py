"""When an alert opens and when it is over: the state machine, the windows, and what order and repetition do to them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoptrace_collector.alert.causes import Cause
from hoptrace_collector.alert.decisions import ALARM, OK, PENDING, State, decide, ended
from hoptrace_collector.alert.engine import MOST_GROUPS, OTHER, Change, Engine
from hoptrace_collector.alert.rules import SCOPES, Rule, read_rules
from hoptrace_collector.alert.windows import MOST_ENTRIES, Window, inputs_of
from tests.alerts import UNHURRIED

SECOND = 10**9
START = 1_790_000_000 * SECOND


def rules(**tables: Any) -> list[Rule]:
    found, mistakes = read_rules(tables, {})
    assert mistakes == []
    return found


class Bench:
    """An engine and what it has told."""

    def __init__(self, **tables: Any) -> None:
        self.rules = rules(**tables)
        self.engine = Engine(self.rules, SCOPES, START)
        self.told: list[Change] = []

    def see(self, seconds: float, ident: str = "", of: str = "invocation", **facts: Any) -> list[str]:
        at = START + int(seconds * SECOND)
        ident = ident or str(seconds)
        return self._note(self.engine.observe(of, at, ident, facts.get, lambda: Cause(at, ident)))

    def tick(self, seconds: float) -> list[str]:
        return self._note(self.engine.tick(START + int(seconds * SECOND)))

    def again(self) -> None:
        """Go on from what has been written down."""
        self.engine = Engine.from_json(
            json.loads(json.dumps(self.engine.to_json())), self.rules, SCOPES, self.engine.now
        )

    def _note(self, changes: list[Change]) -> list[str]:
        self.told += changes
        return [change.transition for change in changes]


def test_a_plain_rule_opens_at_the_first_and_is_over_at_the_next_that_is_well() -> None:
    bench = Bench(bad={"when": "failed"})
    assert [bench.see(at, failed=failed) for at, failed in ((1, True), (2, True), (3, False), (4, False))] == [
        ["opened"], [], ["resolved"], [],
    ]  # fmt: skip


def test_what_does_not_resolve_leaves_it_open() -> None:
    bench = Bench(bad={"when": 'outcome == "timeout"', "resolve": 'outcome == "ok"'})
    assert bench.see(1, outcome="timeout") == ["opened"]
    assert bench.see(2, outcome="error") == []
    assert bench.see(3, outcome="ok") == ["resolved"]


def test_where_says_what_counts_at_all() -> None:
    bench = Bench(bad={"when": "duration > 5", "where": "coldstart"})
    assert bench.see(1, duration=9, coldstart=False) == []
    assert bench.see(2, duration=9, coldstart=True) == ["opened"]
    assert bench.see(3, duration=1, coldstart=False) == []
    assert bench.see(4, duration=1, coldstart=True) == ["resolved"]


def test_each_combination_of_labels_is_an_alert_of_its_own() -> None:
    bench = Bench(bad={"when": "failed", "by": ["kind"]})
    assert bench.see(1, failed=True, kind="a") == ["opened"]
    assert bench.see(2, failed=True, kind="b") == ["opened"]
    assert bench.see(3, failed=False, kind="b") == ["resolved"]
    assert bench.see(4, failed=False) == ["resolved"], "what has no label speaks of all"
    assert [change.labels["kind"] for change in bench.told] == ["a", "b", "b", "a"]


def test_for_waits_and_forgets_when_it_does_not_hold() -> None:
    bench = Bench(bad={"when": "failed", "for": "10s"})
    assert [bench.see(0, failed=True), bench.see(9, failed=True), bench.see(9.5, failed=False)] == [[], [], []]
    assert [bench.see(10, failed=True), bench.tick(19.9), bench.tick(20)] == [[], [], ["opened"]]


def test_within_the_cool_down_nothing_opens_and_what_still_holds_opens_after_it() -> None:
    bench = Bench(bad={"when": "failed", "cooldown": "60s"})
    assert [bench.see(0, failed=True), bench.see(1, failed=False), bench.see(2, failed=True)] == [
        ["opened"],
        ["resolved"],
        [],
    ]
    assert [bench.tick(59), bench.tick(60)] == [[], ["opened"]]
    assert bench.told[-1].cause.at == START + 2 * SECOND, "its cause is what was seen meanwhile"


def test_repeat_tells_again_while_it_is_open() -> None:
    bench = Bench(bad={"when": "failed", "repeat": "60s"})
    assert [bench.see(0, failed=True), bench.tick(59), bench.tick(60), bench.tick(61)] == [
        ["opened"],
        [],
        ["still_open"],
        [],
    ]


def test_a_count_in_a_window_opens_at_the_minimum_and_is_over_when_time_has_passed() -> None:
    bench = Bench(bad={"when": "failed", "window": "10s", "minimum": 3})
    assert [bench.see(at, failed=True) for at in (0, 1, 2)] == [[], [], ["opened"]]
    assert [bench.tick(9.9), bench.tick(10)] == [[], ["resolved"]]
    assert bench.told[0].values == {"count": 3}


def test_a_rate_waits_for_its_minimum() -> None:
    bench = Bench(bad={"when": "rate(failed) >= 50%", "window": "60s", "minimum": 4})
    told = [bench.see(at, failed=at < 3) for at in range(7)]
    assert told == [[], [], [], ["opened"], [], [], ["resolved"]]
    assert bench.told[0].values == {"rate(failed)": 0.75}


def test_a_percentile_a_sum_and_their_like() -> None:
    bench = Bench(
        p={"when": "p90(duration) > 9", "minimum": 10},
        s={"when": "sum(duration) >= 55 and min(duration) == 1 and max(duration) == 10 and avg(duration) == 5.5"},
    )
    for number in range(1, 11):
        bench.see(number, duration=number)
    assert [change.rule.name for change in bench.told] == ["s"], "the ninth of ten is the 90th percentile"
    assert bench.see(11, duration=10) == ["opened", "resolved"]


def test_silence_is_noticed_after_a_whole_window_of_it() -> None:
    bench = Bench(quiet={"when": 'absent(name == "saved")', "window": "60s"})
    assert [bench.tick(59), bench.tick(60)] == [[], ["opened"]]
    assert bench.see(70, name="other") == []
    assert bench.see(71, name="saved") == ["resolved"]
    assert [bench.tick(130), bench.tick(131)] == [[], []], "the cool-down"
    assert bench.tick(400) == ["opened"]


def test_state_and_windows_outlive_a_reset() -> None:
    bench = Bench(
        bad={"when": "failed"},
        many={"when": "failed", "window": "1h", "minimum": 3, "by": ["kind"]},
        rate={"when": "rate(failed) > 99%", "minimum": 4},
    )
    for at in range(4):
        bench.see(at, failed=True, kind="a")
        bench.again()
    assert [(change.rule.name, change.cause.ident) for change in bench.told] == [
        ("bad", "0"),
        ("many", "2"),
        ("rate", "3"),
    ]
    assert bench.see(5, failed=False, kind="a") == ["resolved", "resolved"]


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {"started": "x", "rules": {"bad": 3}},
        {"rules": {"bad": {"by": [], "groups": [[1]], "cleared": [[[], "x"]]}}},
    ],
)
def test_what_cannot_be_gone_on_from_is_left_out(value: Any) -> None:
    assert Engine.from_json(value, rules(bad={"when": "failed"}), SCOPES, START).tick(START) == []


def test_alerts_of_other_labels_are_not_gone_on_with() -> None:
    bench = Bench(bad={"when": "failed", "by": ["kind"]})
    bench.see(1, failed=True, kind="a")
    again = Engine.from_json(bench.engine.to_json(), rules(bad={"when": "failed", "by": ["size"]}), SCOPES, START)
    assert [change.transition for change in bench.engine.without(again, START)] == ["ended"]
    assert again.end(START) == []


def test_alerts_and_windows_are_bounded_and_open_ones_are_not_forgotten() -> None:
    bench = Bench(bad={"when": "failed", "by": ["kind"]})
    for number in range(MOST_GROUPS + 20):
        bench.see(number, failed=True, kind=str(number))
    assert len(bench.told) == MOST_GROUPS + 1
    assert bench.told[-1].labels == {"kind": OTHER}
    (rule,) = rules(many={"when": "count() > 1"})
    window = Window(rule.samples, 10**6, START)
    for number in range(MOST_ENTRIES + 50):
        window.add(START + number, "x", inputs_of(rule.samples, {}.get) or (), START)
    assert window.values(START)[0] == len(window) == MOST_ENTRIES


def test_the_end_of_an_environment_is_told_of_what_is_open() -> None:
    bench = Bench(bad={"when": "failed"})
    assert bench.engine.end(START) == []
    bench.see(1, failed=True)
    assert [change.transition for change in bench.engine.end(START + 2 * SECOND)] == ["ended"]
    passed = Bench(bad={"when": "failed", "window": "10s"})
    passed.see(1, failed=True)
    assert [change.transition for change in passed.engine.end(START + 20 * SECOND)] == ["resolved"]
    assert bench.engine.end(START + 3 * SECOND) == []


_RULE = st.builds(
    lambda hold, cool, repeat: rules(r={"when": "failed", "for": hold, "cooldown": cool, "repeat": repeat})[0],
    st.sampled_from([0, 2]),
    st.sampled_from([0, 3]),
    st.sampled_from([0, 1]),
)


@UNHURRIED
@given(_RULE, st.lists(st.tuples(st.booleans(), st.integers(0, 4)), max_size=25))
def test_between_two_openings_there_is_an_end_and_nothing_is_told_without_a_cause(
    rule: Rule, steps: list[tuple[bool, int]]
) -> None:
    state, now, told = State(), START, ["resolved"]
    for holds, pause in steps:
        now += pause * SECOND
        before = state
        state, transition = decide(rule, state, holds, now)
        assert decide(rule, state, holds, now) == (state, ""), "asked twice, told once"
        assert (transition != "") == (state.value == ALARM or before.value == ALARM) or not transition
        if transition == "opened":
            assert holds and told[-1] != "opened"
            assert before.value in (OK, PENDING)
        if transition == "still_open":
            assert holds and before.value == ALARM
        if transition == "resolved":
            assert not holds and before.value == ALARM
        told += [transition] if transition in ("opened", "resolved") else []
    assert ended(state, now).state.value == OK


TABLES = {
    "plain": {"when": "failed", "by": ["kind"], "cooldown": 0},
    "until": {"when": "slow", "resolve": "not failed", "cooldown": 0},
    "count": {"when": "failed", "window": "8s", "minimum": 2, "by": ["kind"], "cooldown": 0},
    "rate": {"when": "rate(slow) > 40% and max(size) > 3", "window": "20s", "minimum": 3, "cooldown": 0},
    "quiet": {"when": "absent(slow)", "window": "6s", "cooldown": 0},
}
_SEEN = st.lists(
    st.tuples(
        st.integers(0, 30),
        st.sampled_from("abcdef"),
        st.fixed_dictionaries(
            {
                "failed": st.booleans(),
                "slow": st.booleans(),
                "size": st.integers(0, 9),
                "kind": st.sampled_from(["a", "b", None]),
            }
        ),
    ),
    max_size=15,
    unique_by=lambda each: each[:2],
)


@UNHURRIED
@given(_SEEN, st.data())
def test_order_and_repetition_do_not_matter(seen: list[Any], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(seen))
    again = data.draw(st.lists(st.sampled_from(seen), max_size=5)) if seen else []

    def run(observations: list[Any]) -> set[tuple[str, str]]:
        bench = Bench(**TABLES)
        for seconds, ident, facts in observations:
            bench.see(seconds, ident, **facts)
        bench.tick(31)
        opened: set[tuple[str, str]] = set()
        for change in bench.told:
            key = (change.rule.name, str(change.labels))
            assert (key in opened) == (change.transition == "resolved"), "openings and ends alternate"
            (opened.add if change.transition == "opened" else opened.discard)(key)
            assert change.cause.at
        return opened

    assert run(sorted(seen, key=lambda each: each[:2])) == run([*shuffled, *again])
