"""API Gateway HTTP API, payload format 2.0.

Recognised by: `version` is `2.0`, and an object `requestContext.http`.
Context: the headers, whatever their case; of `x-amzn-trace-id` the trace id.
Hops: API Gateway, from `requestContext.timeEpoch`.
Pointers: none.
"""

from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival
from hoptrace.triggers.http import arrive
from hoptrace.triggers.payload_v2 import request_of


def read(event: Shape, name: str) -> Arrival:
    """Read a payload format 2.0 event of an HTTP API."""
    return arrive(name, request_of(event), "API Gateway", "aws.apigateway")
