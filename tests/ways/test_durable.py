"""Durable functions by AWS's own SDK and local runner: many invocations, one trace, and no step told twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from hoptrace.pointers import derive
from hoptrace.triggers import identify
from tests.collector.support import Backend, attributes_of, spans_of
from tests.support.functions import function

from . import durable_runner

APP = """
import sys
sys.path.insert(0, "PACKAGES")
import hoptrace, hoptrace.spans
from aws_durable_execution_sdk_python import DurableContext, durable_execution
from aws_durable_execution_sdk_python.config import Duration, StepConfig
from aws_durable_execution_sdk_python.retries import RetryStrategyConfig, create_retry_strategy

tried = []

def inside(name):
    def run(step):
        hoptrace.spans.start_span("in " + name).end()
        return hoptrace.current_span().name
    return run

def flaky(step):
    tried.append(step.attempt)
    if step.attempt == 1:
        raise LookupError("not yet")
    return "ok"

def child(context):
    return context.step(inside("child"), name="child step")

@durable_execution
def handler(event, context: DurableContext):
    retry = create_retry_strategy(RetryStrategyConfig(max_attempts=3, initial_delay=Duration.from_seconds(1)))
    current = context.step(inside("reserve"), name="reserve")
    context.wait(Duration.from_seconds(1), name="cool down")
    context.step(flaky, name="charge", config=StepConfig(retry_strategy=retry))
    context.run_in_child_context(child, name="ship")
    if event["fails"]:
        raise ValueError("no such order")
    return {"current": current, "order": event["order"]}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two executions in one environment of a real function: one succeeds, one fails."""
    folder = tmp_path_factory.mktemp("durable")
    port = durable_runner.port()
    with Backend() as backend:
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
            "AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{port}",
        }
        source = APP.replace("PACKAGES", str(durable_runner.packages()))
        with (
            function(folder, source, environment=environment, timeout=20.0) as desk,
            durable_runner.running(desk.host.serve(), port, folder) as runner,
        ):
            arns = [
                runner.start("f", {"order": 7, "fails": fails}, name) for name, fails in (("one", False), ("two", True))
            ]
            ended = [runner.ended(arn) for arn in arns]
        spans = spans_of(backend)
    return {"arns": arns, "ended": ended, "spans": spans, "lines": desk.lines}


def _of(ran: dict[str, Any], arn: str) -> list[Any]:
    trace_id = bytes.fromhex(derive(("aws.lambda.durable_execution", arn)).trace_id)
    return [span for span in ran["spans"] if span.trace_id == trace_id]


def _invocations(spans: list[Any]) -> list[Any]:
    return sorted((span for span in spans if span.name == "f"), key=lambda span: span.start_time_unix_nano)


def test_all_invocations_of_an_execution_are_of_one_trace(ran: dict[str, Any]) -> None:
    assert [each["Status"] for each in ran["ended"]] == ["SUCCEEDED", "FAILED"]
    for arn in ran["arns"]:
        spans = _of(ran, arn)
        told = [attributes_of(span) for span in _invocations(spans)]
        assert len(told) == 3, "from the start to the wait, to the retry, to the end"
        assert {each["durable.execution.arn"] for each in told} == {arn}
        assert [each["durable.invocation.first"] for each in told] == [True, False, False]
        assert {each["hoptrace.trigger"] for each in told} == {"durable"}
    assert {span.name for span in ran["spans"]} >= {"f", "step reserve", "wait cool down"}
    # Nothing of an execution is anywhere else.
    assert sum(len(_invocations(_of(ran, arn))) for arn in ran["arns"]) == len(_invocations(ran["spans"]))


def test_a_replay_does_not_tell_a_finished_step_again(ran: dict[str, Any]) -> None:
    for arn in ran["arns"]:
        spans = _of(ran, arn)
        steps = Counter(span.name for span in spans if span.name.startswith(("step ", "in ")))
        assert steps == {"step reserve": 1, "in reserve": 1, "step charge": 2, "step child step": 1, "in child": 1}
        attempts = sorted(attributes_of(span)["durable.attempt.number"] for span in spans if span.name == "step charge")
        assert attempts == [1, 2]


def test_what_runs_in_the_sdks_thread_belongs_to_its_step_and_that_to_its_invocation(ran: dict[str, Any]) -> None:
    for arn in ran["arns"]:
        spans = _of(ran, arn)
        by_id = {span.span_id: span for span in spans}
        invocations = _invocations(spans)
        parents = {span.name: by_id[span.parent_span_id] for span in spans if span.name in ("in reserve", "in child")}
        assert {name: parent.name for name, parent in parents.items()} == {
            "in reserve": "step reserve",
            "in child": "step child step",
        }
        assert parents["in reserve"].parent_span_id == invocations[0].span_id
        assert parents["in child"].parent_span_id == invocations[2].span_id
        failed = next(span for span in spans if span.name == "step charge" and span.status.code == 2)
        assert attributes_of(failed)["error.type"] == "LookupError"
        assert failed.parent_span_id == invocations[1].span_id
    assert '"current": "step reserve"' in str(ran["ended"][0]).replace("\\", "").replace("'", '"')


def test_pending_is_no_end_and_no_error_and_failed_is_an_error(ran: dict[str, Any]) -> None:
    good, bad = (_invocations(_of(ran, arn)) for arn in ran["arns"])
    statuses = [[attributes_of(span)["durable.invocation.status"] for span in each] for each in (good, bad)]
    assert statuses == [["PENDING", "PENDING", "SUCCEEDED"], ["PENDING", "PENDING", "FAILED"]]
    assert [span.status.code for span in good] == [0, 0, 0]
    assert [span.status.code for span in bad] == [0, 0, 2]
    assert attributes_of(bad[2])["error.type"] == "ValueError"
    assert bad[2].status.message == "no such order"


def test_waiting_shows_as_waiting_once(ran: dict[str, Any]) -> None:
    for arn in ran["arns"]:
        spans = _of(ran, arn)
        (wait,) = (span for span in spans if span.name == "wait cool down")
        second = _invocations(spans)[1]
        assert 0.9e9 < wait.end_time_unix_nano - wait.start_time_unix_nano < 10e9
        assert second.parent_span_id == wait.span_id
        assert wait.end_time_unix_nano <= second.start_time_unix_nano


EVENT: dict[str, Any] = {
    "DurableExecutionArn": "arn:aws:lambda:us-east-1:123456789012:function:f:1/durable-execution/n/1",
    "CheckpointToken": "t",
    "InitialExecutionState": {
        "Operations": [
            {
                "Id": "e",
                "Type": "EXECUTION",
                "Status": "STARTED",
                "StartTimestamp": 1790000000000,
                "ExecutionDetails": {
                    "InputPayload": '{"_hoptrace": {"traceparent": "00-' + "a" * 32 + "-" + "b" * 16 + '-01"}}'
                },
            }
        ],
        "NextMarker": "",
    },
}


def test_who_started_the_execution_is_the_parent_of_every_invocation() -> None:
    for operations in ([], [{"Id": "w", "Type": "WAIT", "Status": "STARTED"}]):
        state = EVENT["InitialExecutionState"]
        event = EVENT | {"InitialExecutionState": state | {"Operations": [*state["Operations"], *operations]}}
        (record,) = identify(event).records
        assert record.context is not None
        assert (record.context.trace_id, record.context.span_id) == ("a" * 32, "b" * 16)
        assert record.attributes["durable.invocation.first"] is (not operations)


def test_a_caller_that_only_this_invocation_is_told_of_is_linked_to_and_splits_no_trace() -> None:
    class Context:
        client_context = type("C", (), {"custom": {"traceparent": "00-" + "c" * 32 + "-" + "d" * 16 + "-01"}})

    state = {"Operations": [], "NextMarker": ""}
    event = EVENT | {"InitialExecutionState": state}
    (record,) = identify(event, Context()).records
    assert record.context is None
    assert record.root == derive(("aws.lambda.durable_execution", EVENT["DurableExecutionArn"])).trace_id
    assert "c" * 32 in {link.trace_id for link, _ in record.links}
