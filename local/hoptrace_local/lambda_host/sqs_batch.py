"""A batch of messages on its way in and out: the event's records, and which of them an answer calls failed.

Source: AWS Lambda developer guide, "Using Lambda with Amazon SQS" and "Implementing partial batch responses".
"""

from __future__ import annotations

import base64
import json
from typing import Any

Message = dict[str, Any]


def as_record(message: Message, queue_arn: str) -> dict[str, Any]:
    """One element of `Records` from a message as ReceiveMessage brings it."""
    record: dict[str, Any] = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()},
        "md5OfBody": message.get("MD5OfBody", ""),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }
    if "MD5OfMessageAttributes" in message:
        record["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
    return record


def failed_messages(answer: bytes, batch: set[str]) -> set[str]:
    """The ids of `batch` that an answer with ReportBatchItemFailures leaves in the queue.

    All of them when the answer is not what Lambda takes for a partial answer: no JSON object, or an id under another
    name, empty, no text, or not of this batch.
    """
    try:
        decoded = json.loads(answer)
    except ValueError:
        return batch
    if decoded is None:
        return set()
    if not isinstance(decoded, dict):
        return batch
    failures = decoded.get("batchItemFailures") or []
    if not isinstance(failures, list):
        return batch
    named = set()
    for item in failures:
        identifier = item.get("itemIdentifier") if isinstance(item, dict) else None
        if not isinstance(identifier, str) or identifier not in batch:
            return batch
        named.add(identifier)
    return named


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    attribute: dict[str, Any] = {}
    if "StringValue" in value:
        attribute["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        attribute["binaryValue"] = base64.b64encode(value["BinaryValue"]).decode()
    return {**attribute, "stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
