"""What a way is: how something is sent, what it may be, and what comes out at the other end."""

from __future__ import annotations

import base64
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tests.contract.lab import Lab, Sent

CONTEXT, ROOT, POINTER, NOTHING, REFUSED, LOST = "context", "root", "pointer", "nothing", "refused", "lost"
"""How the two ends of a message find each other: by the sender's span, by its trace id alone, by what AWS tells both,
not at all; or AWS refuses the call, or takes it and loses the message, with us as without us."""

OURS = frozenset({"traceparent", "tracestate", "baggage"})


@dataclass
class Message:
    """What is sent, and what is received with our additions taken out."""

    body: Any
    attributes: dict[str, tuple[str, Any]] = field(default_factory=dict)
    """Name: (type, value), a Binary's value as bytes."""


class Way:
    """One way from a call to a function.

    Attributes:
        carrier: the module in `hoptrace.carriers` that this is a way of.
        service, operation: as botocore calls them.
        opt_in: whether the service must be named in HOPTRACE_INJECT_ENABLED.
        most: how many messages one call takes.
        bodies: what can be sent; each has to be unlike the others.
        attributed: types and values that a message's attributes can have; empty where it has none.
        numbered_by_aws: whether AWS tells both ends the same words, so that they meet without a context too.
        always: the settings that a message of this way is always sent with.
        more: settings that only the instance knows.
    """

    carrier: ClassVar[str]
    service: ClassVar[str]
    operation: ClassVar[str]
    opt_in: ClassVar[bool] = False
    most: ClassVar[int] = 1
    bodies: ClassVar[tuple[Any, ...]] = ()
    attributed: ClassVar[tuple[tuple[str, Any], ...]] = ()
    numbered_by_aws: ClassVar[bool] = False
    always: ClassVar[dict[str, str]] = {}

    def __init__(self, lab: Lab, answer: Callable[[Any], Any] | None = None) -> None:
        self.lab = lab
        self.more: dict[str, str] = {}
        self.function = lab.name(type(self).__name__)
        self.arn = lab.aws.function(self.function, answer)

    def close(self) -> None:
        """Let go of what is not the lab's."""

    def params(self, messages: list[Message]) -> dict[str, Any]:
        """The parameters of one call that sends these."""
        raise NotImplementedError

    def joined(self, message: Message) -> str:
        """How both ends of this message find each other."""
        return CONTEXT

    def told(self, message: Message, done: Sent) -> None:
        """Hear what AWS answered to a message."""

    def numbered(self, number: int) -> Any:
        """A body of its own for each number."""
        return f"body {number}"

    def received(self, message: Message) -> Message:
        """What the consumer must get of what was sent."""
        return message

    def read(self, event: Any) -> list[Message]:
        """What the function gets of each record, in its order, without our additions."""
        raise NotImplementedError

    def events(self, count: int, seconds: float = 20.0) -> list[Any]:
        """Wait for events of `count` records altogether."""
        found: list[Any] = []
        deadline = time.monotonic() + seconds
        while (have := sum(records_in(event) for event in found)) < count:
            try:
                found.append(self.lab.aws.arrived[self.function].get(timeout=max(0.01, deadline - time.monotonic())))
            except queue.Empty:
                raise AssertionError(f"{have} of {count} arrived: {found}") from None
        assert have == count, f"{have} arrived, not {count}: {found}"
        return found

    def quiet(self, seconds: float = 0.5) -> bool:
        """Whether nothing more comes."""
        try:
            self.lab.aws.arrived[self.function].get(timeout=seconds)
        except queue.Empty:
            return True
        return False


def records_in(event: Any) -> int:
    """How many records an event has."""
    for key in ("Records", "records"):
        if isinstance(event, dict) and key in event:
            return len(event[key])
    return 1


def attributes(kind: type[Way], count: int) -> dict[str, tuple[str, Any]]:
    """So many attributes, of every type in turn; none where a message has none."""
    return {f"a{index}": kind.attributed[index % len(kind.attributed)] for index in range(count) if kind.attributed}


def as_parameters(given: dict[str, tuple[str, Any]]) -> dict[str, Any]:
    """Attributes as botocore takes them for SQS and SNS."""
    return {
        name: {"DataType": kind, "BinaryValue" if kind.startswith("Binary") else "StringValue": value}
        for name, (kind, value) in given.items()
    }


def from_queue(record: Any) -> dict[str, tuple[str, Any]]:
    """The attributes of a record of SQS."""
    found = {}
    for name, value in record["messageAttributes"].items():
        if name in OURS:
            continue
        kind = value["dataType"]
        binary = kind.startswith("Binary")
        found[name] = (kind, base64.b64decode(value["binaryValue"]) if binary else value["stringValue"])
    return found


def from_topic(message: Any) -> dict[str, tuple[str, Any]]:
    """The attributes of a notification."""
    found = {}
    for name, value in message.get("MessageAttributes", {}).items():
        if name not in OURS:
            kind = value["Type"]
            found[name] = (kind, base64.b64decode(value["Value"]) if kind == "Binary" else value["Value"])
    return found
