"""`hoptrace rules`: mistakes with line and column, and what rules would tell of what was recorded."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from hoptrace_collector.alert.builtin import BUILTIN
from hoptrace_local.cli.command import hoptrace
from hoptrace_local.rules.check import check
from hoptrace_local.rules.names import ATTRIBUTES
from hoptrace_local.rules.positions import Place, locate
from tests.alerts import UNHURRIED
from tests.support.parts import REPOSITORY

SECOND = 10**9
START = 1_790_000_000 * SECOND

BROKEN = """\
# rules
[rules.memory]
limit = "80 percent"

[rules.one]
when = "p95(duraton) > 1.5s"
whindow = "5m"

[rules."two"]
when = 'failed and faas.triger == "http" and memory > 3'
by = ["errr.type"]

[rules.timout]
limit = 2

[rules.three]
when = "outcome == \\"a\\" and ("

[rules.typed]
when = 'duration > "2s"'

[rules.four]
when = "failed
"""


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(hoptrace, ["rules", *map(str, args)])


def test_each_mistake_is_told_with_its_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(BROKEN)
    result = run("check", path)
    assert result.exit_code == 1
    told = [line.removeprefix(f"{path}:") for line in result.stderr.splitlines()]
    assert [":".join(line.split(":", 2)[:2]) for line in told] == [
        "3:9", "6:13", "7:11", "10:20", "10:46", "11:6", "13:8", "17:31", "20:18", "23:15",
    ]  # fmt: skip
    for line, words in zip(
        told,
        (
            "'80 percent' is a text", "did you mean duration?", "did you mean window?", "did you mean faas.trigger?",
            'set of = "report"', "did you mean error.type?", "did you mean timeout?", "a value is expected",
            "a number is never > a text", "is no TOML",
        ),
        strict=True,
    ):  # fmt: skip
        assert words in line
    assert "one: broken" in result.stdout and "error: invocation; on" in result.stdout


def test_what_is_right_is_told_with_where_limits_come_from_and_that_fleet_rules_are_off(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text(
        json.dumps({"rules": {"memory": {"limit": "80%"}, "timeout": {"off": True}, "mine": {"when": "a.b > 1"}}})
    )
    result = run("check", path, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    rules = {rule["name"]: rule for rule in found["rules"]}
    assert found["ok"] and set(rules) == {*BUILTIN, "mine"}
    assert (rules["memory"]["limit"], rules["timeout"]["state"], rules["mine"]["builtin"]) == (
        "80% (set in this file)",
        "off",
        False,
    )
    for name, rule in BUILTIN.items():
        assert rules[name]["state"].startswith("off: it is about all environments") == (rule.get("scope") == "fleet")
        assert ("(" in rules[name]["limit"]) == ("limit" in rule)


def test_a_file_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    assert run("check", tmp_path / "none").exit_code == 2
    assert run("test", tmp_path / "none", "--events", tmp_path / "none").exit_code == 2


@pytest.mark.parametrize(
    ("text", "key", "at", "place"),
    [
        ('[rules.a]\nwhen = "x"', "when", 0, (2, 9)),
        ("[rules.a]\n when='x y'", "when", 2, (2, 10)),
        ('[ rules . "a" ]\nby = ["x"]', "by", -1, (2, 6)),
        ("[rules.b]\nwhen = 'x'\n[rules.a]\nwhen = 'x'", "when", 0, (4, 9)),
        ("rules.a.when = 'x'", "when", 0, (1, 17)),
        ("[rules]\na = {limit = 1, when = 'xy'}", "when", 1, (2, 26)),
        ('[rules.a]\nwhen = """\nab"""', "when", 1, (3, 2)),
        ('[rules.a]\nwhen = "\\u0041\\"x"', "when", 2, (2, 17)),
        ("[rules.a]\nlimit = 1", "when", 3, (1, 8)),
        ("", "when", 3, (1, 1)),
        ('{"rules": {"b": {"when": "x"},\n "a": {"l": [{"when": 1}], "when": "\\"xy"}}}', "when", 1, (2, 39)),
        ('{"rules": {"a": {}}}', "when", 1, (1, 12)),
        ('{"rules": []}', "when", 1, (1, 1)),
    ],
)
def test_where_a_setting_is(text: str, key: str, at: int, place: tuple[int, int]) -> None:
    assert locate(text, "a", key, at) == Place(*place)


_TEXTS = st.text("[]{}\"'=.,:rulesawhn \n\\1", max_size=60)


@UNHURRIED
@given(_TEXTS, st.sampled_from(["a", "x y", '"', "rules"]), st.sampled_from(["", "when", "w["]), st.integers(-1, 9))
def test_looking_for_a_place_never_fails(text: str, rule: str, key: str, at: int) -> None:
    for each in (text, '{"rules": ' + text):
        place = locate(each, rule, key, at)
        assert 1 <= place.line <= each.count("\n") + 1
        assert all(finding.message for finding in check(each, "f").findings)


def test_every_known_attribute_stands_somewhere_in_the_tracer() -> None:
    sources = "".join(path.read_text("utf-8") for path in (REPOSITORY / "tracer" / "hoptrace").rglob("*.py"))
    assert [name for name in ATTRIBUTES if name.rpartition(".")[2] not in sources] == []


def span(
    number: int, at: float, seconds: float, error: str = "", instance: str = "env-1", **attributes: Any
) -> dict[str, Any]:
    end = START + int(at * SECOND)
    found = {"faas.invocation_id": f"r{number}", **({"error.type": error} if error else {}), **attributes}
    return {
        "resource": {"attributes": pairs({"faas.name": "checkout", "faas.instance": instance})},
        "scopeSpans": [
            {
                "spans": [
                    {
                        "traceId": f"{number:032x}",
                        "spanId": f"{number:016x}",
                        "name": "checkout",
                        "kind": 2,
                        "startTimeUnixNano": str(end - int(seconds * SECOND)),
                        "endTimeUnixNano": str(end),
                        "attributes": pairs(found),
                        "status": {"code": 2, "message": error} if error else {},
                    }
                ]
            }
        ],
    }


def pairs(values: dict[str, Any]) -> list[Any]:
    return [{"key": key, "value": value(item)} for key, item in values.items()]


def value(item: Any) -> dict[str, Any]:
    if isinstance(item, bool):
        return {"boolValue": item}
    return {"intValue": str(item)} if isinstance(item, int) else {"stringValue": item}


def recorded(path: Path, *spans: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps({"resourceSpans": [each]}) + "\n" for each in spans))
    return path


RULES = """
[rules.slow-checkout]
when = "p95(duration) > 1.5s"
minimum = 3
[rules.error-rate]
minimum = 4
[rules.timeout]
cooldown = 0
"""


def test_rules_are_run_over_recorded_spans_each_environment_by_itself_and_the_fleet_together(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    events = recorded(
        tmp_path / "traces.jsonl",
        *(span(number, number, 2.0) for number in range(1, 4)),
        span(4, 4, 3.0, "timeout", instance="env-2"),
        span(5, 5, 0.1, instance="env-2"),
    )
    result = run("test", rules, "--events", events, "--json", "--expect", "slow-checkout")
    assert result.exit_code == 0, result.output
    details = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(each["rule"], each["transition"]) for each in details] == [
        ("slow-checkout", "opened"),
        ("timeout", "opened"),
        ("error-rate", "opened"),
        ("timeout", "resolved"),
    ]
    assert details[1]["trace"]["traceId"] == f"{4:032x}"
    assert details[2]["evidence"]["window"]["values"] == {"rate(failed)": 0.25}
    shown = run("test", rules, "--events", events, "--expect", "memory")
    assert shown.exit_code == 1 and "memory was expected to open" in shown.stderr
    assert "opened slow-checkout (error, environment) checkout" in shown.stdout
    assert "4 events of 5 spans and 0 points" in shown.stdout


def test_metrics_and_the_result_of_the_demo_are_read_too(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[rules.orders]\nof = "metric"\nwhen = \'name == "orders" and value > 3\'\n')
    metrics = tmp_path / "metrics.jsonl"
    point = {"timeUnixNano": str(START), "asInt": "4", "attributes": []}
    metric = {"name": "orders", "sum": {"dataPoints": [point], "aggregationTemporality": 1}}
    metrics.write_text(json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}))
    demo = tmp_path / "result.json"
    kept = {
        "trace_id": "1" * 32,
        "span_id": "2" * 16,
        "parent_id": "",
        "name": "shipping",
        "start": START,
        "end": START + SECOND,
        "kind": "SERVER",
        "status": "ERROR",
        "message": "out",
        "attributes": {"faas.invocation_id": "r", "error.type": "timeout"},
        "resource": {"faas.name": "shipping"},
        "service": "shipping",
        "events": [],
    }
    demo.write_text(json.dumps({"spans": [kept], "trace_id": "x"}))
    result = run("test", rules, "--events", metrics, "--events", demo, "--expect", "orders", "--expect", "timeout")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no spans"),
        ("no json", "line 1 is no JSON"),
        ("[1]", "is no request of OTLP"),
        ('{"resourceSpans": 3}', "is no request of OTLP"),
        ('{"spans": [{"name": 1}]}', "lacks what every span has"),
        ('{"spans": [' + json.dumps({"trace_id": "zz"}) + "]}", "lacks what every span has"),
    ],
)
def test_what_is_no_recording_is_told(text: str, words: str, tmp_path: Path) -> None:
    rules, events = tmp_path / "rules.toml", tmp_path / "events"
    rules.write_text("")
    events.write_text(text)
    result = run("test", rules, "--events", events)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.replace("│", "").split())
