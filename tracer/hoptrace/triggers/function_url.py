"""Function URL: payload format 2.0, without a gateway in front.

Recognised by: payload format 2.0 whose `requestContext.domainName` contains `.lambda-url.`.
Context: the headers, whatever their case; of `x-amzn-trace-id` the trace id.
Hops: Function URL, from `requestContext.timeEpoch`.
Pointers: none.
"""

from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival
from hoptrace.triggers.http import arrive
from hoptrace.triggers.payload_v2 import request_of


def read(event: Shape, name: str) -> Arrival:
    """Read a function URL's event."""
    return arrive(name, request_of(event), "Function URL", "aws.lambda")
