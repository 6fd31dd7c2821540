"""What woke the function: one row here and one file beside it for each trigger.

`identify` walks the table from the top and lets the first row that fits read the event; a trigger's file is imported
only then, because a cold start should not pay for the others.
"""

from hoptrace.settings import settings
from hoptrace.shape import Shape
from hoptrace.triggers.arrival import SCHEDULE_ARN, Arrival, Hop, Record, is_event, keyword

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Arrival", "Hop", "Record", "identify"]


def _source(event: Shape) -> str:
    return event.text("Records", 0, "eventSource")


def _is_sqs(event: Shape) -> bool:
    return _source(event) == "aws:sqs"


def _is_sns(event: Shape) -> bool:
    return event.text("Records", 0, "EventSource") == "aws:sns"


def _is_kinesis(event: Shape) -> bool:
    return _source(event) == "aws:kinesis"


def _is_dynamodb(event: Shape) -> bool:
    return _source(event) == "aws:dynamodb"


def _is_s3(event: Shape) -> bool:
    return _source(event) == "aws:s3"


def _is_kafka(event: Shape) -> bool:
    return event.text("eventSource") in ("aws:kafka", "SelfManagedKafka") and event.is_object("records")


def _is_mq(event: Shape) -> bool:
    return event.text("eventSource") in ("aws:mq", "aws:rmq")


def _is_firehose(event: Shape) -> bool:
    return event.text("deliveryStreamArn") != ""


def _is_logs(event: Shape) -> bool:
    return event.text("awslogs", "data") != ""


def _is_destination(event: Shape) -> bool:
    return event.text("requestContext", "functionArn") != "" and event.text("requestContext", "condition") != ""


def _is_schedule(event: Shape) -> bool:
    return event.text("source") == "aws.events" and event.text("detail-type") == "Scheduled Event"


def _is_authorizer(event: Shape) -> bool:
    return event.text("type") in ("TOKEN", "REQUEST") and (event.text("methodArn") + event.text("routeArn")) != ""


def _is_websocket(event: Shape) -> bool:
    return event.text("requestContext", "connectionId") != "" and event.text("requestContext", "eventType") != ""


def _is_alb(event: Shape) -> bool:
    return event.is_object("requestContext", "elb")


def _is_function_url(event: Shape) -> bool:
    return _is_payload_v2(event) and ".lambda-url." in event.text("requestContext", "domainName")


def _is_payload_v2(event: Shape) -> bool:
    return event.text("version") == "2.0" and event.is_object("requestContext", "http")


def _is_payload_v1(event: Shape) -> bool:
    return event.text("httpMethod") != "" and event.text("resource") != "" and event.is_object("requestContext")


def _is_bus(event: Shape) -> bool:
    return is_event(event) and event.text("source") != "aws.scheduler"


def _is_appsync(event: Shape) -> bool:
    first = event if event.is_object() else event.get(0)
    return first.text("info", "fieldName") != "" and first.text("info", "parentTypeName") != ""


def _is_cognito(event: Shape) -> bool:
    if event.text("triggerSource") != "":
        return event.text("userPoolId") != ""
    return event.text("eventType") == "SyncTrigger" and event.text("identityPoolId") != ""


def is_context_object(place: Shape) -> bool:
    """Tell whether this is Step Functions' context object, or as much of it as says which execution this is."""
    return place.is_object("StateMachine") and ":states:" in place.text("Execution", "Id")


# So many members of an array are looked at to know what it is, and so many of an object one level down.
_FEW = 10
MEMBERS = 50


def _is_step_functions(event: Shape) -> bool:
    # What a Parallel state ends with is an array of its branches' results.
    places = (event,) if event.is_object() else event.first(_FEW)
    return any(
        is_context_object(part) or part.text("_hoptrace", "via") == "states"
        for place in places
        for part in (place, *place.first(MEMBERS))
    )


def _is_pipes(event: Shape) -> bool:
    return any(
        member.text("eventSource") != ""
        or is_event(member)
        or (member.text("Type") == "Notification" and member.text("TopicArn") != "")
        or any(member.has(key) for key in ("_hoptrace", "Records"))
        for member in ([] if event.is_object() else event.first(_FEW))
    )


