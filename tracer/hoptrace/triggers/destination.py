"""Lambda destinations: what came of another function's asynchronous invocation, or of a stream's batch that it failed.

Recognised by: `requestContext.functionArn` and `requestContext.condition`.
Context: that of `requestPayload`, the event of the function that is over: so this one is in the same trace.
Hops: the destination, from the record's `timestamp`; those of the other function's event are drawn by that function.
Pointers: those of `requestPayload`.
"""

from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Hop, Record, chain, from_iso
from hoptrace.triggers.envelopes import UNREAD, Opener, origin, take

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hoptrace.triggers.arrival import Attributes


def read(event: Shape, name: str, opener: Opener | None = None) -> Arrival:
    """Read the record of one invocation, on success or on failure."""
    opener = opener or Opener()
    about = _about(event)
    found = Record(event.text("requestContext", "requestId"), "process destination", attributes=dict(about))
    take(found, origin(event.get("requestPayload"), opener))
    if opener.refused():
        found.attributes[UNREAD] = True
    found.hops = chain([_hop(event, about)])
    return Arrival(name, attributes=dict(found.attributes), records=[found])


def _hop(event: Shape, about: "Attributes") -> Hop | None:
    start = from_iso(event.text("timestamp"))
    if start is None:
        return None
    function = _function(event.text("requestContext", "functionArn"))
    return Hop(f"Lambda destination of {function}", "aws.lambda", start, None, dict(about))


def _about(event: Shape) -> "Attributes":
    """Say whose end this is, and how it ended."""
    asked, answered = event.get("requestContext"), event.get("responseContext")
    found: Attributes = {
        key: value
        for key, value in (
            ("hoptrace.origin.invocation_id", asked.text("requestId")),
            ("hoptrace.origin.function_arn", asked.text("functionArn")),
            ("hoptrace.origin.condition", asked.text("condition")),
            ("hoptrace.origin.function_error", answered.text("functionError")),
        )
        if value
    }
    count = asked.number("approximateInvokeCount")
    if count is not None:
        found["hoptrace.origin.invoke_count"] = int(count)
    return found


def _function(arn: str) -> str:
    """`orders` of `arn:aws:lambda:region:account:function:orders:$LATEST`."""
    parts = arn.split(":", 7)
    return parts[6] if len(parts) > 6 else arn
