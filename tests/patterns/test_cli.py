"""`hoptrace patterns`: what it lists and runs, what it says of mistakes, and the exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hoptrace_local.cli.command import hoptrace
from hoptrace_local.patterns import load_all
from hoptrace_local.stage import parts


def run(*arguments: str) -> Result:
    return CliRunner().invoke(hoptrace, arguments)


def test_without_a_name_it_lists_what_there_is() -> None:
    result = run("patterns")
    assert result.exit_code == 0
    for name, pattern in load_all().items():
        assert name in result.output
        assert pattern.title in result.output


def test_the_list_as_json() -> None:
    assert [pattern["name"] for pattern in json.loads(run("patterns", "--json").output)] == list(load_all())


@pytest.mark.parametrize("arguments", [("nonsense",), ("fan-out", "--nonsense"), ("fan-out", "--keep", __file__)])
def test_wrong_use_ends_with_2_and_without_a_traceback(arguments: tuple[str, ...]) -> None:
    result = run("patterns", *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_a_name_that_is_none_brings_those_that_are() -> None:
    assert "there is no pattern fanout; there are aggregator" in run("patterns", "fanout").output


def test_without_examples_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing() -> Path:
        raise parts.PartMissing("the folder of the patterns is missing: /nowhere")

    monkeypatch.setattr(parts, "patterns", missing)
    result = run("patterns")
    assert result.exit_code == 1
    assert result.output == "Error: the folder of the patterns is missing: /nowhere\n"


def test_a_step_that_fails_ends_with_1_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise parts.PartMissing("the layer's builder is missing: /nowhere/build.py")

    monkeypatch.setattr(parts, "layer_builder", missing)
    result = run("patterns", "fan-out")
    assert result.exit_code == 1
    assert "✗ Build the layer: the layer's builder is missing: /nowhere/build.py" in result.output


def test_a_run_whose_trace_is_another_ends_with_1_and_shows_the_difference(tmp_path: Path) -> None:
    """The examples of a checkout whose README says something else than what comes."""
    code = (
        "import dataclasses, sys\n"
        "import hoptrace_local.patterns.catalog as module\n"
        "one = module.load_all()['untraced-producer']\n"
        "lines = tuple(line.replace('hop', 'hip') for line in one.expected)\n"
        "module.load_all = lambda: {one.name: dataclasses.replace(one, expected=lines)}\n"
        "from hoptrace_local.cli import main\n"
        "sys.argv = ['hoptrace', 'patterns', one.name, *sys.argv[1:]]\n"
        "main()\n"
    )
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "AWS_", "HOPTRACE_"))}
    done = subprocess.run(
        [sys.executable, "-c", code, "--json", "--keep", str(tmp_path / "kept")],
        capture_output=True,
        text=True,
        timeout=110,
        env=clean,
    )
    assert done.returncode == 1, done.stderr
    result = json.loads(done.stdout)
    assert json.loads((tmp_path / "kept" / "result.json").read_text()) == result
    failed = {check["name"]: check["wrong"] for check in result["checks"] if not check["ok"]}
    assert list(failed) == ["the trace is the one that is written down"]
    changed = failed["the trace is the one that is written down"].splitlines()
    assert sum(line.startswith("-") and "hip" in line for line in changed) == 2
    assert sum(line.startswith("+") and "hop" in line for line in changed) == 2
