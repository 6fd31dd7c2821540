"""API Gateway REST API, and every API that uses payload format 1.0.

Recognised by: `httpMethod`, `resource` and an object `requestContext` (payload format 1.0).
Context: the headers, in `headers` or `multiValueHeaders`, whatever their case; of `x-amzn-trace-id` the trace id.
Hops: API Gateway, from `requestContext.requestTimeEpoch`.
Pointers: none.
"""

from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival
from hoptrace.triggers.http import Request, arrive, join_query


def read(event: Shape, name: str) -> Arrival:
    """Read a payload format 1.0 event."""
    context = event.get("requestContext")
    # Some clients' requests arrive with multiValueHeaders only.
    headers = event.get("headers") if event.is_object("headers") else event.get("multiValueHeaders")
    request = Request(headers, event.text("httpMethod"), context.text("path") or event.text("path"))
    request.route = event.text("resource") or context.text("resourcePath")
    request.query = join_query(
        event.get("multiValueQueryStringParameters"), event.get("queryStringParameters"), decoded=True
    )
    request.host = context.text("domainName") or request.host
    request.client = context.text("identity", "sourceIp") or request.client
    request.protocol = context.text("protocol")
    request.started_ms = context.number("requestTimeEpoch")
    return arrive(name, request, "API Gateway", "aws.apigateway")
