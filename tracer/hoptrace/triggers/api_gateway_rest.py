"""API Gateway REST API, and every API that uses payload format 1.0.

Recognised by: payload format 1.0: `httpMethod`, `resource`, `requestContext`.
Context: header `traceparent`
Hops: API Gateway, from `requestContext.requestTimeEpoch`
Pointers: `aws.apigateway`, `requestContext.requestId`, where a Lambda authorizer let the request pass.
"""

from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival
from hoptrace.triggers.http import Request, arrive, headers_of, join_query


def read(event: Shape, name: str) -> Arrival:
    """Read a payload format 1.0 event."""
    arrival = arrive(name, request_of(event), "API Gateway", "aws.apigateway")
    if event.has("requestContext", "authorizer"):
        from hoptrace.triggers.gateway import behind_authorizer  # a cold start without an authorizer does without

        behind_authorizer(arrival.records[0], event.get("requestContext"))
    return arrival


def request_of(event: Shape) -> Request:
    """Read the request out of a payload format 1.0 event."""
    context = event.get("requestContext")
    method = event.text("httpMethod") or context.text("httpMethod")
    request = Request(headers_of(event), method, context.text("path") or event.text("path"))
    request.route = event.text("resource") or context.text("resourcePath")
    request.query = join_query(
        event.get("multiValueQueryStringParameters"), event.get("queryStringParameters"), decoded=True
    )
    request.host = context.text("domainName") or request.host
    request.client = context.text("identity", "sourceIp") or request.client
    request.protocol = context.text("protocol")
    request.started_ms = context.number("requestTimeEpoch")
    return request
