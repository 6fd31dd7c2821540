"""What each golden event must be read as, and the summary in which that is compared.

A room adds its own events in a file `golden_<room>.py` with a dictionary `EXPECTED`, which is merged into the one here.
"""

import json
from pathlib import Path
from typing import Any

from rooms import of_rooms
from scenarios import PRODUCER, SECOND

from hoptrace.spans.context import SpanContext
from hoptrace.triggers import Arrival

FOLDER = Path(__file__).resolve().parents[1] / "data" / "events"

# An X-Ray header has no room for a tracestate.
IN_TRACE_HEADER = SpanContext(PRODUCER.trace_id, PRODUCER.span_id, 1, "", remote=True)

SQS, SNS, BUS, GATEWAY, URL = "aws_sqs", "aws.sns", "aws.eventbridge", "aws.apigateway", "aws.lambda"

# file: (name, faas.trigger, span name, [(producer, carrier, hops' systems) of each record])
EXPECTED: dict[str, tuple[str, str, str | None, list[tuple[SpanContext | None, str, list[str]]]]] = {
    "recorded/sqs.json": (
        "sqs",
        "pubsub",
        None,
        [(PRODUCER, "traceparent", [SQS]), (SECOND, "traceparent", [SQS])],
    ),
    "recorded/sqs_full.json": ("sqs", "pubsub", None, [(IN_TRACE_HEADER, "xray", [SQS])]),
    "recorded/sns.json": ("sns", "pubsub", None, [(PRODUCER, "traceparent", [SNS])]),
    "recorded/sns_in_sqs.json": ("sqs", "pubsub", None, [(PRODUCER, "traceparent", [SNS, SQS])]),
    "recorded/sns_raw_in_sqs.json": ("sqs", "pubsub", None, [(PRODUCER, "traceparent", [SQS])]),
    "recorded/eventbridge.json": ("eventbridge", "pubsub", None, [(PRODUCER, "traceparent", [BUS])]),
    "recorded/eventbridge_in_sqs.json": ("sqs", "pubsub", None, [(PRODUCER, "traceparent", [BUS, SQS])]),
    "recorded/eventbridge_in_sns.json": ("sns", "pubsub", None, [(PRODUCER, "traceparent", [BUS, SNS])]),
    "recorded/eventbridge_in_sns_in_sqs.json": ("sqs", "pubsub", None, [(PRODUCER, "traceparent", [BUS, SNS, SQS])]),
    "recorded/eventbridge_detail_only.json": ("sqs", "pubsub", None, [(PRODUCER, "traceparent", [SQS])]),
    "recorded/function_url.json": ("function_url", "http", None, [(PRODUCER, "traceparent", [URL])]),
    "recorded/api_gateway_http.json": (
        "api_gateway_http",
        "http",
        "GET /users/{id}",
        [(PRODUCER, "traceparent", [GATEWAY])],
    ),
    "recorded/api_gateway_rest.json": (
        "api_gateway_rest",
        "http",
        "POST /users/{id}",
        [(PRODUCER, "traceparent", [GATEWAY])],
    ),
    "recorded/alb.json": ("alb", "http", None, [(PRODUCER, "traceparent", [])]),
    "sam/alb-request.json": ("alb", "http", None, [(None, "", [])]),
    "sam/apigateway-aws-proxy.json": ("api_gateway_rest", "http", "POST /{proxy+}", [(None, "", [GATEWAY])]),
    "sam/apigateway-http-api-proxy.json": ("api_gateway_http", "http", None, [(None, "", [GATEWAY])]),
    "sam/cloudwatch-scheduled-event.json": ("schedule", "timer", None, [(None, "", [])]),
    # The sample's timestamps are of 1970: no time that can be meant, so no hop.
    "sam/sns-notification.json": ("sns", "pubsub", None, [(None, "", [])]),
    "sam/sqs-receive-message.json": ("sqs", "pubsub", None, [(None, "", [SQS])]),
}

for _room in of_rooms("golden_", "EXPECTED"):
    assert not _room.keys() & EXPECTED.keys(), "one event has one expectation"
    EXPECTED.update(_room)


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def summary(arrival: Arrival) -> tuple[Any, ...]:
    return (
        arrival.name,
        arrival.faas_trigger,
        arrival.span_name,
        [(record.context, record.carrier, [hop.system for hop in record.hops]) for record in arrival.records],
    )
