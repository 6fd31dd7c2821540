"""Payload format 2.0, which HTTP APIs and function URLs share."""

from hoptrace.shape import Shape
from hoptrace.triggers.http import Request


def request_of(event: Shape) -> Request:
    """Read the request out of a payload format 2.0 event."""
    context = event.get("requestContext")
    path = event.text("rawPath") or context.text("http", "path")
    request = Request(event.get("headers"), context.text("http", "method"), path)
    # "GET /users/{id}"; "$default" is no route.
    request.route = context.text("routeKey").partition(" ")[2]
    request.query = event.text("rawQueryString")
    request.host = context.text("domainName") or request.host
    request.client = context.text("http", "sourceIp") or request.client
    request.protocol = context.text("http", "protocol")
    request.started_ms = context.number("timeEpoch")
    return request
