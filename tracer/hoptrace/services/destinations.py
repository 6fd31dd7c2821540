"""Where a message goes: the short name of the queue, topic, bus or stream, by which both of its ends know it."""

from .fields import EACH, name_of, values
from .row import Params

DEFAULT_BUS = "default"
"""The bus that EventBridge means when an entry names none."""


def queue(params: Params) -> str:
    """`orders` of the queue's URL."""
    return _short(params.get("QueueUrl"))


def topic(params: Params) -> str:
    """`orders` of the topic's ARN. A phone number or a device's endpoint gives nothing: it is a person."""
    target = params.get("TopicArn") or params.get("TargetArn")
    return _short(target) if is_topic(target) else ""


def bus(params: Params) -> str:
    """The bus of all entries, by name or ARN; empty when they go to several."""
    entries = values(params, ("Entries", EACH))
    names = {_short(one.get("EventBusName")) or DEFAULT_BUS for one in entries if isinstance(one, dict)}
    return names.pop() if len(names) == 1 else ""


def stream(params: Params) -> str:
    """`clicks` of the stream's name or ARN."""
    return _short(params.get("StreamName") or params.get("StreamARN"))


def delivery(params: Params) -> str:
    """`clicks` of the Firehose stream's name."""
    return _short(params.get("DeliveryStreamName"))


def is_topic(target: object) -> bool:
    """Whether an SNS target is a topic, and not an endpoint of a mobile application."""
    return isinstance(target, str) and target.startswith("arn:") and ":endpoint/" not in target


def _short(value: object) -> str:
    return name_of(value) if isinstance(value, str) else ""
