"""SQS: counts attributes and bytes as it does, and gives messages the trace headers that they came with.

- At most ten message attributes, and 1 MiB for a message with them, for a batch all its messages together: developer
  guide, "Amazon SQS message quotas"; API reference, SendMessageBatch, `BatchRequestTooLong`. Name, type and value
  count: "Amazon SQS message metadata".
- The request's tracing header becomes the AWSTraceHeader of every message that brings none, which counts in neither
  quota: X-Ray developer guide, "Amazon SQS and AWS X-Ray". Emulators forget what an entry of a batch brings of these,
  so such an entry is sent by itself.
- An event that a bus put into a queue has the trace header that it was put with: EventBridge user guide, "Amazon
  EventBridge integration with AWS X-Ray".
- A message with more attributes can only be a topic's raw delivery, and those are discarded: SNS developer guide,
  "Amazon SNS message attributes".

Of the JSON protocol, which is what every botocore since 2023 speaks with SQS.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from .buses import Buses
from .wire import MOST_ATTRIBUTES, Answer, Request, refuse, size_of

MOST_BYTES = 1_048_576
_HEADER = "AWSTraceHeader"
_INVALID = ("com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue")
_TOO_LONG = (
    "com.amazonaws.sqs#BatchRequestTooLong",
    "AWS.SimpleQueueService.BatchRequestTooLong",
)

Send = Callable[[Request], Answer]


class Queues:
    """The rules of SQS; `buses` knows the trace headers of events."""

    def __init__(self, buses: Buses) -> None:
        self._buses = buses

    def handle(self, request: Request, send: Send) -> Answer | None:
        """The answer, None for what there is no rule about."""
        name = request.operation.removeprefix("AmazonSQS.")
        if name == "SendMessage":
            return _one(request, send)
        if name == "SendMessageBatch":
            return _batch(request, send)
        if name == "ReceiveMessage":
            return self._receive(request, send)
        return None

    def _receive(self, request: Request, send: Send) -> Answer:
        asked = json.loads(request.body)
        everything = {**asked, "MessageAttributeNames": ["All"], "MessageSystemAttributeNames": ["All"]}
        answer = send(request.with_json(everything))
        if answer.status != 200:
            return answer
        document = json.loads(answer.body)
        kept = []
        for message in document.get("Messages", []):
            if len(message.get("MessageAttributes", {})) > MOST_ATTRIBUTES:
                _discard(request, asked, message, send)
                continue
            header = self._buses.header_of(message.get("Body", ""))
            if header:
                message.setdefault("Attributes", {}).setdefault(_HEADER, header)
            kept.append(_as_asked(message, asked))
        return answer.with_json({**document, "Messages": kept} if kept else {})


def _one(request: Request, send: Send) -> Answer:
    message = json.loads(request.body)
    refused = _refusal(message)
    if refused:
        return refuse(_INVALID[0], refused, _INVALID[1])
    return send(request.with_json(_traced(message, request.trace_header)))


def _batch(request: Request, send: Send) -> Answer:
    batch = json.loads(request.body)
    entries = batch.get("Entries", [])
    size = sum(_size(entry) for entry in entries)
    if size > MOST_BYTES:
        told = f"Batch requests cannot be longer than {MOST_BYTES} bytes. You have sent {size} bytes."
        return refuse(_TOO_LONG[0], told, _TOO_LONG[1])
    plain, sent, failed = [], [], []
    for entry in (_traced(entry, request.trace_header) for entry in entries):
        refused = _refusal(entry)
        if refused:
            failed.append(_failure(entry, _INVALID[1], refused))
        elif not entry.get("MessageSystemAttributes"):
            plain.append(entry)
        else:
            alone = send(_alone(request, batch, entry))
            told = json.loads(alone.body)
            if alone.status == 200:
                sent.append({"Id": entry.get("Id"), **told})
            else:
                failed.append(_failure(entry, str(told.get("__type")).rpartition("#")[2], str(told.get("message"))))
    answer = Answer(200, {"Content-Type": "application/x-amz-json-1.0"}, b"{}")
    if plain or not entries:
        answer = send(request.with_json({**batch, "Entries": plain}))
        if answer.status != 200:
            return answer
    document = json.loads(answer.body)
    sent += document.get("Successful", [])
    failed += document.get("Failed", [])
    return answer.with_json({**document, "Successful": sent, "Failed": failed})


def _alone(request: Request, batch: dict[str, Any], entry: dict[str, Any]) -> Request:
    headers = {**request.headers, "x-amz-target": "AmazonSQS.SendMessage"}
    message = {name: value for name, value in entry.items() if name != "Id"}
    return Request(request.method, request.path, headers, request.body).with_json(
        {"QueueUrl": batch.get("QueueUrl"), **message}
    )


def _failure(entry: dict[str, Any], code: str, message: str) -> dict[str, Any]:
    return {"Id": entry.get("Id"), "SenderFault": True, "Code": code, "Message": message}


def _refusal(message: dict[str, Any]) -> str:
    count = len(message.get("MessageAttributes") or {})
    if count > MOST_ATTRIBUTES:
        return f"Number of message attributes [{count}] exceeds the allowed maximum [{MOST_ATTRIBUTES}]."
    if _size(message) > MOST_BYTES:
        return f"One or more parameters are invalid. Reason: Message must be shorter than {MOST_BYTES} bytes."
    return ""


def _size(message: dict[str, Any]) -> int:
    size = size_of(message.get("MessageBody"))
    for name, value in (message.get("MessageAttributes") or {}).items():
        size += size_of(name) + size_of(value.get("DataType")) + size_of(value.get("StringValue"))
        size += len(base64.b64decode(value.get("BinaryValue") or ""))
    return size


def _traced(message: dict[str, Any], header: str) -> dict[str, Any]:
    system = message.get("MessageSystemAttributes") or {}
    if not header or _HEADER in system:
        return message
    return {**message, "MessageSystemAttributes": {**system, _HEADER: {"DataType": "String", "StringValue": header}}}


def _discard(request: Request, asked: dict[str, Any], message: dict[str, Any], send: Send) -> None:
    headers = {**request.headers, "x-amz-target": "AmazonSQS.DeleteMessage"}
    gone = {"QueueUrl": asked.get("QueueUrl"), "ReceiptHandle": message.get("ReceiptHandle")}
    send(Request("POST", request.path, headers, json.dumps(gone).encode()))


def _as_asked(message: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Take out again what the client did not ask for."""
    found = dict(message)
    names = asked.get("MessageAttributeNames") or []
    attributes = {name: value for name, value in message.get("MessageAttributes", {}).items() if _named(name, names)}
    system_names = [*(asked.get("MessageSystemAttributeNames") or []), *(asked.get("AttributeNames") or [])]
    system = {name: value for name, value in message.get("Attributes", {}).items() if _named(name, system_names)}
    for key, values in (("MessageAttributes", attributes), ("Attributes", system)):
        found.pop(key, None)
        if values:
            found[key] = values
    if not attributes:
        found.pop("MD5OfMessageAttributes", None)
    return found


def _named(name: str, names: list[str]) -> bool:
    return any(one in ("All", ".*", name) or (one.endswith(".*") and name.startswith(one[:-2])) for one in names)
