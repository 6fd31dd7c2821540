"""What the API's loggers write down, whatever they are given."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import _logs

from hoptrace import send
from hoptrace.otel import loggers, watcher
from tests.otel.measuring import Paper

Emitted = tuple[Any, Paper]


@pytest.fixture
def emitted() -> Iterator[Emitted]:
    paper = Paper()
    send.use(paper)  # type: ignore[arg-type]
    loggers.patch(_logs)
    try:
        yield _logs.get_logger("mine", "1"), paper
    finally:
        loggers.unpatch()
        watcher.leave()
        send.use(None)


def test_a_record_is_written_before_emit_returns(emitted: Emitted) -> None:
    logger, paper = emitted
    logger.emit(body="b", severity_number=_logs.SeverityNumber.ERROR2, severity_text="E", event_name="e", timestamp=5)
    (line,) = paper.lines
    assert line["scope"] == ["mine", "1"]
    observed = line["log"].pop("observed")
    assert observed > 10**18
    assert line["log"] == {"time": 5, "severity": 18, "level": "E", "event": "e", "body": "b"}


def test_an_exception_becomes_the_attributes_that_the_conventions_have_for_it(emitted: Emitted) -> None:
    logger, paper = emitted
    try:
        raise KeyError("no such shop")
    except KeyError as error:
        logger.emit(body="b", exception=error, attributes={"exception.type": "mine"})
    told = paper.lines[0]["log"]["attributes"]
    assert told["exception.type"] == "mine"
    assert "no such shop" in told["exception.message"]
    assert "Traceback" in told["exception.stacktrace"]


def test_no_secret_is_told_by_a_name_or_an_event(emitted: Emitted, monkeypatch: pytest.MonkeyPatch) -> None:
    from hoptrace import capture
    from hoptrace.spans import exceptions

    monkeypatch.setattr(exceptions, "_scrub", capture._scrub)
    logger, paper = emitted
    body = {"password": "hunter2", "token=hunter2": 1}
    logger.emit(
        body=body, attributes={"token=hunter2": 1, "a:b": 2}, event_name="token=hunter2", severity_text="pwd=hunter2"
    )
    assert "hunter2" not in json.dumps(paper.lines)
    assert paper.lines[0]["log"]["attributes"]["a:b"] == 2


def test_values_of_any_kind_are_fit_for_a_record(emitted: Emitted) -> None:
    logger, paper = emitted
    endless: list[Any] = []
    endless.append(endless)
    given = {"nan": float("nan"), "bytes": b"\xff", "big": 10**30, "none": None, "map": {1: {2: 3}}, "end": endless}
    logger.emit(body=endless, attributes={**given, "": 1, 7: 8})
    told = paper.lines[0]["log"]["attributes"]
    assert set(told) == {"nan", "bytes", "big", "map", "end"}
    assert (told["nan"], told["big"], told["map"]) == ("nan", str(10**30), {"1": {"2": 3}})


@pytest.mark.parametrize(
    "body",
    ["x" * 3_000_000, list(range(100_000)), {str(n): "y" * 60_000 for n in range(40)}],
    ids=["text", "many", "long"],
)
def test_a_record_fits_its_bound(emitted: Emitted, body: Any) -> None:
    logger, paper = emitted
    logger.emit(body=body)
    (line,) = paper.lines
    assert 1_000 < len(str(line)) < 100_000


def test_a_logger_is_off_again_after_unpatch(emitted: Emitted) -> None:
    logger, paper = emitted
    assert logger.enabled()
    loggers.unpatch()
    logger.emit(body="b")
    assert not logger.enabled()
    assert paper.lines == []
