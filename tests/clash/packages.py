"""A function's own packages, really installed: by pip, for one Python, once, and kept under `build/clash`."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path

from tests.support.alone import alone
from tests.support.parts import REPOSITORY

CACHE = REPOSITORY / "build" / "clash"
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"

SHARED = (
    "boto3",
    "ddtrace",
    "datadog_lambda",
    "opentelemetry-api",
    "opentelemetry-sdk",
    "requests",
    "sentry-sdk",
    "aws-xray-sdk",
    "aws_lambda_powertools",
    "urllib3",
    "wrapt",
)
"""What two tools may both want."""


def installed(name: str, requirements: Sequence[str], version: str, python: Path) -> Path:
    """The folder that pip filled; an install that fails is an error and leaves nothing behind."""
    target = CACHE / f"{name}-{version}"
    with alone(target):
        _install(target, requirements, version, python)
    return target


def _install(target: Path, requirements: Sequence[str], version: str, python: Path) -> None:
    stamp = target / "requirements.json"
    wanted = json.dumps(list(requirements))
    if stamp.is_file() and stamp.read_text("utf-8") == wanted:
        return
    shutil.rmtree(target, ignore_errors=True)
    command = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-warn-script-location",
    ]
    command += ["--root-user-action=ignore", "--target", str(target), *requirements]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        shutil.rmtree(target, ignore_errors=True)
        raise RuntimeError(f"pip could not install {' '.join(requirements)} for Python {version}:\n{done.stderr}")
    stamp.write_text(wanted, "utf-8")


def link(packages: Path, task: Path) -> None:
    """Put the packages into a function's folder: links, so that bytecode is compiled once."""
    task.mkdir(parents=True)
    for entry in packages.iterdir():
        if entry.name not in ("requirements.json", "bin"):
            (task / entry.name).symlink_to(entry)


def versions(packages: Path) -> str:
    """What pip chose, for the table: the packages that two tools might both want."""
    found = {each.name: each.version for each in distributions(path=[str(packages)])}
    return ", ".join(f"{name} {found[name]}" for name in SHARED if name in found)
