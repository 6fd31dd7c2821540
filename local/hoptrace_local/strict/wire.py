"""A request and an answer on their way through the front, and AWS's two ways of saying no."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import unquote
from xml.sax.saxutils import escape

#: Attributes of a message by SQS's quotas; SNS counts the same for raw delivery to SQS.
MOST_ATTRIBUTES = 10


@dataclass(frozen=True)
class Request:
    """What a client asks; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def operation(self) -> str:
        """`AmazonSQS.SendMessage` of a JSON protocol's request, else empty."""
        return self.headers.get("x-amz-target", "")

    @property
    def trace_header(self) -> str:
        """The tracing header of the whole request; botocore percent-encodes it."""
        return unquote(self.headers.get("x-amzn-trace-id", ""))

    def with_json(self, document: Any) -> Self:
        """The same request with another body."""
        return replace(self, body=json.dumps(document).encode())


@dataclass(frozen=True)
class Answer:
    """What a client gets; header names as the emulator wrote them."""

    status: int
    headers: dict[str, str]
    body: bytes

    def with_json(self, document: Any) -> Self:
        """The same answer with another body, whose checksum is none of the old one's."""
        headers = {name: value for name, value in self.headers.items() if not name.lower().startswith("x-amz-crc")}
        return replace(self, headers=headers, body=json.dumps(document).encode())


def refuse(code: str, message: str, query_code: str = "") -> Answer:
    """An error of a JSON protocol; `query_code` is what it was called in the query protocol before."""
    headers = {"Content-Type": "application/x-amz-json-1.0", "x-amzn-RequestId": "strict"}
    if query_code:
        headers["x-amzn-query-error"] = f"{query_code};Sender"
    return Answer(400, headers, json.dumps({"__type": code, "message": message}).encode())


def refuse_query(code: str, message: str, namespace: str) -> Answer:
    """An error of the query protocol."""
    body = (
        f'<ErrorResponse xmlns="{namespace}"><Error><Type>Sender</Type><Code>{escape(code)}</Code>'
        f"<Message>{escape(message)}</Message></Error><RequestId>strict</RequestId></ErrorResponse>"
    )
    return Answer(400, {"Content-Type": "text/xml"}, body.encode())


def size_of(text: Any) -> int:
    """The bytes of a text in UTF-8."""
    return len(str(text).encode("utf-8", "surrogatepass")) if text else 0
