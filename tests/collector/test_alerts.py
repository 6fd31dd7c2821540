"""Alerts: the rule, the event, and its way to EventBridge (a real moto server)."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from hoptrace_collector.alert.alerts import MOST_PENDING, Alerts
from hoptrace_collector.alert.eventbridge import Answer, EventBridge
from hoptrace_collector.alert.events import DETAIL_TYPE, SOURCE, Target
from hoptrace_collector.alert.summaries import DETAIL_TYPE as SUMMARY_TYPE
from hoptrace_collector.aws.api import Api
from hoptrace_collector.aws.credentials import CredentialsSource
from hoptrace_collector.counters import Counters
from hoptrace_collector.model import Invocation, Origin, Span
from hoptrace_collector.settings import Aws, Secret, parse_url

from .support import ARN, Backend, Collector, Lambda, begin, free_port, spans_of, tracer_bell, write

NOW = 1_790_000_000 * 10**9


def invocation(error_type: str = "", *, outcome: str = "", at: int = NOW, request_id: str = "r1") -> Invocation:
    span = Span(b"\xab" * 16, b"\xcd" * 8, "shipping", 2, at - 3 * 10**9, at, status_message="no answer in time")
    span.attributes.update(
        {"aws.lambda.invoked_arn": ARN, "faas.coldstart": True, "faas.trigger": "pubsub", "hoptrace.trigger": "sqs"}
    )
    if not outcome:
        outcome = "ok" if not error_type else "timeout" if error_type == "timeout" else "error"
    return Invocation(
        request_id=request_id,
        outcome=outcome,
        error_type=error_type,
        message="no answer in time" if error_type else "",
        span=span,
        origin=Origin((("faas.name", "shipping"), ("faas.version", "7")), ("hoptrace", "")),
        deadline_ms=(at if outcome == "timeout" else at + 10 * 10**9) // 10**6,
    )


class Channel:
    """A channel that answers as told and keeps what it was given."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.entries: list[dict[str, Any]] = []

    def put(self, entries: list[dict[str, Any]], deadline: float) -> list[Answer]:
        assert len(entries) <= 10
        self.entries += entries
        return [self.answers.pop(0) if self.answers else Answer() for _ in entries]


class Rig:
    def __init__(self, run_dir: Path, channel: Any = None, remote: Any = None, **rules: Any) -> None:
        self.said: list[str] = []
        self.now = 0.0
        self.time = NOW
        self.channel = channel if channel is not None else Channel()
        self.counters = Counters(self.said.append)
        quick = {name: {"cooldown": 0} for name in ("error", "timeout")}
        self.alerts = Alerts(
            str(run_dir / "alerts.json"),
            Target("ops", "shipping", "https://traces.example/{trace_id}?span={span_id}"),
            self.channel,
            self.counters,
            tables={**quick, **rules},
            remote=remote,
            clock=lambda: self.now,
            now=lambda: self.time,
        )

    def see(self, *invocations: Invocation) -> list[dict[str, Any]]:
        """Observe, deliver, and return the details that went out since the beginning."""
        for each in invocations:
            self.time = max(self.time, each.span.end)
            self.alerts.observe(each)
            self.alerts.deliver(self.now + 5)
        self.alerts.deliver(self.now + 5)
        return [json.loads(entry["Detail"]) for entry in self.channel.entries]


def in_turn(*error_types: str) -> list[Invocation]:
    """Invocations one second after the other, which end with these errors; "" for none."""
    return [invocation(error_type, at=NOW + number * 10**9) for number, error_type in enumerate(error_types)]


def values(details: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(detail["evidence"]["error.type"], detail["state"]["value"]) for detail in details]


