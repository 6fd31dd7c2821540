"""API Gateway HTTP API, payload format 2.0.

Recognised by: payload format 2.0: `version` `2.0` and `requestContext.http`.
Context: header `traceparent`
Hops: API Gateway, from `requestContext.timeEpoch`
Pointers: `aws.apigateway`, `requestContext.requestId`, where a Lambda authorizer let the request pass.
"""

from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival
from hoptrace.triggers.http import arrive
from hoptrace.triggers.payload_v2 import request_of


def read(event: Shape, name: str) -> Arrival:
    """Read a payload format 2.0 event of an HTTP API."""
    arrival = arrive(name, request_of(event), "API Gateway", "aws.apigateway")
    if event.has("requestContext", "authorizer"):
        from hoptrace.triggers.gateway import behind_authorizer  # a cold start without an authorizer does without

        behind_authorizer(arrival.records[0], event.get("requestContext"))
    return arrival
