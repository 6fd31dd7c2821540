"""Starting executions and asynchronous invocations: what goes over the wire, and where what it starts is met."""

import json

import pytest

from hoptrace import clients, testing
from hoptrace.lineage import lay_out
from hoptrace.pointers import POINTER, derive
from hoptrace.settings import Settings
from hoptrace.spans import SERVER, activate, restore, start_span
from hoptrace.spans.context import parse_xray, parse_xray_root
from hoptrace.triggers import identify

MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:orders"
EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:orders:e-1"
ANSWER = (200, {}, json.dumps({"executionArn": EXECUTION, "startDate": 1}).encode())


def sent(wire):
    return json.loads(wire.requests[-1].body)


def start(wire, operation="start_execution", **parameters):
    one = wire("stepfunctions", ANSWER)
    getattr(one.client, operation)(stateMachineArn=MACHINE, **parameters)
    return one


@pytest.mark.parametrize("operation", ["start_execution", "start_sync_execution"])
def test_an_execution_gets_the_trace_header_and_its_input_as_it_was(operation, wire, recorded):
    body = sent(start(wire, operation, input='{"order":  1}'))
    (span,) = recorded.spans
    assert body["input"] == '{"order":  1}'
    header = parse_xray(body["traceHeader"])
    assert (header.trace_id, header.span_id) == (span.context.trace_id, span.context.span_id)


def test_in_lambda_the_http_header_which_wins_says_the_same(wire, in_lambda):
    one = start(wire)
    assert one.header("X-Amzn-Trace-Id") == sent(one)["traceHeader"]
    assert sent(one)["traceHeader"].endswith(";Lineage=1:e547cb94:0")


def test_who_starts_an_execution_and_its_functions_meet_at_its_arn(wire, recorded):
    start(wire)
    (span,) = recorded.spans
    (link,) = span.links
    meeting = derive(("aws.states", EXECUTION))
    assert (link.context.trace_id, link.context.span_id) == (meeting.trace_id, meeting.span_id)
    assert link.attributes == {POINTER: "aws.states"}
    event = {
        "Execution": {"Id": EXECUTION, "StartTime": "2026-11-23T16:24:05.123Z"},
        "State": {"Name": "Charge", "EnteredTime": "2026-11-23T16:24:05.223Z"},
        "StateMachine": {"Id": MACHINE, "Name": "orders"},
    }
    laid = lay_out(identify(event), "f", 1_900_000_000 * 10**9, "r", "9" * 32, Settings({}))
    assert laid.invocation.context.trace_id == link.context.trace_id


@pytest.mark.parametrize("named", [{}, {"name": "order-1"}])
def test_where_it_is_asked_for_the_input_carries_the_context_unless_a_name_makes_the_call_repeatable(named, wire):
    with testing.recorder({"HOPTRACE_INJECT_ENABLED": "stepfunctions"}) as recorder:
        clients.install()
        body = sent(start(wire, input='{"order": 1}', **named))
        (span,) = recorder.spans
    if named:
        assert body["input"] == '{"order": 1}'
        return
    assert identify(json.loads(body["input"])).records[0].context.span_id == span.context.span_id


@pytest.mark.parametrize(("enabled", "carried"), [("", False), ("stepfunctions", True)])
def test_the_end_of_a_task_carries_the_context_only_where_that_is_asked_for(enabled, carried, wire):
    with testing.recorder({"HOPTRACE_INJECT_ENABLED": enabled}):
        clients.install()
        one = wire("stepfunctions", (200, {}, b"{}"))
        one.client.send_task_success(taskToken="t", output='{"paid":  true}')
        assert ("_hoptrace" in sent(one)["output"]) == carried
        assert sent(one)["output"].startswith('{"paid":  true')


def test_a_service_that_is_switched_off_gets_nothing(wire, monkeypatch):
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
    knobs = {"HOPTRACE_INJECT_DISABLED": "stepfunctions", "HOPTRACE_INJECT_ENABLED": "stepfunctions"}
    with testing.recorder({"AWS_LAMBDA_FUNCTION_NAME": "f", **knobs}):
        clients.install()
        assert sent(start(wire, input="{}")) == {"stateMachineArn": MACHINE, "input": "{}"}


def test_a_function_that_is_invoked_asynchronously_is_in_the_trace_of_its_caller(wire, in_lambda, monkeypatch):
    """The caller's trace is a message's, not the one of the header that Lambda gave it; the payload stays."""
    caller = start_span("caller", SERVER)
    token = activate(caller)
    try:
        one = wire("lambda", (202, {}, b""))
        one.client.invoke(FunctionName="next", InvocationType="Event", Payload=b'{"order": 1}')
    finally:
        restore(token)
        caller.end()
    header = one.header("X-Amzn-Trace-Id")
    assert one.requests[-1].body == b'{"order": 1}'
    assert header.endswith(";Lineage=1:e547cb94:0")
    # Lambda hands the function what the call came with, as its own segment's child.
    root = parse_xray_root(header)
    called = lay_out(identify({"order": 1}), "next", 1, "r", root, Settings({}))
    assert called.invocation.context.trace_id == caller.context.trace_id
