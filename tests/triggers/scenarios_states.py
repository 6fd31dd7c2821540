"""What the functions of a state machine get: with the context object, without, and from whoever ended a task."""

import json
import time
from typing import Any

from real_aws import ACCOUNT, RealAws
from scenarios import PRODUCER, SECOND

from hoptrace.carriers import eventbridge as to_bus
from hoptrace.carriers import step_functions as to_execution

ROLE = f"arn:aws:iam::{ACCOUNT}:role/r"


def _task(arn: str, payload: dict[str, Any]) -> dict[str, Any]:
    parameters = {"FunctionName": arn, "Payload": payload}
    resource = "arn:aws:states:::lambda:invoke"
    return {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}


def _machine(aws: RealAws, name: str, states: dict[str, Any]) -> str:
    definition = {"StartAt": next(iter(states)), "States": states}
    made = aws.client("stepfunctions").create_state_machine(name=name, definition=json.dumps(definition), roleArn=ROLE)
    return str(made["stateMachineArn"])


def _start(aws: RealAws, machine: str, data: bool) -> None:
    entry = {"stateMachineArn": machine, "input": '{"order": 1}'}
    now_ms = int(time.time() * 1000)
    aws.client("stepfunctions").start_execution(**to_execution.inject_start(entry, PRODUCER, now_ms, data=data))


# MiniStack leaves the whole of it, `$$`, empty, so each of its members is named.
_CONTEXT = {"Execution.$": "$$.Execution", "State.$": "$$.State", "StateMachine.$": "$$.StateMachine"}
_BESIDE = {"input.$": "$", "context": _CONTEXT}


def step_functions(aws: RealAws) -> Any:
    """The context object under a key of the author's, and the reserved key in what the execution began with."""
    task = _task(aws.function("step_functions"), _BESIDE)
    _start(aws, _machine(aws, "orders", {"Charge": task}), data=True)
    return aws.event_for("step_functions")


def step_functions_merged(aws: RealAws) -> Any:
    """The context object at the top, as far as the author took it over, and nothing injected."""
    task = _task(aws.function("step_functions_merged"), {**_CONTEXT, "order": 1})
    _start(aws, _machine(aws, "merged", {"Charge": task}), data=False)
    return aws.event_for("step_functions_merged")


def step_functions_input_only(aws: RealAws) -> Any:
    """A task that gets the state's input as it is."""
    task = {"Type": "Task", "Resource": aws.function("step_functions_input_only"), "End": True}
    _start(aws, _machine(aws, "plain", {"Charge": task}), data=True)
    return aws.event_for("step_functions_input_only")


def step_functions_joined(aws: RealAws) -> Any:
    """After a Parallel state: an array of what its branches made of the input."""
    branch = {"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": True}}}
    join = {"Type": "Task", "Resource": aws.function("step_functions_joined"), "End": True}
    states = {"Both": {"Type": "Parallel", "Branches": [branch, branch], "Next": "Join"}, "Join": join}
    _start(aws, _machine(aws, "joined", states), data=True)
    return aws.event_for("step_functions_joined")


def eventbridge_in_step_functions(aws: RealAws) -> Any:
    task = _task(aws.function("eventbridge_in_step_functions"), _BESIDE)
    machine = _machine(aws, "by-rule", {"Charge": task})
    aws.rule("to-machine", "shop.sfn", machine, RoleArn=ROLE)
    entry = {"Source": "shop.sfn", "DetailType": "OrderPlaced", "Detail": '{"order": 1}'}
    now_ms = int(time.time() * 1000)
    aws.client("events").put_events(Entries=to_bus.inject_batch([entry], lambda _: PRODUCER, now_ms))
    return aws.event_for("eventbridge_in_step_functions")


def step_functions_in_sqs(aws: RealAws) -> Any:
    """A state machine sends a message and waits for somebody to end the task."""
    url, _ = aws.queue("jobs", aws.function("step_functions_in_sqs"))
    send = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": url, "MessageBody": {**_BESIDE, "token.$": "$$.Task.Token"}},
        "End": True,
    }
    _start(aws, _machine(aws, "waits", {"Ask": send}), data=True)
    return aws.event_for("step_functions_in_sqs")


def step_functions_called_back(aws: RealAws) -> Any:
    """The next state after a task that somebody outside ended: whoever did that is the producer now."""
    url, _ = aws.queue("callbacks", aws.function("callback"))
    ask = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": url, "MessageBody": {"token.$": "$$.Task.Token"}},
        "Next": "Go",
    }
    go = _task(aws.function("step_functions_called_back"), _BESIDE)
    _start(aws, _machine(aws, "called-back", {"Ask": ask, "Go": go}), data=True)
    token = json.loads(aws.event_for("callback")["Records"][0]["body"])["token"]
    answer = to_execution.inject_success(
        {"taskToken": token, "output": '{"paid": true}'}, SECOND, int(time.time() * 1000)
    )
    aws.client("stepfunctions").send_task_success(**answer)
    return aws.event_for("step_functions_called_back")


SCENARIOS = (
    step_functions,
    step_functions_merged,
    step_functions_input_only,
    step_functions_joined,
    eventbridge_in_step_functions,
    step_functions_in_sqs,
    step_functions_called_back,
)
