"""What woke the function: one row here and one file beside it for each trigger.

`identify` walks the table from the top and lets the first row that fits read the event; a trigger's file is imported
only then, because a cold start should not pay for the others.
"""

from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Hop, Record, is_event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Arrival", "Hop", "Record", "identify"]


def _is_alb(event: Shape) -> bool:
    return event.is_object("requestContext", "elb")


def _is_function_url(event: Shape) -> bool:
    return _is_payload_v2(event) and ".lambda-url." in event.text("requestContext", "domainName")


def _is_payload_v2(event: Shape) -> bool:
    return event.text("version") == "2.0" and event.is_object("requestContext", "http")


def _is_payload_v1(event: Shape) -> bool:
    return event.text("httpMethod") != "" and event.text("resource") != "" and event.is_object("requestContext")


def _is_sqs(event: Shape) -> bool:
    return event.text("Records", 0, "eventSource") == "aws:sqs"


def _is_sns(event: Shape) -> bool:
    return event.text("Records", 0, "EventSource") == "aws:sns"


def _is_schedule(event: Shape) -> bool:
    return event.text("source") == "aws.events" and event.text("detail-type") == "Scheduled Event"


# The trigger's name, what its events look like, and the module here that reads them. The order matters where one
# looks like another: an ALB event has an httpMethod, a function URL's is an HTTP API's but for the domain, and what a
# schedule sends is an EventBridge event.
TRIGGERS: "tuple[tuple[str, Callable[[Shape], bool], str], ...]" = (
    ("sqs", _is_sqs, "sqs"),
    ("sns", _is_sns, "sns"),
    ("schedule", _is_schedule, "schedule"),
    ("eventbridge", is_event, "eventbridge"),
    ("alb", _is_alb, "alb"),
    ("function_url", _is_function_url, "function_url"),
    ("api_gateway_http", _is_payload_v2, "api_gateway_http"),
    ("api_gateway_rest", _is_payload_v1, "api_gateway_rest"),
)


def identify(event: object, context: object = None) -> Arrival:
    """Say what woke the function: never raises, whatever `event` and `context` are, and says "other" when unsure.

    `context` is the second argument of the handler; a caller that invoked the function directly may have put its
    span there, and then that is the producer.
    """
    try:
        arrival = _identify(Shape(event))
    except Exception:  # a RecursionError, or an object that only pretends to be JSON
        arrival = Arrival("other")
    try:
        return _called_directly(arrival, Shape(event), context)
    except Exception:
        return arrival


def _identify(event: Shape) -> Arrival:
    for name, fits, module in TRIGGERS:
        if fits(event):
            return _reader(module)(event, name)
    return Arrival("other")


def _reader(module: str) -> "Callable[[Shape, str], Arrival]":
    loaded = __import__(f"hoptrace.triggers.{module}", fromlist=("read",))
    read: Callable[[Shape, str], Arrival] = loaded.read
    return read


def _called_directly(arrival: Arrival, event: Shape, context: object) -> Arrival:
    """Look for a caller's span beside the event; a whole batch keeps the producers that it has."""
    if len(arrival.records) > 1:
        return arrival
    # A plain function, invoked without any of this, does not import the reader either.
    said = context is not None and getattr(context, "client_context", None) is not None
    if said or (arrival.name == "other" and any(event.has(key) for key in ("headers", "_hoptrace", "traceparent"))):
        from hoptrace.triggers.direct import add_caller

        add_caller(arrival, event, context)
    return arrival
