"""What Lambda writes about an asynchronous invocation: the record for destinations, the attributes of a dead letter.

Source: AWS Lambda developer guide, "Capturing records of Lambda asynchronous invocations".
"""

from __future__ import annotations

import json
from typing import Any

from .invocation import Invocation, iso_time

#: Bytes of the error's message in a dead letter's attributes.
_MAX_ERROR = 1024


def destination_record(
    *, request_id: str, arn: str, payload: bytes, condition: str, invoked: int, last: Invocation | None
) -> dict[str, Any]:
    """The record for a destination; `condition` is Success, RetriesExhausted or EventAgeExceeded.

    `arn` is qualified, `invoked` counts the attempts that reached the function, `last` is the last of them.
    """
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": iso_time(),
        "requestContext": {
            "requestId": request_id,
            "functionArn": arn,
            "condition": condition,
            "approximateInvokeCount": invoked,
        },
        "requestPayload": _decoded(payload),
    }
    if last is not None:
        context: dict[str, Any] = {"statusCode": last.status_code, "executedVersion": "$LATEST"}
        if last.function_error is not None:
            context["functionError"] = last.function_error
        record["responseContext"] = context
        record["responsePayload"] = _decoded(last.answer)
    return record


def dead_letter_attributes(request_id: str, last: Invocation | None) -> dict[str, dict[str, str]]:
    """The message attributes of a dead letter."""
    message = ""
    if last is not None:
        answer = _decoded(last.answer)
        message = str(answer.get("errorMessage", "")) if isinstance(answer, dict) else ""
    code = last.status_code if last is not None else 429
    attributes = {
        "RequestID": {"DataType": "String", "StringValue": request_id},
        "ErrorCode": {"DataType": "Number", "StringValue": str(code)},
    }
    if message:  # a message attribute cannot be empty
        cut = message.encode()[:_MAX_ERROR].decode("utf-8", "ignore")
        attributes["ErrorMessage"] = {"DataType": "String", "StringValue": cut}
    return attributes


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
