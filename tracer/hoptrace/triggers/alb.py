"""Application Load Balancer: lower-case headers, or `multiValueHeaders` only, and no time of its own.

Recognised by: an object `requestContext.elb`.
Context: the headers, in `headers` or `multiValueHeaders`, whatever their case; of `x-amzn-trace-id` the trace id.
Hops: none: the event has no time.
Pointers: none.
"""

from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival
from hoptrace.triggers.http import Request, arrive, join_query


def read(event: Shape, name: str) -> Arrival:
    """Read a target group's event; its query parameters are not decoded."""
    headers = event.get("headers") if event.is_object("headers") else event.get("multiValueHeaders")
    request = Request(headers, event.text("httpMethod"), event.text("path"))
    request.query = join_query(
        event.get("multiValueQueryStringParameters"), event.get("queryStringParameters"), decoded=False
    )
    return arrive(name, request)
