"""Every way in leads to the same place once: exec wrapper, handler name; with and without the layer's .pth."""

import shutil
from pathlib import Path
from typing import Any

import pytest

import hoptrace
from hoptrace_local.lambda_host import FunctionConfig, LambdaHost
from hoptrace_local.sink import OtlpSink
from tests.support import parts
from tests.support.functions import function

APP = """
import os
def handler(event, context):
    if event == "raise":
        raise ValueError("from the handler")
    get = os.environ.get
    return {"handler": os.environ["_HANDLER"], "path": get("PYTHONPATH"), "chained": get("CHAINED")}
"""
WRAPPER = {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/hoptrace"}


def _run(tmp_path: Path, environment: dict[str, str], source: Any = APP, **more: Any) -> tuple[list[Any], int]:
    with OtlpSink() as sink:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint, **environment}
        with function(tmp_path, source, environment=variables, check_handler=False, **more) as desk:
            answers = [desk.invoke({}, request_id="0" * 36), desk.invoke("raise", request_id="1" * 36)]
        return answers, [span.name for span in sink.spans].count("f")


def test_the_wrapper_changes_nothing_where_the_pth_attaches(tmp_path: Path) -> None:
    answers, invocations = _run(tmp_path, WRAPPER)
    assert answers[0] == {"handler": "app.handler", "path": None, "chained": None}
    assert invocations == 2


def test_the_wrapper_attaches_where_a_pythonpath_of_the_users_own_switches_pth_files_off(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    without, none = _run(tmp_path / "without", {"PYTHONPATH": str(tmp_path / "own")})
    assert none == 0 or without[0]["handler"] == "app.handler"
    answers, invocations = _run(tmp_path / "with", {"PYTHONPATH": str(tmp_path / "own"), **WRAPPER})
    assert invocations == 2
    assert answers[0]["handler"] == "hoptrace.entry.handler"
    assert answers[0]["path"].startswith(f"{tmp_path}/own:")
    assert answers[0]["path"].endswith("/python")
    assert str(answers[1]).replace("/with/", "/without/") == str(without[1])


def test_the_wrapper_runs_the_next_one(tmp_path: Path) -> None:
    chained = tmp_path / "chained"
    chained.write_text('#!/bin/sh\nexport CHAINED=yes\nexec "$@"\n')
    chained.chmod(0o755)
    answers, invocations = _run(tmp_path / "f", {**WRAPPER, "HOPTRACE_EXEC_WRAPPER": str(chained)})
    assert (answers[0]["chained"], invocations) == ("yes", 2)


def test_a_next_wrapper_that_is_not_there_is_told_and_the_function_runs(tmp_path: Path) -> None:
    with function(tmp_path, APP, environment={**WRAPPER, "HOPTRACE_EXEC_WRAPPER": "/nowhere"}) as desk:
        assert desk.invoke({})["handler"] == "app.handler"
        assert any("HOPTRACE_EXEC_WRAPPER=/nowhere" in line for line in desk.lines)


@pytest.mark.parametrize("pythonpath", [None, "/nowhere"])
def test_the_handlers_name_loads_the_users_handler(pythonpath: str | None, tmp_path: Path) -> None:
    environment = {"HOPTRACE_HANDLER": "nested/app.handler"}
    if pythonpath:
        environment["PYTHONPATH"] = f"{tmp_path}/task:{Path(hoptrace.__file__).parents[1]}"
    answers, invocations = _run(tmp_path, environment, {"nested/app.py": APP}, handler="hoptrace.entry.handler")
    assert answers[0]["handler"] == "hoptrace.entry.handler"
    assert answers[1]["errorMessage"] == "from the handler"
    assert "hoptrace/" not in str(answers[1]["stackTrace"])
    assert invocations == 2


FAILING = {
    "missing_module.handler": {},
    "app.missing": {"app.py": "x = 1\n"},
    "nodot": {},
    "app.handler": {"app.py": "def handler(:\n"},
    "app.imports": {"app.py": "import does_not_exist\n"},
    "app.raises": {"app.py": "1/0\n"},
    "app.attribute": {"app.py": "import os\nos.no_such_thing\n"},
    "sys.exit": {},
}


@pytest.mark.parametrize("attached", ["by the .pth", "by name alone", "switched off"])
@pytest.mark.parametrize("name", FAILING)
def test_a_loading_error_under_our_name_is_the_one_that_the_users_name_has(
    name: str, attached: str, tmp_path: Path
) -> None:
    task = tmp_path / "task"
    task.mkdir()
    for file, text in FAILING[name].items():
        (task / file).write_text(text)
    ours = {"HOPTRACE_HANDLER": name}
    if attached != "by the .pth":
        ours["PYTHONPATH"] = str(Path(hoptrace.__file__).parents[1])
    if attached == "switched off":
        ours["HOPTRACE_DISABLED"] = "true"
    answers = []
    for handler, environment, layer in ((name, {}, False), ("hoptrace.entry.handler", ours, True)):
        layers = (parts.layer(),) if layer else ()
        config = FunctionConfig(
            "f", task, handler, layers=layers, environment=environment, memory=1769, check_handler=False
        )
        with LambdaHost([config]) as host:
            answers.append(host.invoke("f", b"{}", request_id="0" * 36).payload)
    assert answers[1] == answers[0]


def test_our_name_without_the_users_says_what_to_set(tmp_path: Path) -> None:
    for number, environment in enumerate(({}, {"PYTHONPATH": str(Path(hoptrace.__file__).parents[1])})):
        with function(
            tmp_path / str(number), APP, handler="hoptrace.entry.handler", environment=environment, check_handler=False
        ) as desk:
            answer = desk.invoke({})
        assert answer["errorType"] == "Runtime.HandlerNotFound"
        assert "set it to what the handler was" in answer["errorMessage"]


def test_a_container_image_with_the_package_and_our_name_records(tmp_path: Path) -> None:
    """No layer: the package installed beside the code, `CMD ["hoptrace.entry.handler"]`."""
    (tmp_path / "task").mkdir()
    package = Path(hoptrace.__file__).parent
    shutil.copytree(package, tmp_path / "task" / "hoptrace", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {"HOPTRACE_HANDLER": "app.handler"}
    with function(
        tmp_path, APP, handler="hoptrace.entry.handler", layer=False, environment=environment, check_handler=False
    ) as desk:
        desk.invoke({})
        assert len(desk.spans("f")) == 1
