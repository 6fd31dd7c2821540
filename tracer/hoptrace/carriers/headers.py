"""HTTP headers, of a request that came in as an event or that goes out through a client.

Calls: requests, urllib3, httpx, aiohttp, urllib.request, http.client.
Written: headers in every listed format.
Read: headers, whatever their case; of `X-Amzn-Trace-Id` the trace id, since its Parent exists in X-Ray only.
Limits: none.
Without room: everything is written.
Default: on (`http` is its name in `HOPTRACE_INJECT_DISABLED`).
"""

from hoptrace.propagation import XRAY, aws_headers, choices, extract, has_context, without_passed_on
from hoptrace.shape import Shape
from hoptrace.spans.context import SpanContext, parse_xray_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any


def inject_headers(names: "Collection[str]", context: SpanContext) -> dict[str, str]:
    """Return the headers to add to those that a request has (`names`, in lower case); {} when it has a context."""
    found = choices(context, header=True)
    if not found or has_context(names):
        return {}
    return {name: value for name, value in found[0].items() if name not in names}


def passed_on(headers: "dict[str, Any]", context: SpanContext) -> "set[Any]":
    """Return which of `headers` (by names in lower case) are a context that came here and is only passed on."""
    return headers.keys() - without_passed_on(headers, context).keys()


def extract_headers(headers: Shape) -> SpanContext | None:
    """Read the context from an object of HTTP headers, whatever the case of their names."""
    return extract(headers.header)


def extract_headers_root(headers: Shape) -> str:
    """Read the trace id of `X-Amzn-Trace-Id`, "" without; API Gateway's and ALB's Parent exists in X-Ray only."""
    return (parse_xray_root(headers.header(XRAY)) or "") if aws_headers() else ""
