"""What a row of the services' table can say."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..spans import CLIENT, PRODUCER
from ..spans.context import SpanContext
from .fields import Field

Params = dict[str, object]
Inject = Callable[[Params, SpanContext], Params]
"""Puts a context into a call's parameters: a copy with it, or the very same object; never a changed argument."""

Extra = Callable[[str, Params, str], dict[str, object]]
"""Attributes that fields cannot express, of the operation, its parameters and the client's region."""

Pointers = Callable[[Params, object], list[tuple[str, ...]]]
"""Words that the consumer of what a call wrote can derive too, from the call's parameters and its answer."""

Brings = Callable[[object], SpanContext | None]
"""The span that wrote what an answer brings, if it says so."""

Destination = Callable[[Params], str]
"""The name of the queue, topic, bus or stream that the parameters mean, or empty."""


def later(module: str, name: str) -> Callable[..., Any]:
    """A function of a module here that is imported by its first call: most functions call few services, and so few
    of the ways to carry a context on.
    """

    def call(*arguments: object) -> object:
        return getattr(import_module(f"{__package__}.{module}"), name)(*arguments)

    return call


class Verb:
    """A messaging operation by OpenTelemetry's messaging conventions: name, type, and the kind of its span."""

    __slots__ = ("kind", "name", "type")

    def __init__(self, name: str, kind_of_operation: str, kind: int) -> None:
        self.name = name
        self.type = kind_of_operation
        self.kind = kind


SEND = Verb("send", "send", PRODUCER)
RECEIVE = Verb("receive", "receive", CLIENT)
DELETE = Verb("delete", "settle", CLIENT)


class Row:
    """One operation.

    Attributes:
        request, response: which fields to copy into attributes.
        verb: for messaging operations, which one.
        destination: for messaging operations, what names queue, topic, bus or stream.
        extra: attributes that fields cannot express.
        inject: how a context gets into the parameters, where a consumer could find it.
        opt_in: that it gets into the user's own data there, so the service must be named in a setting first.
        pointers: where both ends can meet when no context went along (`hoptrace.pointers`).
        always_points: that they are given though one did, since not every consumer can see it.
        brings: whose span wrote what the answer brings, to link to.
        failed: the path to error codes in an answer that is itself a success; empty for none.
    """

    __slots__ = (
        "always_points",
        "brings",
        "destination",
        "extra",
        "failed",
        "inject",
        "opt_in",
        "pointers",
        "request",
        "response",
        "verb",
    )

    def __init__(
        self,
        *,
        request: tuple[Field, ...] = (),
        response: tuple[Field, ...] = (),
        verb: Verb | None = None,
        destination: Destination | None = None,
        extra: Extra | None = None,
        inject: Inject | None = None,
        opt_in: bool = False,
        pointers: Pointers | None = None,
        always_points: bool = False,
        brings: Brings | None = None,
        failed: tuple[str, ...] = (),
    ) -> None:
        self.request = request
        self.response = response
        self.verb = verb
        self.destination = destination
        self.extra = extra
        self.inject = inject
        self.opt_in = opt_in
        self.pointers = pointers
        self.always_points = always_points
        self.brings = brings
        self.failed = failed


class Service:
    """One AWS service.

    Attributes:
        system: its `messaging.system`, or empty.
        other: the row of every operation that has none of its own.
        rows: by operation.
    """

    __slots__ = ("other", "rows", "system")

    def __init__(self, *, other: Row, system: str = "", rows: dict[str, Row] | None = None) -> None:
        self.system = system
        self.other = other
        self.rows = rows or {}
