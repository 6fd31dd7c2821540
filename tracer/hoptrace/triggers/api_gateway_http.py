"""API Gateway HTTP API, payload format 2.0."""

from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival
from hoptrace.triggers.http import arrive
from hoptrace.triggers.payload_v2 import request_of


def read(event: Shape, name: str) -> Arrival:
    """Read a payload format 2.0 event of an HTTP API."""
    return arrive(name, request_of(event), "API Gateway", "aws.apigateway")
