"""What EventBridge gets: every event is as its schema says, and hoptrace.alerts reads it back."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from hoptrace.alerts import Alert, NotOurs, Summary, parse, parse_alert, parse_summary
from hoptrace_collector.alert.builtin import BUILTIN
from hoptrace_collector.alert.compiled import compile_condition
from hoptrace_collector.alert.grammar import parse as parse_condition
from hoptrace_collector.model import Denied, Invocation, LogRecord, Number, Span
from hoptrace_collector.told import Report
from tests.alerts import UNHURRIED
from tests.collector.test_alerts import ARN, NOW, Rig, in_turn, invocation
from tests.support.parts import REPOSITORY

SECOND = 10**9


def schema(name: str) -> Draft202012Validator:
    """The published schema, and stricter than that: here nothing is told that it does not describe."""
    found = json.loads((REPOSITORY / "docs" / "schemas" / f"{name}.json").read_text("utf-8"))
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(closed(found))


def closed(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    made = {key: closed(value) for key, value in part.items()}
    if isinstance(made.get("properties"), dict):
        made.setdefault("additionalProperties", False)
    return made


SCHEMAS = {
    "Hoptrace Alert State Change": schema("alert-state-change"),
    "Hoptrace Invocation Summary": schema("invocation-summary"),
}


def received(entry: dict[str, Any]) -> dict[str, Any]:
    """The event as a target gets it, held against its schema."""
    detail = json.loads(entry["Detail"])
    SCHEMAS[entry["DetailType"]].validate(detail)
    assert len(entry["Detail"]) < 20_000
    return {
        "version": "0",
        "source": entry["Source"],
        "detail-type": entry["DetailType"],
        "resources": entry.get("Resources", []),
        "detail": detail,
    }


def with_attributes(found: Invocation, **attributes: Any) -> Invocation:
    found.span.attributes.update({name.replace("__", "."): value for name, value in attributes.items()})
    return found


def everything(rig: Rig) -> None:
    """Make every built-in rule that is judged here open."""
    alerts = rig.alerts
    alerts.initialized(7.5)
    alerts.invoked("r1", "Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=1:a87bd80c:9|68fd508a:2")
    rig.see(invocation("KeyError"))
    rig.see(invocation("timeout", at=NOW + SECOND))
    rig.see(invocation("Runtime.OutOfMemory", outcome="crash", at=NOW + 2 * SECOND))
    slow = with_attributes(
        invocation(at=NOW + 40 * SECOND),
        hoptrace__trigger="api_gateway_http",
        hoptrace__message__age=2000.0,
        hoptrace__iterator__age=90_000,
        hoptrace__batch__record_count=3,
        hoptrace__batch__item_failures=1,
    )
    slow.span.start = NOW + 10 * SECOND
    slow = slow._replace(deadline_ms=(NOW + 41 * SECOND) // 10**6, denied=(Denied("r1", "block", "s3:DeleteBucket"),))
    rig.see(slow)
    alerts.reported(Report("r1", "success", "", 500, NOW + 41 * SECOND, memory_size=512, billed=30.1))
    letter = Span(b"\x11" * 16, b"\x22" * 8, "process orders", 5, NOW, NOW + 41 * SECOND)
    letter.attributes.update(
        {"hoptrace.sqs.dead_letter_source": "arn:aws:sqs:::orders", "messaging.destination.name": "dead"}
    )
    call = Span(
        b"\x11" * 16,
        b"\x33" * 8,
        "DynamoDB.Query",
        3,
        NOW,
        NOW + 41 * SECOND,
        attributes={"hoptrace.aws.throttle_count": 11},
    )
    alerts.called([letter, call], slow.origin.resource)
    alerts.measured(
        [Number("sum", "hoptrace.collector.dropped", "", "", (("reason", "queue_full"),), 5, NOW, NOW + 42 * SECOND)]
    )
    alerts.deliver(rig.now + 5)


def test_every_rule_that_is_judged_here_fires_and_its_events_are_as_the_schema_says(tmp_path: Path) -> None:
    rig = Rig(tmp_path, slow={"off": False})
    everything(rig)
    rig.time = NOW + 3_600 * SECOND
    rig.see(invocation(at=rig.time))
    rig.alerts.deliver(rig.now + 5, last=True, gone=True)
    alerts = [parse(received(entry)) for entry in rig.channel.entries]
    opened = {alert.rule for alert in alerts if isinstance(alert, Alert) and alert.opened}
    assert opened == {name for name, rule in BUILTIN.items() if rule.get("scope") != "fleet"}
    assert {alert.transition for alert in alerts if isinstance(alert, Alert)} == {"opened", "resolved", "ended"}
    lost = next(alert for alert in alerts if isinstance(alert, Alert) and alert.rule == "telemetry-dropped")
    assert lost.trace is None and lost.resource.function_arn == ARN
    letter = next(alert for alert in alerts if isinstance(alert, Alert) and alert.rule == "dead-letter")
    assert letter.labels == {"messaging.destination.name": "dead"} and letter.trace is not None
    assert letter.trace.span_id == "22" * 8
    throttled = next(alert for alert in alerts if isinstance(alert, Alert) and alert.rule == "throttled")
    assert throttled.evidence["window"]["values"] == {"sum(hoptrace.aws.throttle_count)": 11.0}
    assert throttled.evidence["limit"] == 10.0


def test_the_typed_alert_is_the_events_content(tmp_path: Path) -> None:
    rig = Rig(tmp_path, error={"runbook": "https://wiki.example/errors", "cooldown": 0})
    rig.see(*in_turn("KeyError", ""))
    first, last = (parse_alert(received(entry)) for entry in rig.channel.entries)
    assert (first.rule, first.state, first.previous_state, first.opened) == ("error", "ALARM", "OK", True)
    assert (last.state, last.previous_state, last.resolved, last.reason_code) == (
        "OK",
        "ALARM",
        True,
        "ConditionCleared",
    )
    assert first.name == "error:shipping:KeyError"
    assert first.resource == ("shipping", ARN, "7", "r1")
    assert first.trace is not None and first.trace.traceparent == f"00-{'ab' * 16}-{'cd' * 8}-01"
    assert first.runbook == "https://wiki.example/errors"
    assert first.alert_id != last.alert_id and first.dedup_key == last.dedup_key


def test_other_environments_and_versions_of_the_function_have_the_same_dedup_key_and_other_ids(tmp_path: Path) -> None:
    keys, ids = set(), set()
    for number, arn in enumerate((ARN, f"{ARN}:live", ARN)):
        rig = Rig(tmp_path / str(number))
        (tmp_path / str(number)).mkdir()
        found = invocation("KeyError", at=NOW + number)
        found.span.attributes["aws.lambda.invoked_arn"] = arn
        rig.see(found)
        alert = parse_alert(received(rig.channel.entries[0]))
        keys.add(alert.dedup_key)
        ids.add(alert.alert_id)
    assert (len(keys), len(ids)) == (1, 3)


def summaries(rig: Rig) -> list[Summary]:
    found = (parse(received(entry)) for entry in rig.channel.entries)
    return [each for each in found if isinstance(each, Summary)]


def test_a_summary_waits_for_what_lambda_reports(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.alerts.summarise(lambda _: True)
    rig.alerts.initialized(0.8125)
    rig.see(invocation())
    assert summaries(rig) == []
    rig.alerts.reported(Report("r1", "success", "", 91 * 2**20, NOW, memory_size=128 * 2**20, billed=4.0))
    rig.see()
    (summary,) = summaries(rig)
    assert (summary.outcome, summary.cold_start, summary.duration, summary.init_duration) == ("ok", True, 3000.0, 812.5)
    assert (summary.memory_used, summary.memory_size, summary.billed_duration) == (91.0, 128.0, 4000.0)
    assert (summary.in_flight, summary.trigger, summary.resource.request_id) == (1, "sqs", "r1")
    assert summary.detail["memoryUtilization"] == pytest.approx(91 / 128)


def test_summaries_are_filtered_by_a_condition_and_what_was_never_reported_goes_at_the_end(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.alerts.summarise(compile_condition(parse_condition('outcome == "timeout" or duration > 5s'), {}))
    for number, error_type in enumerate(("", "timeout", "KeyError")):
        rig.see(invocation(error_type, at=NOW + number * SECOND, request_id=f"r{number}"))
    assert summaries(rig) == []
    rig.alerts.deliver(rig.now + 5, last=True)
    assert [(each.outcome, each.error_type, each.memory_used) for each in summaries(rig)] == [
        ("timeout", "timeout", None)
    ]


def test_logs_and_metrics_of_the_function_are_judged_by_rules_about_them(tmp_path: Path) -> None:
    rig = Rig(
        tmp_path,
        log={"of": "log", "when": 'count(severity >= 17 and contains(message, "payment")) >= 2'},
        metric={"of": "metric", "when": 'name == "orders" and value > 3 and shop == "x"'},
    )
    for number in range(2):
        rig.alerts.signalled(
            LogRecord(NOW + number, 0, 17, "ERROR", "shop", "payment failed", {}, "r9", b"\x01" * 16, b"\x02" * 8)
        )
    rig.alerts.measured([Number("sum", "orders", "", "", (("shop", "x"),), 4, NOW, NOW + 1)])
    rig.see()
    log, metric = (parse_alert(received(entry)) for entry in rig.channel.entries)
    assert (log.rule, log.resource.request_id, log.evidence["statusDescription"]) == ("log", "r9", "payment failed")
    assert (metric.rule, metric.trace, metric.evidence["observed"]) == (
        "metric",
        None,
        {"name": "orders", "value": 4, "shop": "x"},
    )


class Elsewhere:
    """Rules that lie elsewhere; an exception for those that cannot be had."""

    reference = "ssm:/rules"
    due = True

    def __init__(self, *texts: str | Exception) -> None:
        self.texts = list(texts)

    def fetch(self, deadline: float) -> str:
        text = self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]
        if isinstance(text, Exception):
            raise text
        return text


def test_rules_from_elsewhere_hold_from_when_they_are_there_and_survive_a_reset_and_an_outage(tmp_path: Path) -> None:
    mine = '[rules.mine]\nwhen = "duration > 1s"\n[rules.bad]\nwhen = "("'
    rig = Rig(tmp_path, remote=Elsewhere(ValueError("no way there"), mine))
    rig.see(invocation())
    assert rig.channel.entries == []
    rig.see(*in_turn("", ""))
    assert [json.loads(entry["Detail"])["rule"] for entry in rig.channel.entries] == ["mine"]
    assert any("no way there" in line for line in rig.said) and any(
        "rule bad, character 2 of when" in line for line in rig.said
    )
    again = Rig(tmp_path, remote=Elsewhere(ValueError("gone")))
    quick = invocation(at=NOW + 9 * SECOND)
    quick.span.start = quick.span.end
    again.see(quick)
    assert [json.loads(entry["Detail"])["transition"] for entry in again.channel.entries] == ["resolved"]


def test_an_alert_whose_rule_is_taken_away_is_let_go_of(tmp_path: Path) -> None:
    remote = Elsewhere('[rules.mine]\nwhen = "duration > 1s"', '[rules.other]\nwhen = "duration > 99s"')
    rig = Rig(tmp_path, remote=remote)
    rig.alerts.deliver(rig.now + 5)
    rig.see(invocation())
    alerts = [parse_alert(received(entry)) for entry in rig.channel.entries]
    assert [(each.rule, each.state, each.reason_code) for each in alerts] == [
        ("mine", "ALARM", "ConditionMet"),
        ("mine", "INSUFFICIENT_DATA", "NoLongerWatched"),
    ]


def test_what_was_before_a_snapshot_is_forgotten(tmp_path: Path) -> None:
    rig = Rig(tmp_path, quiet={"when": "absent(failed)", "window": "1m"})
    rig.alerts.initialized(60.0)
    rig.time += 3_600 * SECOND
    rig.alerts.restored()
    rig.alerts.initialized(0.2)
    rig.see(invocation(at=rig.time))
    assert rig.channel.entries == [], "neither a slow cold start nor a silence"


def test_a_log_record_of_the_future_does_not_stop_the_clock(tmp_path: Path) -> None:
    rig = Rig(tmp_path, log={"of": "log", "when": "count(severity >= 17) >= 2", "window": "1m", "cooldown": 0})
    for number in range(2):
        rig.alerts.signalled(LogRecord(2**63, 0, 17, "ERROR", "", str(number), {}))
    rig.time += 61 * SECOND
    rig.see()
    assert [json.loads(entry["Detail"])["transition"] for entry in rig.channel.entries] == ["opened", "resolved"]


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "dev.hoptrace", "1.0", "ALARM", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "source",
                    "detail-type",
                    "detail",
                    "schemaVersion",
                    "state",
                    "value",
                    "labels",
                    "trace",
                    "alertId",
                    "rule",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=10,
)


@UNHURRIED
@given(_JSON, st.sampled_from(["Hoptrace Alert State Change", "Hoptrace Invocation Summary"]))
def test_whatever_starts_a_function_is_read_or_is_not_ours(found: Any, kind: str) -> None:
    framed = {
        "source": "dev.hoptrace",
        "detail-type": kind,
        "detail": {"schemaVersion": "1.7", "alertId": "a", "rule": "r"},
    }
    if isinstance(found, dict):
        framed["detail"] = {**framed["detail"], **found}  # type: ignore[dict-item]
    for event in (found, framed):
        try:
            parse(event)
        except NotOurs as error:
            assert str(error)


@pytest.mark.parametrize(
    "event",
    [
        None,
        {"source": "aws.cloudwatch", "detail-type": "Hoptrace Alert State Change"},
        {"source": "dev.hoptrace", "detail-type": "Hoptrace Alert State Change", "detail": {"schemaVersion": "2.0"}},
        {"source": "dev.hoptrace", "detail-type": "Hoptrace Invocation Summary", "detail": {"schemaVersion": "1.0"}},
    ],
)
def test_what_is_no_alert_is_refused(event: Any) -> None:
    with pytest.raises(NotOurs):
        parse(event)
    with pytest.raises(NotOurs):
        parse_summary(event)


def test_the_parser_needs_nothing_but_the_standard_library_and_nobody_loads_it_unasked() -> None:
    code = (
        "import sys, hoptrace, hoptrace.attach; assert 'hoptrace.alerts' not in sys.modules; "
        "before = set(sys.modules); "
        "import hoptrace.alerts; "
        "print(*sorted({n.split('.')[0] for n in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["hoptrace"]


@pytest.mark.parametrize(
    "rule",
    [
        {"where": 'cloud.region == "eu-west-1"', "when": 'failed and name == "pay"'},
        {"when": 'count(not has(order.id) and name == "pay") >= 1'},
    ],
)
def test_a_span_is_judged_by_what_it_is_and_by_what_its_resource_says(rule: dict[str, Any], tmp_path: Path) -> None:
    rig = Rig(tmp_path, mine={"of": "span", **rule})
    call = Span(b"\x11" * 16, b"\x33" * 8, "pay", 3, NOW, NOW + SECOND, status=2)
    rig.alerts.called([call], (("cloud.region", "eu-west-1"), ("faas.name", "shipping")))
    rig.see()
    assert [json.loads(entry["Detail"])["rule"] for entry in rig.channel.entries] == ["mine"]
