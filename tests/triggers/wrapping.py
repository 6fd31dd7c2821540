"""Makes messages, events and what services wrap them in, for the tests of what nests."""

import json
import time
from collections.abc import Callable
from typing import Any

from scenarios import PRODUCER

from hoptrace.spans.context import SpanContext, format_traceparent
from hoptrace.triggers import Record, identify

NOON_MS = 1_790_000_000_000
FUNCTION = "arn:aws:lambda:eu-west-1:1:function:worker:$LATEST"
EXECUTION = "arn:aws:states:eu-west-1:1:execution:orders:e-1"


def iso(ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms / 1000)) + f".{ms % 1000:03}Z"


def detail(context: SpanContext | None = PRODUCER, **more: Any) -> dict[str, Any]:
    return {"order": 1, **more, **({"_hoptrace": carried(context)} if context is not None else {})}


def carried(context: SpanContext) -> dict[str, str]:
    texts = {"traceparent": format_traceparent(context), "tracestate": context.trace_state}
    return {name: text for name, text in texts.items() if text}


def message(body: str, at: int = NOON_MS, attributes: dict[str, str] | None = None, **system: str) -> dict[str, Any]:
    return {
        "messageId": "m-1",
        "body": body,
        "attributes": {"SentTimestamp": str(at), "ApproximateReceiveCount": "1", **system},
        "messageAttributes": {
            name: {"stringValue": value, "dataType": "String"} for name, value in (attributes or {}).items()
        },
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:1:orders",
    }


def sqs(*messages: dict[str, Any]) -> dict[str, Any]:
    return {"Records": list(messages)}


def context_object(at: int = NOON_MS, given: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "Execution": {"Id": EXECUTION, "Input": {} if given is None else given, "StartTime": iso(at), "Name": "e-1"},
        "State": {"EnteredTime": iso(at + 10), "Name": "Charge", "RetryCount": 0},
        "StateMachine": {"Id": "arn:aws:states:eu-west-1:1:stateMachine:orders", "Name": "orders"},
        "Task": {"Token": "a secret"},
        **more,
    }


def only(event: Any) -> Record:
    (record,) = identify(event).records
    return record


# --- what can be around something: each takes a document, and gives one that has it inside


def in_notification(inner: Any, at: int) -> Any:
    arn = "arn:aws:sns:eu-west-1:1:news"
    stamp = iso(at)
    return {"Type": "Notification", "MessageId": "n", "TopicArn": arn, "Message": json.dumps(inner), "Timestamp": stamp}


def in_event(inner: Any, at: int) -> Any:
    return {"version": "0", "id": "e", "detail-type": "D", "source": "s", "time": iso(at), "detail": inner}


def in_destination(inner: Any, at: int) -> Any:
    asked = {"requestId": "r-1", "functionArn": FUNCTION, "condition": "RetriesExhausted", "approximateInvokeCount": 3}
    return {"version": "1.0", "timestamp": iso(at), "requestContext": asked, "requestPayload": inner}


def in_execution(inner: Any, at: int) -> Any:
    return {"context": context_object(at, inner)}


def in_pipe(inner: Any, at: int) -> Any:
    return [message(json.dumps(inner), at)]


AROUND: dict[str, tuple[Callable[[Any, int], Any], list[str]]] = {
    "notification": (in_notification, ["aws.sns"]),
    "event": (in_event, ["aws.eventbridge"]),
    "destination": (in_destination, ["aws.lambda"]),
    "execution": (in_execution, ["aws.step_functions", "aws.step_functions"]),
    "pipe": (in_pipe, ["aws_sqs"]),
}
