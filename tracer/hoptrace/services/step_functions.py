"""Step Functions: starting executions, and ending a task from outside.

A file because what is injected stands half in a parameter of its own and half in the user's data.
"""

import time

from ..settings import settings, trace_header
from ..spans.context import SpanContext
from .fields import Field, arn, text, values
from .row import Params, Row, Service

_NAME = "stepfunctions"


def start(params: Params, context: SpanContext) -> Params:
    """`StartExecution`, which can be repeated under one name as long as the input stays the same."""
    return _start(params, context, named=True)


def start_sync(params: Params, context: SpanContext) -> Params:
    """`StartSyncExecution`, which starts another execution each time."""
    return _start(params, context, named=False)


def _start(params: Params, context: SpanContext, named: bool) -> Params:
    from ..carriers import step_functions as to_execution

    now_ms = time.time_ns() // 1_000_000
    data = _NAME in settings().inject_enabled
    written = to_execution.inject_start(params, context, now_ms, trace_header(), data, named)
    return params if written is params else dict(written)


def succeed(params: Params, context: SpanContext) -> Params:
    """`SendTaskSuccess`."""
    from ..carriers import step_functions as to_execution

    written = to_execution.inject_success(params, context, time.time_ns() // 1_000_000)
    return params if written is params else dict(written)


def execution(_params: Params, response: object) -> list[tuple[str, ...]]:
    """Where the functions of the execution are to be met, whatever of the context reaches them."""
    found = values(response, ("executionArn",))
    return [("aws.states", found[0])] if found and isinstance(found[0], str) else []


_RESOURCES = (
    Field("aws.step_functions.state_machine.arn", arn, "stateMachineArn"),
    Field("aws.step_functions.activity.arn", arn, "activityArn"),
)
_EXECUTION = Field("hoptrace.step_functions.execution_arn", text, "executionArn")
_STARTED = (*_RESOURCES, _EXECUTION)

STEP_FUNCTIONS = Service(
    other=Row(request=(*_RESOURCES, _EXECUTION), response=_STARTED),
    rows={
        "StartExecution": Row(
            request=_RESOURCES, response=_STARTED, inject=start, pointers=execution, always_points=True
        ),
        "StartSyncExecution": Row(
            request=_RESOURCES,
            response=_STARTED,
            inject=start_sync,
            pointers=execution,
            always_points=True,
            failed=("error",),
        ),
        "SendTaskSuccess": Row(inject=succeed, opt_in=True),
    },
)