def test_the_first_failure_and_the_next_success_are_told_and_nothing_between(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    details = rig.see(*in_turn("", "timeout", "timeout", "", "", "timeout"))
    assert values(details) == [("timeout", "ALARM"), ("timeout", "OK"), ("timeout", "ALARM")]
    assert [detail["previousState"]["value"] for detail in details] == ["OK", "ALARM", "OK"]


def test_each_kind_of_error_has_its_own_state(tmp_path: Path) -> None:
    details = Rig(tmp_path).see(*in_turn("IndexError", "KeyError", ""))
    assert values(details) == [("IndexError", "ALARM"), ("KeyError", "ALARM"), ("IndexError", "OK"), ("KeyError", "OK")]


def test_an_end_that_nobody_saw_changes_nothing(tmp_path: Path) -> None:
    first, last = in_turn("timeout", "")
    assert values(Rig(tmp_path).see(first, last._replace(outcome="unknown"))) == [("timeout", "ALARM")]


def test_the_event_carries_what_a_remedy_needs(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    (detail,) = rig.see(invocation("timeout"))
    (entry,) = rig.channel.entries
    assert (entry["Source"], entry["DetailType"], entry["EventBusName"]) == (SOURCE, DETAIL_TYPE, "ops")
    assert entry["Resources"] == [ARN]
    assert entry["Time"] == NOW // 10**9
    assert detail["schemaVersion"] == "1.0"
    assert (detail["rule"], detail["scope"], detail["severity"]) == ("timeout", "invocation", "error")
    assert detail["resource"] == {
        "functionName": "shipping",
        "functionArn": ARN,
        "functionVersion": "7",
        "requestId": "r1",
    }
    assert detail["traceparent"] == f"00-{'ab' * 16}-{'cd' * 8}-01"
    assert detail["trace"] == {"traceId": "ab" * 16, "spanId": "cd" * 8}
    assert detail["link"] == f"https://traces.example/{'ab' * 16}?span={'cd' * 8}"
    assert detail["evidence"] == {
        "condition": 'outcome == "timeout"',
        "observed": {"outcome": "timeout"},
        "error.type": "timeout",
        "statusDescription": "no answer in time",
        "durationMs": 3000.0,
        "coldStart": True,
        "deadline": "2026-09-21T14:13:20.000Z",
        "trigger": "sqs",
        "timestamp": "2026-09-21T14:13:20.000Z",
    }
    assert detail["transition"] == "opened"
    assert detail["state"]["reasonCode"] == "ConditionMet"
    assert detail["state"]["reason"] == "an invocation ran into its timeout; no answer in time"
    assert json.loads(detail["state"]["reasonData"])["outcome"] == "timeout"
    assert detail["state"]["timestamp"] == "2026-09-21T14:13:20.000Z"


def test_the_next_generation_knows_the_state_and_delivers_what_the_last_could_not(tmp_path: Path) -> None:
    first = Rig(tmp_path, Channel(Answer("ServiceUnavailable", "refused")))
    first.see(invocation("timeout"))
    assert first.alerts.pending == 1
    second = Rig(tmp_path)
    details = second.see(*in_turn("timeout", "timeout", "")[1:])
    assert values(details) == [("timeout", "ALARM"), ("timeout", "OK")]
    assert json.loads(first.channel.entries[0]["Detail"])["alertId"] == details[0]["alertId"], "one key for one change"
    assert Rig(tmp_path).alerts.pending == 0


def test_of_a_request_only_what_was_not_taken_is_sent_again_and_not_at_once(tmp_path: Path) -> None:
    channel = Channel(Answer(), Answer("ThrottlingException", "slow down"), Answer("InvalidArgument", "bad"))
    rig = Rig(tmp_path, channel)
    for each in in_turn("a", "b", "c"):
        rig.alerts.observe(each)
    rig.see()
    assert len(channel.entries) == 3
    rig.see()
    assert len(channel.entries) == 3, "the pause is not over"
    rig.now += 1.5
    details = rig.see()
    assert values(details)[3:] == [("b", "ALARM")]
    assert rig.alerts.pending == 0
    assert rig.counters.total("alerts_dropped", "InvalidArgument") == 1


def test_what_waits_is_bounded(tmp_path: Path) -> None:
    each = {"when": "failed", "by": ["request_id"]}
    rig = Rig(tmp_path, one=each, other=each, error={"off": True})
    for number in range(MOST_PENDING // 2 + 5):
        rig.alerts.observe(invocation("E", at=NOW + number, request_id=f"r{number}"))
    assert rig.alerts.pending == MOST_PENDING
    assert rig.counters.total("alerts_dropped", "queue_full") == 10
    rig.see()
    assert len(rig.channel.entries) == MOST_PENDING


_DAMAGED = [b"", b"null", b"[]", b'{"engine": 1, "pending": 2, "rules": 3}', b"\xff", b"[" * 99999]


@pytest.mark.parametrize("content", _DAMAGED)
def test_a_damaged_state_file_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "alerts.json").write_bytes(content)
    assert values(Rig(tmp_path).see(invocation("timeout"))) == [("timeout", "ALARM")]


def bridge(url: str) -> EventBridge:
    settings = Aws(access_key="AK", secret_key=Secret("SK"))
    return EventBridge(Api("events", parse_url(url), "eu-west-1", CredentialsSource(settings)))


def test_a_missing_permission_is_one_line_that_names_it_and_the_bus(tmp_path: Path) -> None:
    body = json.dumps({"__type": "AccessDeniedException", "Message": "User is not authorized"}).encode()
    with Backend((400, {}, body)) as backend:
        rig = Rig(tmp_path, bridge(backend.url))
        for each in (invocation("a"), invocation("b")):
            rig.alerts.observe(each)
            rig.alerts.deliver(time.monotonic() + 2)
            rig.now = 0.0
    assert len(rig.said) == 1
    assert "events:PutEvents" in rig.said[0]
    assert "ops" in rig.said[0]
    assert rig.counters.total("alerts_dropped", "AccessDeniedException") == 2


@pytest.mark.parametrize(
    ("answer", "retryable"),
    [
        ((500, {}, b""), True),
        ((503, {}, b"<html>"), True),
        ((400, {}, b'{"__type":"com.amazon#ThrottlingException"}'), True),
        ((400, {}, b'{"__type":"ValidationException:http://x"}'), False),
        ((200, {}, b"[]"), True),
        ((200, {}, b'{"Entries":[]}'), True),
        ((200, {}, b'{"Entries":[{"ErrorCode":"InternalFailure"}]}'), True),
        ((200, {}, b'{"Entries":[{"ErrorCode":"MalformedDetail"}]}'), False),
        (0.0, True),
    ],
)
def test_what_may_be_sent_again(answer: Any, retryable: bool) -> None:
    with Backend(answer) as backend:
        (result,) = bridge(backend.url).put([{"Detail": "{}"}], time.monotonic() + 2)
    assert result.error
    assert result.retryable is retryable


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urllib.request.urlopen(url + "/moto-api/", timeout=1).close()
            break
        except OSError:
            assert process.poll() is None, "moto_server did not start"
            time.sleep(0.05)
    try:
        yield url
    finally:
        process.terminate()
        process.wait(10)


def client(name: str, url: str) -> Any:
    return boto3.client(
        name,
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id="AK",
        aws_secret_access_key="SK",
        config=Config(retries={"total_max_attempts": 1}),
    )


def test_an_alert_reaches_the_target_of_a_rule_on_the_bus_and_its_trace_is_the_invocations(
    tmp_path: Path, moto: str
) -> None:
    events, sqs = client("events", moto), client("sqs", moto)
    events.create_event_bus(Name="ops")
    queue_url = sqs.create_queue(QueueName="remedies")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": [SOURCE], "detail-type": [DETAIL_TYPE], "detail": {"state": {"value": ["ALARM"]}}}
    slow = {"detail-type": [SUMMARY_TYPE], "detail": {"durationMs": [{"numeric": [">", 100]}]}}
    events.put_rule(Name="alarms", EventBusName="ops", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="alarms", EventBusName="ops", Targets=[{"Id": "q", "Arn": arn}])
    events.put_rule(Name="slow", EventBusName="ops", EventPattern=json.dumps(slow))
    events.put_targets(Rule="slow", EventBusName="ops", Targets=[{"Id": "q", "Arn": arn}])
    run_dir = tmp_path / "run"
    with (
        Lambda() as host,
        Backend() as backend,
        tracer_bell(run_dir),
        Collector(
            host,
            run_dir,
            OTEL_EXPORTER_OTLP_ENDPOINT=backend.url,
            HOPTRACE_ALERT_EVENT_BUS="ops",
            HOPTRACE_RULES='[rules.timeout]\nseverity = "critical"\n[rules.bad]\nwhen = "("',
            HOPTRACE_INVOCATION_EVENTS="failed and duration > 100ms",
            AWS_ENDPOINT_URL_EVENTBRIDGE=moto,
            AWS_ACCESS_KEY_ID="AK",
            AWS_SECRET_ACCESS_KEY="SK",
        ) as collector,
    ):
        host.wait_for_next()
        event = host.invoke("r1", seconds=0.4)
        write(run_dir, begin(1, deadline_ms=event["deadlineMs"]))
        host.wait_for_next()
        host.shut_down("timeout")
        said = collector.end().splitlines()
    assert [line.partition(": ")[2] for line in said] == [
        "rule bad, character 2 of when: a value is expected, here is the end; this rule is off"
    ]
    messages = sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=2, MaxNumberOfMessages=10)["Messages"]
    events = {event["detail-type"]: event for event in (json.loads(message["Body"]) for message in messages)}
    assert len(messages) == len(events) == 2
    event = events[DETAIL_TYPE]
    assert (event["source"], event["detail-type"], event["resources"]) == (SOURCE, DETAIL_TYPE, [ARN])
    (exported,) = spans_of(backend)
    assert event["detail"]["trace"] == {"traceId": exported.trace_id.hex(), "spanId": exported.span_id.hex()}
    assert event["detail"]["evidence"]["error.type"] == "timeout"
    assert event["detail"]["severity"] == "critical"
    assert event["detail"]["resource"]["requestId"] == "r1"
    summary = events[SUMMARY_TYPE]["detail"]
    assert (summary["outcome"], summary["traceparent"]) == ("timeout", event["detail"]["traceparent"])


def test_what_eventbridge_refuses_for_good_is_an_answer_for_that_entry(moto: str) -> None:
    entry = {"Source": SOURCE, "DetailType": DETAIL_TYPE, "Detail": "no json", "EventBusName": "default"}
    (answer,) = bridge(moto).put([entry], time.monotonic() + 5)
    assert (answer.error, answer.retryable) == ("MalformedDetail", False)
