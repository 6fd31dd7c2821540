"""A function's logs on their way through the local Lambda and the collector to a backend."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.collector.support import Backend, free_port, spans_of, unpacked
from tests.support.functions import Desk, function

from .logs import Got, logs_of

APP = """
import logging, sys

log = logging.getLogger("orders")
log.setLevel("INFO")
print("loading")

def handler(event, context):
    log.warning("order %s", event["order"], extra={"size": {"width": 7}})
    print("printed by", event["order"])
    print("to stderr", file=sys.stderr)
    if event.get("fail"):
        raise ValueError("out of stock")
    return context.aws_request_id
"""


def settings(backend: Backend, **more: str) -> dict[str, str]:
    return {
        "HOPTRACE_LOGS": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
        "OTEL_SERVICE_NAME": "shop",
        "HOPTRACE_TELEMETRY_PORT": str(free_port()),
        "HOPTRACE_OTLP_PORT": "0",
        **more,
    }


def shipped(
    folder: Path, app: str, events: list[Any], **more: str
) -> tuple[list[Any], list[Got], dict[str, tuple[str, str]], Backend, Desk]:
    """The answers, the records in the order of their times, the ids of each invocation, the backend and the desk."""
    with Backend() as backend:
        with function(folder, app, environment=settings(backend, **more)) as desk:
            answers = [desk.invoke(event) for event in events]
        spans = {
            pair.value.string_value: (span.trace_id.hex(), span.span_id.hex())
            for span in spans_of(backend)
            for pair in span.attributes
            if pair.key == "faas.invocation_id"
        }
        return answers, sorted(logs_of(backend), key=lambda got: got.observed), spans, backend, desk


@pytest.mark.parametrize("form", ["Text", "JSON"])
def test_every_line_arrives_once_with_the_ids_of_the_invocation_that_logged_it(tmp_path: Path, form: str) -> None:
    before = time.time_ns()
    answers, got, spans, _, _ = shipped(
        tmp_path, APP, [{"order": "a"}, {"order": "b"}], AWS_LAMBDA_LOG_FORMAT=form, AWS_LAMBDA_LOG_LEVEL="INFO"
    )
    assert sorted(each.body for each in got) == sorted(
        ["loading"] + [text for o in "ab" for text in (f"order {o}", f"printed by {o}", "to stderr")]
    )
    (loading,) = (each for each in got if each.body == "loading")
    assert (loading.trace_id, loading.span_id, loading.attributes) == ("", "", {})
    for answer, order in zip(answers, "ab", strict=True):
        logged = next(each for each in got if each.body == f"order {order}")
        printed = next(each for each in got if each.body == f"printed by {order}")
        for each in (logged, printed):
            assert (each.trace_id, each.span_id) == spans[answer]
            assert each.flags == 1
            assert each.attributes["faas.invocation_id"] == answer
        assert (logged.severity, logged.level) == (13, "WARNING")
        assert (printed.severity, printed.level) == (0, "")
        # The text format loses what is extra, as in CloudWatch; JSON says it, and whose logger it was.
        assert logged.attributes.get("size") == ({"width": 7} if form == "JSON" else None)
        assert logged.logger == ("orders" if form == "JSON" else "")
    on_stderr = {(each.trace_id, each.span_id) for each in got if each.body == "to stderr"}
    assert on_stderr == {spans[answer] for answer in answers}
    for each in got:
        assert before - 10**9 < each.time < time.time_ns()
        assert each.resource["service.name"] == "shop"
        assert "trace_id" not in each.attributes


@pytest.mark.parametrize("form", ["Text", "JSON"])
def test_an_error_that_the_runtime_logs_belongs_to_its_invocation(tmp_path: Path, form: str) -> None:
    _, got, spans, _, _ = shipped(tmp_path, APP, [{"order": "a", "fail": True}], AWS_LAMBDA_LOG_FORMAT=form)
    (ids,) = spans.values()
    (error,) = (each for each in got if each.severity == 17)
    assert (error.trace_id, error.span_id) == ids
    assert "out of stock" in json.dumps([error.body, error.attributes])
    if form == "JSON":
        assert error.attributes["exception.type"] == "ValueError"
        assert "in handler" in error.attributes["exception.stacktrace"]


def test_nothing_of_the_function_is_asked_for_unless_it_is_set(tmp_path: Path) -> None:
    _, got, spans, backend, _ = shipped(tmp_path, APP, [{"order": "a"}], HOPTRACE_LOGS="")
    assert len(spans) == 1
    assert got == []
    assert not [each for each in backend.requests if each.path == "/v1/logs"]


def test_what_a_killed_invocation_has_logged_arrives_with_its_ids(tmp_path: Path) -> None:
    hangs = "import time\ndef handler(event, context):\n    print('before')\n    time.sleep(60)\n"
    with Backend() as backend:
        with function(tmp_path, hangs, environment=settings(backend), timeout=1.0) as desk:
            assert desk.invoke()["errorMessage"].endswith("Task timed out after 1.00 seconds")
        (span,) = (span for span in spans_of(backend) if any(p.key == "faas.invocation_id" for p in span.attributes))
        (before,) = (each for each in logs_of(backend) if each.body == "before")
    assert (before.trace_id, before.span_id) == (span.trace_id.hex(), span.span_id.hex())


CHATTY = """
def handler(event, context):
    for number in range(5000):
        print(number, "x" * 80)
"""


def told(backend: Backend, name: str) -> int:
    return sum(
        point.as_int
        for posted in backend.requests
        if posted.path == "/v1/metrics"
        for resource in ExportMetricsServiceRequest.FromString(unpacked(posted)).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == name
        for point in metric.sum.data_points
    )


def test_what_no_backend_takes_stays_within_the_bound_and_is_counted(tmp_path: Path) -> None:
    with Backend() as backend:
        small = settings(backend, HOPTRACE_QUEUE_BYTES=str(256 * 1024))
        with function(tmp_path, CHATTY, environment=small, timeout=30.0) as desk:
            desk.invoke()
        arrived = [each for each in logs_of(backend) if isinstance(each.body, str) and each.body.endswith("xxx")]
        sent = told(backend, "hoptrace.collector.logs_sent")
        dropped = told(backend, "hoptrace.collector.logs_dropped")
    assert 0 < len(arrived) < 5_000
    assert dropped == 5_000 - len(arrived)
    assert sent == len(arrived)


def test_a_dead_backend_for_logs_costs_the_function_nothing_but_them(tmp_path: Path) -> None:
    def answer(posted: Any) -> Any:
        return (503 if posted.path == "/v1/logs" else 200, {}, b"")

    with Backend(answer) as backend:
        with function(tmp_path, APP, environment=settings(backend)) as desk:
            assert desk.invoke({"order": "a"})
            assert desk.invoke({"order": "b"})
        assert [span for span in spans_of(backend) if span.name == "f"]
        assert [each for each in backend.requests if each.path == "/v1/logs"]
    assert not [line for line in desk.lines if "not affected" in line]
