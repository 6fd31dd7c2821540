"""Authorizer: a function that API Gateway asks before it lets a request, or a WebSocket connection, pass.

Recognised by: `type` `TOKEN` or `REQUEST`, with a `methodArn` or `routeArn`.
Context: header `traceparent`; a TOKEN authorizer gets no headers.
Hops: API Gateway, from `requestContext.requestTimeEpoch` or `timeEpoch`
Pointers: `aws.apigateway`, `requestContext.requestId`; the function behind it has the same.
"""

from hoptrace.carriers.headers import extract_headers, extract_headers_root
from hoptrace.shape import Shape
from hoptrace.triggers.api_gateway_rest import request_of as request_of_v1
from hoptrace.triggers.arrival import Arrival, Record
from hoptrace.triggers.gateway import GATEWAY, point_at
from hoptrace.triggers.http import Request, arrive, headers_of
from hoptrace.triggers.payload_v2 import request_of as request_of_v2


def read(event: Shape, name: str) -> Arrival:
    """Read the request that is asked about; neither the token nor the identity is recorded."""
    context = event.get("requestContext")
    arrival = _of_connection(event, name) if context.has("connectionId") else _of_request(event, name)
    arrival.attributes["hoptrace.authorizer.type"] = event.text("type").lower()
    point_at(arrival.records[0], context.text("requestId"))
    return arrival


def _of_request(event: Shape, name: str) -> Arrival:
    if event.is_object("requestContext", "http"):
        request = request_of_v2(event)
    elif event.is_object("requestContext"):
        request = request_of_v1(event)
    else:
        request = _of_arn(event.text("methodArn"))
    arrival = arrive(name, request, "API Gateway", GATEWAY)
    # The request's name belongs to the function that answers it, and the answer here is a decision.
    arrival.span_name = None
    arrival.is_http = False
    return arrival


def _of_connection(event: Shape, name: str) -> Arrival:
    from hoptrace.triggers import websocket

    context, headers = event.get("requestContext"), headers_of(event)
    record = Record(
        context=extract_headers(headers),
        carrier="traceparent",
        root=extract_headers_root(headers),
        hops=websocket.hops_of(context),
    )
    point_at(record, context.text("connectionId"))
    return Arrival(name, "http", attributes=websocket.attributes_of(context), records=[record])


def _of_arn(arn: str) -> Request:
    """A TOKEN authorizer knows `arn:…:api/stage/GET/users/1` only."""
    parts = arn.split("/", 3)
    method, path = (parts[2], parts[3]) if len(parts) == 4 else ("", "")
    return Request(Shape(None), method, f"/{path}")
