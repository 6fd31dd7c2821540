"""A PYTHONPATH of the user's switches the layer's `.pth` off: the collector says so, once, and what to set instead."""

from pathlib import Path

import pytest

from tests.support.functions import function

APP = "def handler(event, context): return 'fine'"


def said(lines: list[str]) -> list[str]:
    return [line for line in lines if "hoptrace: " in line and "OTEL_EXPORTER_OTLP_ENDPOINT is not set" not in line]


@pytest.mark.parametrize("kind", ["on-demand", "provisioned-concurrency"])
def test_it_is_said_in_one_line_that_names_both_remedies(tmp_path: Path, kind: str) -> None:
    environment = {"PYTHONPATH": str(tmp_path)}
    with function(tmp_path, APP, environment=environment, initialization_type=kind) as desk:
        if kind != "on-demand":
            desk.host.initialize("f")
        assert [desk.invoke({}) for _ in range(3)] == ["fine"] * 3
        assert desk.records() == []
    (line,) = said(desk.lines)
    assert "the function is not traced: PYTHONPATH is set" in line
    assert "AWS_LAMBDA_EXEC_WRAPPER=/opt/hoptrace" in line
    assert "hoptrace.entry.handler with HOPTRACE_HANDLER=" in line


def test_one_invocation_is_enough_to_be_told(tmp_path: Path) -> None:
    with function(tmp_path, APP, environment={"PYTHONPATH": str(tmp_path)}) as desk:
        desk.invoke({})
    assert len(said(desk.lines)) == 1


def test_who_is_attached_by_another_way_hears_nothing(tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(tmp_path), "AWS_LAMBDA_EXEC_WRAPPER": "/opt/hoptrace"}
    with function(tmp_path, APP, environment=environment) as desk:
        assert [desk.invoke({}) for _ in range(3)] == ["fine"] * 3
        assert len(desk.spans("f")) == 3
    assert said(desk.lines) == []
