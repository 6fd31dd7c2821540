"""Tests that others wrote, run against our provider: those in the source distributions of OpenTelemetry's packages.

`exclusions.toml` names what is left out, each with its reason; what stands there must really fail.
"""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.clash import packages

HERE = Path(__file__).parent
API, CONTRIB = "1.45.1", "0.66b1"
SUITES = {
    "api": (
        f"opentelemetry-api=={API}",
        ["trace", "context", "baggage", "propagators", "attributes", "metrics", "logs"],
        260,
    ),
    "sdk": (f"opentelemetry-sdk=={API}", ["trace", "context"], 230),
    "requests": (f"opentelemetry-instrumentation-requests=={CONTRIB}", [""], 70),
    "botocore": (f"opentelemetry-instrumentation-botocore=={CONTRIB}", [""], 120),
}
"""The source distribution, folders of its tests, and how many of them at least must pass."""

PACKAGES = (
    f"opentelemetry-sdk=={API}",
    f"opentelemetry-test-utils=={CONTRIB}",
    f"opentelemetry-instrumentation-botocore=={CONTRIB}",
    f"opentelemetry-instrumentation-requests=={CONTRIB}",
    "opentelemetry-propagator-aws-xray",
    *("boto3", "flaky", "httpretty", "mocket", "moto", "pytest-asyncio", "pytest-vcr", "pyyaml", "requests", "vcrpy"),
)
EXCLUSIONS = tomllib.loads((HERE / "exclusions.toml").read_text("utf-8"))["exclude"]


def excluded(suite: str) -> set[str]:
    return {test for entry in EXCLUSIONS if entry["suite"] == suite for test in entry["tests"]}


def _source(suite: str) -> Path:
    """The unpacked source distribution."""
    requirement = SUITES[suite][0]
    folder = packages.CACHE / "sdists"
    target = folder / requirement.replace("-", "_").replace("==", "-")
    if not target.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
        command += ["--no-binary", ":all:", "--no-build-isolation", "--dest", str(folder), requirement]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        with tarfile.open(f"{target}.tar.gz") as archive:
            # Python 3.11.4 and later want to be told how careful to be; those before have no such argument.
            careful: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(folder, **careful)
    return target


def _run(suite: str, leave_out: set[str], only: set[str], scratch: Path) -> str:
    installed = packages.installed("otel-conformance", PACKAGES, packages.THIS, Path(sys.executable))
    exclude = scratch / "exclude"
    exclude.write_text("\n".join(sorted(leave_out)), "utf-8")
    wanted = sorted(only) or [f"tests/{folder}" for folder in SUITES[suite][1]]
    command = [sys.executable, "-m", "pytest", "-q", "-rfE", "-c", os.devnull, "--rootdir", ".", "-W", "ignore"]
    command += ["-p", "behind_hoptrace", "-p", "no:randomly", "-p", "no:xdist", "-p", "no:cacheprovider", *wanted]
    tracer = HERE.parents[1] / "tracer"
    variables = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "OTEL_", "HOPTRACE_", "PYTEST_"))},
        "PYTHONPATH": os.pathsep.join(map(str, (installed, tracer, HERE / "conformance"))),
        "PYTHONDONTWRITEBYTECODE": "1",
        # One of the tests starts `python`, which a bare machine has by no such name.
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
        "HOPTRACE_EXCLUDE": str(exclude),
    }
    done = subprocess.run(
        command, cwd=_source(suite), env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    return done.stdout + done.stderr


def _count(output: str, what: str) -> int:
    found = re.findall(rf"(\d+) {what}", output.strip().splitlines()[-1])
    return int(found[0]) if found else 0


_ALL = ["api", "sdk", *(pytest.param(suite, marks=pytest.mark.soak) for suite in ("requests", "botocore"))]


@pytest.mark.parametrize("suite", _ALL)
def test_the_tests_of_opentelemetry_itself_pass_against_our_provider(suite: str, tmp_path: Path) -> None:
    output = _run(suite, excluded(suite), set(), tmp_path)
    assert not _count(output, "failed"), output[-6000:]
    assert not _count(output, "error"), output[-6000:]
    assert _count(output, "deselected") == len(excluded(suite)), "an excluded test is not there any more"
    assert _count(output, "passed") >= SUITES[suite][2], output[-600:]


@pytest.mark.parametrize("suite", _ALL)
def test_what_is_excluded_really_fails(suite: str, tmp_path: Path) -> None:
    output = _run(suite, set(), excluded(suite), tmp_path)
    assert _count(output, "failed") == len(excluded(suite)), output[-3000:]


def test_every_exclusion_has_a_reason() -> None:
    assert all(len(entry["reason"]) > 20 and entry["suite"] in SUITES for entry in EXCLUSIONS)
