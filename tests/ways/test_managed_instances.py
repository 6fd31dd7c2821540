"""Lambda Managed Instances under AWS's emulator: forked workers, many invocations at a time, a clock that flushes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hoptrace_collector.concurrency import peak_concurrency
from tests.collector.support import Backend, attributes_of, spans_of
from tests.collector.test_metrics_are_true import Points
from tests.rie import managed
from tests.support import parts, rie

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(rie.can_run()), reason=rie.can_run() or "-")]

WORKERS = 4

APP = """
import os, time
import hoptrace.spans

def handler(event, context):
    for number in range(event.get("spans", 1)):
        with_long_name = hoptrace.spans.start_span("inside")
        with_long_name.set_attribute("padding", "x" * 2000)
        with_long_name.set_attribute("n", event["n"])
        with_long_name.end()
    time.sleep(event.get("sleep", 0.0))
    if event.get("exit"):
        os._exit(3)
    if event.get("raise"):
        raise LookupError("as asked")
    return {"n": event["n"], "pid": os.getpid()}
"""


def _run(folder: Path, events: tuple[object, ...], enough: Callable[[Backend], bool], **more: str) -> dict[str, Any]:
    for each in (folder, *list(folder.parents)[:2]):
        each.chmod(0o755)  # the emulator runs everything as another user
    with zipfile.ZipFile(parts.layer()) as archive:
        for info in archive.infolist():
            archive.extract(info, folder / "layer")
            (folder / "layer" / info.filename).chmod(info.external_attr >> 16 & 0o777)
    answers: list[bytes] = []
    with Backend() as backend:
        variables = {
            "AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances",
            "HOPTRACE_OTLP_PORT": "0",
            "HOPTRACE_FLUSH_INTERVAL": "100",
            "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
            **more,
        }
        _, log = managed.under_rie(
            folder / "f",
            APP,
            events,
            layer=folder / "layer",
            environment=variables,
            enough=lambda: enough(backend),
            at_once=WORKERS,
            answers=answers,
        )
        flushed = len(backend.requests)
        return {
            "spans": spans_of(backend),
            "points": Points(backend),
            "answers": [json.loads(answer) for answer in answers],
            "log": log,
            "requests": flushed,
        }


def _named(spans: list[Any], name: str) -> list[Any]:
    return [span for span in spans if span.name == name]


def test_every_invocation_of_every_worker_has_its_span_and_the_peak_is_right(tmp_path: Path) -> None:
    # Spans of 2 KB from four processes into one file: a line that is torn or mixed would be no record.
    events = tuple({"n": number, "spans": 25, "sleep": 0.15} for number in range(24))
    found = _run(tmp_path, events, lambda backend: len(_named(spans_of(backend), "function")) >= 24)
    spans, points = found["spans"], found["points"]
    invocations = {span.span_id: span for span in _named(spans, "function")}
    assert len(invocations) == 24, found["log"][-2000:]
    pids = {answer["pid"] for answer in found["answers"]}
    assert len(pids) == WORKERS, "all of them worked"
    inside = _named(spans, "inside")
    assert len(inside) == 24 * 25
    assert len({span.span_id for span in spans}) == len(spans)
    per_invocation: dict[bytes, set[int]] = {}
    for span in inside:
        per_invocation.setdefault(span.parent_span_id, set()).add(attributes_of(span)["n"])
    assert set(per_invocation) == set(invocations)
    assert all(len(numbers) == 1 for numbers in per_invocation.values()), "no worker's span is in another's invocation"
    kinds = {attributes_of(span)["aws.lambda.initialization_type"] for span in invocations.values()}
    assert kinds == {"lambda-managed-instances"}
    assert not any(attributes_of(span)["faas.coldstart"] for span in invocations.values())
    assert points.sums["faas.invocations"] == 24
    peak = peak_concurrency((span.start_time_unix_nano, span.end_time_unix_nano) for span in invocations.values())
    assert 2 <= peak <= WORKERS
    assert max(points.gauges["hoptrace.environment.in_flight.max"]) == peak
    assert "hoptrace.collector.records_skipped" not in points.sums
    # Each worker has loaded the handler for itself.
    assert len(_named(spans, "init")) == WORKERS
    assert found["requests"] >= 3, "flushed by the clock, and not at the shutdown alone"


def test_a_worker_that_crashes_loses_its_own_invocation_and_no_other(tmp_path: Path) -> None:
    events = (
        {"n": 0},
        {"n": 1, "sleep": 1.0},
        {"n": 2, "sleep": 0.3, "exit": True},
        {"n": 3, "raise": True},
        {"n": 4, "sleep": 1.0},
        {"n": 5},
    )
    found = _run(tmp_path, events, lambda backend: len(_named(spans_of(backend), "function")) >= 6)
    by_n = {attributes_of(span)["n"]: span.parent_span_id for span in _named(found["spans"], "inside")}
    invocations = {span.span_id: span for span in _named(found["spans"], "function")}
    errors = {n: attributes_of(invocations[by_n[n]]).get("error.type") for n in by_n}
    assert {n: kind for n, kind in errors.items() if n != 2} == {
        0: None, 1: None, 3: "LookupError", 4: None, 5: None,
    }, found["log"][-2000:]  # fmt: skip
    assert errors[2] == "Runtime.ExitError", "and not the time-out that Lambda makes of it at the deadline"
    crashed = invocations[by_n[2]]
    assert crashed.status.code == 2
    assert crashed.end_time_unix_nano - crashed.start_time_unix_nano < 3_000_000_000
