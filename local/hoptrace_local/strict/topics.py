"""SNS: counts a message with its attributes as it does.

At most 262,144 bytes for a message with the names, types and values of its attributes, and for a batch all its messages
together: API reference, Publish and PublishBatch ("both 256 KB (262,144 bytes)"), MessageAttributeValue ("All parts of
the message attribute, including name, type, and value, are included"). A topic whose MaximumMessageSize was raised is
not known here.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from urllib.parse import parse_qsl

from .wire import Answer, Request, refuse_query, size_of

MOST_BYTES = 262_144
_NAMESPACE = "http://sns.amazonaws.com/doc/2010-03-31/"
_COUNTED = re.compile(
    r"(?:PublishBatchRequestEntries\.member\.(?P<entry>\d+)\.)?"
    r"(?P<field>Message|MessageAttributes\.entry\.\d+\.(?:Name|Value\.(?:DataType|StringValue|BinaryValue)))"
)

Send = Callable[[Request], Answer]


def handle(request: Request, send: Send) -> Answer | None:
    """The answer, None for what there is no rule about."""
    if request.operation or (not request.body.startswith(b"Action=") and b"&Action=" not in request.body):
        return None
    fields = parse_qsl(request.body.decode(), keep_blank_values=True)
    action = dict(fields).get("Action")
    if action not in ("Publish", "PublishBatch"):
        return None
    size = sum(_bytes(name, value) for name, value in fields)
    if size <= MOST_BYTES:
        return send(request)
    if action == "Publish":
        return refuse_query("InvalidParameter", "Invalid parameter: Message too long", _NAMESPACE)
    told = f"The length of all the messages put together is more than the limit: {size} bytes, not {MOST_BYTES}."
    return refuse_query("BatchRequestTooLong", told, _NAMESPACE)


def _bytes(name: str, value: str) -> int:
    counted = _COUNTED.fullmatch(name)
    if counted is None:
        return 0
    if counted["field"].endswith("BinaryValue"):
        return len(base64.b64decode(value))
    return size_of(value)
