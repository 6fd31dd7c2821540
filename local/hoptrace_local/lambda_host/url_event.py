"""The event that a function URL makes of an HTTP request, and the HTTP answer that it makes of what came back.

Both in payload format 2.0. Source: AWS Lambda developer guide, "Invoking Lambda function URLs".
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from .config import FunctionConfig
from .invocation import Invocation

_TEXT = ("text/", "application/json", "application/javascript", "application/xml", "+json", "+xml")
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass(frozen=True)
class HttpAnswer:
    """What the URL's caller gets."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()


def url_domain(config: FunctionConfig) -> str:
    """The domain that a function's URL would have, the same in every run."""
    digest = hashlib.sha256(config.arn.encode()).digest()
    label = "".join(_LETTERS[byte % 32] for byte in digest)
    return f"{label}.lambda-url.{config.region}.on.aws"


def url_event(
    *,
    method: str,
    raw_target: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    source_ip: str,
    domain: str,
    request_id: str,
    trace_header: str,
) -> dict[str, Any]:
    """The event; `raw_target` is the path and query as they came, `headers` keeps those that came twice."""
    path, _, query = raw_target.partition("?")
    joined: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in headers:
        name = name.lower()
        if name == "cookie":
            cookies += [cookie.strip() for cookie in value.split(";") if cookie.strip()]
        else:
            joined[name] = f"{joined[name]},{value}" if name in joined else value
    now = time.time()
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        **({"cookies": cookies} if cookies else {}),
        "headers": {
            **joined,
            "host": domain,
            "x-amzn-tls-cipher-suite": "TLS_AES_128_GCM_SHA256",
            "x-amzn-tls-version": "TLSv1.3",
            "x-amzn-trace-id": trace_header.partition(";")[0],
            "x-forwarded-for": ",".join(filter(None, [joined.get("x-forwarded-for"), source_ip])),
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "anonymous",
            "apiId": domain.partition(".")[0],
            "domainName": domain,
            "domainPrefix": domain.partition(".")[0],
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": source_ip,
                "userAgent": joined.get("user-agent", ""),
            },
            "requestId": request_id,
            "routeKey": "$default",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        },
    }
    if query:
        event["queryStringParameters"] = _joined_query(query)
    if body:
        event["body"], event["isBase64Encoded"] = _encoded(body, joined.get("content-type", ""))
    else:
        event["isBase64Encoded"] = False
    return event


def url_answer(invocation: Invocation) -> HttpAnswer:
    """The HTTP answer of what the function returned; a function error is 502, a throttled invocation 429."""
    if invocation.status_code != 200:
        return HttpAnswer(invocation.status_code, invocation.answer, {"content-type": "application/json"})
    if invocation.function_error is not None:
        return _BAD
    try:
        returned = json.loads(invocation.answer)
    except ValueError:
        return _BAD
    if not isinstance(returned, dict) or "statusCode" not in returned:
        # A text is the body as it is, anything else is written as JSON.
        body = returned.encode() if isinstance(returned, str) else invocation.answer
        return HttpAnswer(200, body, {"content-type": "application/json"})
    return _mapped(returned)


_BAD = HttpAnswer(502, b"Internal Server Error", {"content-type": "application/json"})


def _mapped(returned: dict[str, Any]) -> HttpAnswer:
    try:
        status = int(returned["statusCode"])
        body = returned.get("body") or ""
        text = body if isinstance(body, str) else json.dumps(body)
        data = base64.b64decode(text, validate=True) if returned.get("isBase64Encoded") else text.encode()
        headers = {str(name).lower(): _header(value) for name, value in (returned.get("headers") or {}).items()}
        cookies = tuple(map(str, returned.get("cookies") or ()))
    except (AttributeError, TypeError, ValueError):
        return _BAD
    if not 100 <= status <= 599:
        return _BAD
    return HttpAnswer(status, data, {"content-type": "application/json", **headers}, cookies)


def _header(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _joined_query(query: str) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _encoded(body: bytes, content_type: str) -> tuple[str, bool]:
    kind = content_type.partition(";")[0].strip().lower()
    if any(kind.startswith(text) or kind.endswith(text) for text in _TEXT):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode(), True