def _is_iot(event: Shape) -> bool:
    kind = event.text("eventType")
    if kind in ("connected", "disconnected", "connect_failed", "subscribed", "unsubscribed"):
        return event.text("clientId") != "" and event.has("timestamp")
    if kind in ("JOB", "JOB_EXECUTION") or (kind[:6] == "THING_" and kind[-5:] == "EVENT"):
        return event.text("eventId") != ""
    return event.text("_hoptrace", "via") == "iot"


def _is_durable(event: Shape) -> bool:
    return event.text("DurableExecutionArn") != "" and event.is_object("InitialExecutionState")


def _is_scheduler(event: Shape) -> bool:
    if event.text("source") == "aws.scheduler":
        return True
    if not any(event.has(name) for name in SCHEDULE_ARN):
        return False
    # An author's own input: the ARN, and something else that only the service can have filled in.
    arn = keyword(event, "schedule-arn").text()
    if arn[:4] != "arn:" or ":scheduler:" not in arn or ":schedule/" not in arn:
        return False
    return any(keyword(event, word).raw for word in ("scheduled-time", "execution-id", "attempt-number"))


# The trigger's name, what its events look like, and the module here that reads them. The order matters where one
# looks like another: an ALB event has an httpMethod, a function URL's is an HTTP API's but for the domain, and what a
# schedule sends is an EventBridge event.
TRIGGERS: "tuple[tuple[str, Callable[[Shape], bool], str], ...]" = (
    ("sqs", _is_sqs, "sqs"),
    ("sns", _is_sns, "sns"),
    ("kinesis", _is_kinesis, "kinesis"),
    ("dynamodb", _is_dynamodb, "dynamodb"),
    ("s3", _is_s3, "s3"),
    ("kafka", _is_kafka, "kafka"),
    ("mq", _is_mq, "mq"),
    ("firehose", _is_firehose, "firehose"),
    ("cloudwatch_logs", _is_logs, "cloudwatch_logs"),
    ("destination", _is_destination, "destination"),
    ("schedule", _is_schedule, "schedule"),
    ("eventbridge", _is_bus, "eventbridge"),
    ("authorizer", _is_authorizer, "authorizer"),
    ("websocket", _is_websocket, "websocket"),
    ("alb", _is_alb, "alb"),
    ("function_url", _is_function_url, "function_url"),
    ("api_gateway_http", _is_payload_v2, "api_gateway_http"),
    ("api_gateway_rest", _is_payload_v1, "api_gateway_rest"),
    ("appsync", _is_appsync, "appsync"),
    ("cognito", _is_cognito, "cognito"),
    ("step_functions", _is_step_functions, "step_functions"),
    ("pipes", _is_pipes, "pipes"),
    ("iot", _is_iot, "iot"),
    ("scheduler", _is_scheduler, "scheduler"),
    ("durable", _is_durable, "durable"),
)


# What an event of no known shape may carry a context in, or as.
_TELLING = ("headers", "_hoptrace", "traceparent", "b3", "x-b3-traceid", "x-amzn-trace-id", "_datadog")


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
        arrival = _called_directly(arrival, Shape(event), context)
    except Exception:  # what was read stays
        pass
    if settings().extractor and len(arrival.records) <= 1:
        from hoptrace.triggers.extractor import add_producer

        add_producer(arrival, event, context)
    return arrival


def _identify(event: Shape) -> Arrival:
    for name, fits, module in TRIGGERS:
        if fits(event):
            return reader(module)(event, name)
    return Arrival("other")


def reader(module: str) -> "Callable[[Shape, str], Arrival]":
    """Import a trigger's module and return its `read`."""
    loaded = __import__(f"hoptrace.triggers.{module}", fromlist=("read",))
    read: Callable[[Shape, str], Arrival] = loaded.read
    return read


def _called_directly(arrival: Arrival, event: Shape, context: object) -> Arrival:
    """Look for a caller's span beside the event; a whole batch keeps the producers that it has."""
    if len(arrival.records) > 1:
        return arrival
    said = _is_invoke(context)
    if said and arrival.name == "other":
        arrival.name = "lambda"
    # A plain function, invoked without any of this, does not import the reader either.
    if said or (arrival.name == "other" and any(event.has(key) for key in _TELLING)):
        from hoptrace.triggers.direct import add_caller

        add_caller(arrival, event, context)
    return arrival


def _is_invoke(context: object) -> bool:
    """Tell whether a client context came along: only a direct Invoke has one."""
    if context is None:
        return False
    if getattr(context, "client_context", None) is not None:
        return True
    w3c = getattr(context, "w3c", None)
    return callable(w3c) and bool(w3c())
