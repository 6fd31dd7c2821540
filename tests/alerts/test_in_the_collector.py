"""From what the tracer writes and Lambda tells to what EventBridge is asked to take, in a whole collector."""

import json
import time
from pathlib import Path
from typing import Any

from hoptrace_collector.collector import Collector
from hoptrace_collector.counters import Counters
from hoptrace_collector.settings import read
from hoptrace_collector.told import InitReport, Invoke, Report, Shutdown
from tests.alerts.test_events import received
from tests.collector.support import ARN, NOW, Backend, Posted, begin, ended, inner, span, write

SECOND = 10**9
RULES = """
[rules.near-timeout]
off = true
[rules.pay-failed]
of = "span"
when = 'failed and name == "pay"'
[rules.orders]
of = "metric"
when = 'name == "orders" and value > 3'
[rules.log]
of = "log"
when = 'severity >= 17'
"""


class Told:
    """What the Telemetry API has told, in place of its listener."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def take(self) -> list[Any]:
        events, self.events = self.events, []
        return events

    def wait(self, seconds: float) -> None:
        """Nothing comes."""

    def close(self) -> None:
        """There is nothing to close."""


def taken(posted: Posted) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps({"Entries": [{} for _ in json.loads(posted.body)["Entries"]]}).encode()


def test_rules_of_the_package_are_asked_about_all_that_reaches_the_collector(tmp_path: Path) -> None:
    package, run_dir = tmp_path / "task", tmp_path / "run"
    package.mkdir()
    (package / "hoptrace.rules.toml").write_text(RULES)
    said: list[str] = []
    now = [NOW + SECOND]
    with Backend(taken) as bus:
        settings, complaints = read(
            {
                "HOPTRACE_RUN_DIR": str(run_dir),
                "HOPTRACE_ALERT_EVENT_BUS": "ops",
                "HOPTRACE_INVOCATION_EVENTS": "memory_utilization > 90%",
                "LAMBDA_TASK_ROOT": str(package),
                "AWS_ENDPOINT_URL_EVENTBRIDGE": bus.url,
                "AWS_REGION": "eu-west-1",
                "AWS_ACCESS_KEY_ID": "AK",
                "AWS_SECRET_ACCESS_KEY": "SK",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            }
        )
        assert complaints == []
        run_dir.mkdir()
        telemetry = Told()
        telemetry.events.append(InitReport("on-demand", "init", "success", "", 6.5))
        collector = Collector(
            settings,
            Counters(said.append),
            telemetry=telemetry,
            now=lambda: now[0],
            sleep=lambda _: None,  # type: ignore[arg-type]
        )
        event = Invoke(
            "r1", ARN, (NOW + 3 * SECOND) // 10**6, "Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=1:a8:12", NOW
        )
        collector.started(event)
        collector.drain(time.monotonic() + 5)
        cold = {
            "faas.trigger": "pubsub",
            "faas.coldstart": True,
            "aws.lambda.invoked_arn": ARN,
            "hoptrace.message.age": 2000,
        }
        point = {"attributes": {}, "value": 4}
        metric = {"name": "orders", "unit": "", "description": "", "kind": "sum", "monotonic": True, "points": [point]}
        scope = {"name": "shop", "version": "", "metrics": [metric]}
        log = {"time": NOW, "observed": NOW, "severity": 17, "level": "ERROR", "body": "no stock", "attributes": {}}
        write(
            run_dir,
            begin(1, deadline_ms=event.deadline_ms),
            inner(11, name="pay", status=[2, "declined"]),
            {"v": 1, "type": "metrics", "start": NOW, "end": NOW + 1, "scopes": [scope]},
            {"v": 1, "type": "log", "request_id": "r1", "scope": ["shop", ""], "log": log},
            ended(1, attributes=cold),
        )
        collector.drain(time.monotonic() + 5)
        telemetry.events.append(Report("r1", "success", "", 127 * 2**20, NOW + SECOND))
        collector.drain(time.monotonic() + 5)
        collector.flush(time.monotonic() + 5)
        now[0] += 3_600 * SECOND
        collector.shutdown(Shutdown("spindown", 0), time.monotonic() + 5)
        entries = [entry for posted in bus.requests for entry in json.loads(posted.body)["Entries"]]
    assert ["OTEL_EXPORTER_OTLP_ENDPOINT" in line for line in said] == [True], "alerts need no backend"
    assert span(1)["trace_id"] in entries[0]["TraceHeader"].replace("-", "")
    details = [received(entry)["detail"] for entry in entries]
    told = [(each["rule"], each["transition"]) for each in details if "rule" in each]
    opened = {rule for rule, transition in told if transition == "opened"}
    assert opened == {"pay-failed", "orders", "log", "slow-cold-start", "recursion", "message-age", "memory"}
    assert ("slow-cold-start", "resolved") in told and ("memory", "ended") in told
    (summary,) = (each for each in details if "summaryId" in each)
    assert (summary["memoryUsedMB"], summary["memorySizeMB"], summary["initDurationMs"]) == (127.0, 128.0, 6500.0)
    memory = next(each for each in details if each.get("rule") == "memory")
    assert memory["resource"]["requestId"] == "r1" and memory["evidence"]["observed"]["memory_utilization"] > 0.99
