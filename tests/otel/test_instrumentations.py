"""Instrumentation libraries in a function's package: switched on by the import of what they are for."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hoptrace import clients
from hoptrace.otel import instrumentations
from tests.clash import packages
from tests.otel.support import Trace, shipping

SQLITE = "opentelemetry-instrumentation-sqlite3"

APP = """
import sqlite3
base = sqlite3.connect(":memory:")

def handler(event, _):
    cursor = sqlite3.connect(":memory:").cursor()
    cursor.execute("select 1")
    return cursor.fetchone()
"""

OWN = """
import sqlite3
from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
from opentelemetry.sdk.trace import TracerProvider
SQLite3Instrumentor().instrument(tracer_provider=TracerProvider())  # nobody sees what goes there

def handler(event, _):
    cursor = sqlite3.connect(":memory:").cursor()
    cursor.execute("select 1")
    return [*cursor.fetchone(), type(sqlite3.connect(":memory:")).__name__]
"""


def test_a_library_that_is_shipped_records_without_a_line_of_code(tmp_path: Path) -> None:
    with shipping(tmp_path, APP, SQLITE) as desk:
        assert desk.invoke({}) == [1]
        trace = Trace(desk)
    assert trace.tree() == {"f": None, "select": "f"}
    assert trace.by_name["select"]["scope"][0] == "opentelemetry.instrumentation.sqlite3"
    assert trace["select"]["kind"] == 3


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis, sqlite3"},
        {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"},
        {"HOPTRACE_INSTRUMENTATIONS": "redis"},
        {"HOPTRACE_INSTRUMENTATIONS": "none"},
    ],
    ids=str,
)
def test_a_setting_leaves_it_off(variables: dict[str, str], tmp_path: Path) -> None:
    with shipping(tmp_path, APP, SQLITE, environment=variables) as desk:
        assert desk.invoke({}) == [1]
        assert Trace(desk).tree() == {"f": None}


def test_what_the_users_code_switches_on_itself_has_its_own_arguments(tmp_path: Path) -> None:
    with shipping(tmp_path, OWN, SQLITE, "opentelemetry-sdk") as desk:
        assert desk.invoke({})[0] == 1
        assert Trace(desk).tree() == {"f": None}
        assert not [line for line in desk.lines if "already instrumented" in line]


REDIS = """
import redis

def handler(event, _):
    try:
        redis.Redis(port=9, socket_connect_timeout=1).get("k")
    except redis.ConnectionError:
        return "refused"
"""


def test_a_library_for_a_package_of_the_users_records_too(tmp_path: Path) -> None:
    with shipping(tmp_path, REDIS, "opentelemetry-instrumentation-redis", "redis") as desk:
        assert desk.invoke({}) == "refused"
        assert Trace(desk).tree() == {"f": None, "GET": "f"}


def test_every_target_is_watched() -> None:
    assert sorted(clients.TARGETS) == sorted(instrumentations.TABLE)
    assert not {name for name, _ in clients.WATCHED} & set(clients.TARGETS)


DISTRIBUTIONS = {"kafka": "kafka-python", "openai_v2": "openai-v2"}


@pytest.mark.soak
def test_the_table_names_what_the_distributions_declare(tmp_path: Path) -> None:
    """By the entry points that `opentelemetry-instrument` goes by."""
    target = packages.CACHE / f"otel-instrumentations-{packages.THIS}"
    wanted = sorted({name for name, _ in instrumentations.TABLE.values()})
    if not target.is_dir():
        command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
        command += ["--target", str(target)]
        command += [f"opentelemetry-instrumentation-{DISTRIBUTIONS.get(n, n).replace('_', '-')}" for n in wanted]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    declared: dict[str, set[str]] = {}
    for file in target.glob("*.dist-info/entry_points.txt"):
        for module, kind in re.findall(r"= opentelemetry\.instrumentation\.(\w+):(\w+)", file.read_text()):
            declared.setdefault(module, set()).add(kind)
    for name, classes in instrumentations.TABLE.values():
        body = ast.parse((target / "opentelemetry" / "instrumentation" / name / "__init__.py").read_text()).body
        defined = {node.name for node in body if isinstance(node, ast.ClassDef)}
        defined |= {alias.name for node in body if isinstance(node, ast.ImportFrom) for alias in node.names}
        assert set(classes) <= declared[name] & defined, name
