"""examples/alerts: its rules are right, its EventBridge patterns match what the collector sends, and tell says it."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from moto.events.models import EventPattern

from hoptrace.alerts import parse
from hoptrace_collector.alert.compiled import compile_condition
from hoptrace_collector.alert.grammar import parse as parse_condition
from hoptrace_local.patterns.template import _Loader
from hoptrace_local.rules.check import check
from tests.alerts.test_events import SECOND, received, with_attributes
from tests.collector.test_alerts import ARN, NOW, Rig, invocation
from tests.support.parts import REPOSITORY

EXAMPLE = REPOSITORY / "examples" / "alerts"
RULES = EXAMPLE / "orders" / "hoptrace.rules.toml"
TEMPLATE = yaml.load((EXAMPLE / "template.yaml").read_text("utf-8"), _Loader)["Resources"]
SUMMARIES = TEMPLATE["Orders"]["Properties"]["Environment"]["Variables"]["HOPTRACE_INVOCATION_EVENTS"]


def matching(event: dict[str, Any]) -> set[str]:
    """The rules of the template that match an event, by moto's reading of patterns."""
    rules = TEMPLATE["Tell"]["Properties"]["Events"]
    patterns = {name: rule["Properties"]["Pattern"] for name, rule in rules.items()}
    return {
        name for name, pattern in patterns.items() if EventPattern(json.dumps(pattern), pattern).matches_event(event)
    }


@pytest.fixture
def tell(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    spec = importlib.util.spec_from_file_location("tell_app", EXAMPLE / "tell" / "app.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_its_rules_have_no_mistake() -> None:
    checked = check(RULES.read_text("utf-8"), str(RULES))
    assert checked.findings == []
    assert {rule.name for rule in checked.rules} >= {"orders-wait", "slow", "memory", "batch-item-failures"}


def test_an_alert_is_told_to_people_when_it_opens_and_when_it_is_over(tmp_path: Path, tell: ModuleType) -> None:
    rig = Rig(tmp_path)
    rig.see(invocation("timeout"), invocation(at=NOW + SECOND))
    opened, over = (received(entry) for entry in rig.channel.entries)
    assert matching(opened) == matching(over) == {"Alerts"}
    assert matching({**opened, "replay-name": "last-week"}) == set()
    subject, text = tell.message(parse(opened))
    assert subject == "shipping: timeout (error)"
    assert text.splitlines() == [parse(opened).reason, f"https://traces.example/{'ab' * 16}?span={'cd' * 8}"]  # type: ignore[union-attr]
    assert tell.message(parse(over))[0] == "shipping: timeout (over)"


@pytest.mark.parametrize(
    ("cold", "init", "kind", "alias", "rules"),
    [
        (True, 1.5, "on-demand", "", {"SlowColdStarts"}),
        (True, 0.5, "on-demand", ":live", {"Spillover"}),
        (True, 1.5, "provisioned-concurrency", ":live", {"SlowColdStarts"}),
        (True, 0.5, "provisioned-concurrency", ":live", None),
        (False, 1.5, "provisioned-concurrency", ":live", None),
        (False, 1.5, "on-demand", ":live", {"Spillover"}),
    ],
)
def test_summaries_are_matched_by_numbers(
    cold: bool, init: float, kind: str, alias: str, rules: set[str] | None, tmp_path: Path, tell: ModuleType
) -> None:
    rig = Rig(tmp_path)
    rig.alerts.summarise(compile_condition(parse_condition(SUMMARIES), {}))
    rig.alerts.initialized(init)
    found = with_attributes(invocation(), faas__coldstart=cold, aws__lambda__initialization_type=kind)
    found.span.attributes["aws.lambda.invoked_arn"] = ARN + alias
    rig.see(found)
    rig.alerts.deliver(5.0, last=True)
    if rules is None:
        assert rig.channel.entries == [], "what nobody asks for is not sent"
        return
    (event,) = (received(entry) for entry in rig.channel.entries)
    assert matching(event) == rules
    subject, text = tell.message(parse(event))
    assert "shipping" in subject and kind in text
