"""Application Load Balancer: lower-case headers, or `multiValueHeaders` only, and no time of its own.

Recognised by: `requestContext.elb`
Context: header `traceparent`
Hops: none (the event has no time)
Pointers: none
"""

from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival
from hoptrace.triggers.http import Request, arrive, headers_of, join_query


def read(event: Shape, name: str) -> Arrival:
    """Read a target group's event; its query parameters are not decoded."""
    request = Request(headers_of(event), event.text("httpMethod"), event.text("path"))
    request.query = join_query(
        event.get("multiValueQueryStringParameters"), event.get("queryStringParameters"), decoded=False
    )
    return arrive(name, request)
