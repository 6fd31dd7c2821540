"""examples/check, run on the desk: the probes, the extension, the hops, and the report that a user would send back."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from .stack import ACCOUNT, CHECK, PROBES, Stack, deployed

#: What is so in Lambda and not on a desk (no /var/lang, no such host), or so by a hair: `contextvars` costs nothing.
NOT_HERE = {"var-lang", "sandbox", "loaded"}
#: What a desk has no part for, or what needs minutes.
NEVER_HERE = {"schedule", "replay", "sigterm"}


@pytest.fixture(scope="module", autouse=True)
def importable() -> Iterator[None]:
    """The folder's modules have everyday names: they are importable for these tests only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(CHECK)
        yield
        for path in CHECK.glob("*.py"):
            sys.modules.pop(path.stem, None)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with deployed(tmp_path_factory.mktemp("check")) as stack:
        yield stack


@pytest.fixture(scope="module")
def report(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What `python check.py` writes."""
    path = tmp_path_factory.mktemp("report") / "report.json"
    code = _module("check").main(
        ["--stack", stack.name, "--json", str(path), "--pace", "0.25", "--patience", "10", "--full"]
    )
    assert code == 0
    return json.loads(path.read_text())


def _module(name: str) -> Any:
    return importlib.import_module(name)


@pytest.mark.timeout(180)
def test_every_question_that_a_desk_can_answer_is_answered_as_assumed(report: Any) -> None:
    findings = report["findings"]
    fails = {name: finding["seen"] for name, finding in findings.items() if finding["verdict"] == "FAILS"}
    assert set(fails) <= NOT_HERE, fails
    unseen = {name for name, finding in findings.items() if finding["verdict"] == "not seen"}
    assert unseen == NEVER_HERE, {name: report["evidence"].get(name) for name in ("exit", "memory", "timeout")}
    assert "Runtime.OutOfMemory" in findings["status-memory"]["seen"]
    assert findings["telemetry-refused"]["seen"].startswith("the first batch came 3 times")
    assert findings["telemetry-late"]["seen"].startswith("listener up 0.")


def test_the_end_of_an_environment_is_read_from_its_log(report: Any, stack: Stack) -> None:
    aws = _module("aws").Stack(stack.name, None, None)
    aws.since -= 600_000
    stack.host.shutdown("Ending")
    found: dict[str, Any] = {}

    def seen() -> dict[str, Any]:
        found["endings"] = _module("gather").endings(aws)
        return {a.name: f for a, f in _module("assumptions").ask(found)}

    # Before 3.12 the runtime client waits in C, where no signal handler of Python's runs.
    handled = sys.version_info >= (3, 12)
    for _ in range(100):  # the log is written beside us
        findings = seen()
        if "spindown" in findings["shutdown-reason"].seen and (findings["sigterm"].verdict == "fact" or not handled):
            break
    assert "end of Ending: 'spindown'" in findings["shutdown-reason"].seen
    assert (findings["sigterm"].verdict == "fact") == handled


def test_the_report_names_no_account_and_nothing_of_the_stack(report: Any, stack: Stack) -> None:
    about = {"date": "2026-11-23", "region": "eu-central-1"}
    rendered = _module("check").rendered
    text, content = rendered(report["evidence"], about=about, names=stack.names, full=False)
    for hidden in (ACCOUNT, "arn:aws", "check-table", "check-bus", "check-stack", "TimingOut", "http://127.0.0.1"):
        assert hidden not in text, hidden
        assert hidden not in content, hidden
    assert "| holds | Do extension and function share a FIFO in /tmp? | yes |" in text
    assert json.loads(content)["findings"]["pth"]["verdict"] == "holds"
    _, whole = rendered(report["evidence"], about=about, names=stack.names, full=True)
    assert "TimingOut" in whole


def test_credentials_accounts_and_addresses_are_scrubbed_wherever_they_stand() -> None:
    scrub = _module("report").scrub
    value = {
        "arn:aws:lambda:eu-west-1:123456789012:function:f": ["in 123456789012, too", 123456789012.5],
        "a": "https://sqs.eu-west-1.amazonaws.com/123456789012/q ASIAIOSFODNN7EXAMPLE my-stack-Plain-1X",
        "trace": "1-5759e988-bd862e3fe1be46a994272793 4bf92f3577b34da6123456789012abcd",
    }
    assert scrub(value, ["my-stack", "my-stack-Plain-1X"]) == {
        "<arn>": ["in <account>, too", 123456789012.5],
        "a": "<queue> <key> <name>",
        "trace": "1-5759e988-bd862e3fe1be46a994272793 4bf92f3577b34da6123456789012abcd",
    }


def test_without_evidence_nothing_is_claimed() -> None:
    answers = _module("assumptions").ask({})
    assert {finding.verdict for _, finding in answers} == {"not seen"}
    text = _module("report").markdown(answers, {})
    assert f"{len(answers)} not seen" in text


def test_what_fails_stands_first_and_the_exit_code_stays_zero(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check = _module("check")
    evidence = {"facts": {"answer": {"facts": {"mkfifo": "Operation not permitted"}}, "shell": {"bash": "4.1.2"}}}
    monkeypatch.setattr(check, "gather", lambda world, **_: evidence)
    assert check.main(["--stack", stack.name, "--json", "-"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    verdicts = [row.split(" | ")[0] for row in rows[1:]]
    assert verdicts == sorted(verdicts, key=("| FAILS", "| holds", "| fact", "| not seen").index)
    failed = [row for row in rows if row.startswith("| FAILS")]
    assert "Which bash" in failed[0]
    assert any("Operation not permitted" in row for row in failed)


def test_a_stack_that_is_not_there_is_said_in_words(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    assert _module("check").main(["--stack", "no-such-stack"]) == 2
    assert "README.md says how to deploy it" in capsys.readouterr().err


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms; a reference is kept as what it names."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    assert isinstance(node, yaml.ScalarNode)
    return {"reference": loader.construct_scalar(node).split(".")[0], "by": suffix}


_Loader.add_multi_constructor("!", _short_form)


def test_the_template_has_what_the_check_asks_for(stack: Stack) -> None:
    template = yaml.load((CHECK / "template.yaml").read_text(), _Loader)
    resources, outputs = template["Resources"], template["Outputs"]
    for name, output in outputs.items():
        assert output["Value"]["reference"] in resources, name
    assert set(PROBES) <= set(outputs)
    asked = {"Failing", "Scheduled", "Table", "Queue", "Topic", "Bus", "BusArn", "Archive"}
    assert asked == set(outputs) - set(PROBES)
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Serverless::Function":
            assert (CHECK / resource["Properties"]["CodeUri"] / "app.py").is_file(), name
    for name, more in PROBES.items():
        variables = resources[name]["Properties"].get("Environment", {}).get("Variables", {})
        assert set(variables) == set(more.get("environment", {})), name
    wanted = {"queue", "topic", "bus", "bus_queue", "destination", "failing", "schedule"}
    consumers = {
        resource["Properties"]["Environment"]["Variables"]["CHECK_CONSUMER"]
        for resource in resources.values()
        if resource.get("Properties", {}).get("CodeUri") == "consumer/"
    }
    assert consumers == wanted


@pytest.mark.parametrize("example", ["check", "orders"])
def test_cloudformation_takes_the_template(example: str) -> None:
    """By the schemas that cfn-lint has of every resource, SAM's among them."""
    template = CHECK.parent / example / "template.yaml"
    done = subprocess.run(
        [sys.executable, "-c", "from cfnlint.runner import main; main()", str(template)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_extension_can_be_executed_as_lambda_does() -> None:
    extension = CHECK / "layer" / "extensions" / "hoptrace-check"
    assert extension.stat().st_mode & 0o111 == 0o111
    assert [path.name for path in Path(CHECK / "layer" / "extensions").iterdir()] == ["hoptrace-check"]
