"""One span: what happened, from when to when, as whose child.

The names, kinds and status codes are OpenTelemetry's (trace API, OTLP `trace.proto`). Methods never raise for bad
values: what cannot be recorded is left out.
"""

from __future__ import annotations

import os
from time import time_ns

from ..settings import settings
from .context import SAMPLED, SpanContext
from .current import current_span
from .exceptions import exception_attributes, told, told_name

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any


INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5
UNSET, OK, ERROR = 0, 1, 2

_SIMPLE = (str, bool, int, float)


class Link:
    """A pointer to another span.

    Attributes:
        context: what is pointed at.
        attributes: of the link itself.
    """

    __slots__ = ("attributes", "context")

    def __init__(self, context: SpanContext, attributes: Mapping[str, object] | None = None) -> None:
        self.context = context
        self.attributes: dict[str, object] = dict(attributes) if attributes else {}


class Event:
    """Something that happened at one instant of a span; `time` in nanoseconds since the epoch."""

    __slots__ = ("attributes", "name", "time")

    def __init__(self, name: str, when: int, attributes: Mapping[str, object] | None = None) -> None:
        self.name = name
        self.time = when
        self.attributes: dict[str, object] = dict(attributes) if attributes else {}


class Course:
    """The course of one invocation, which all spans that were begun in it share.

    Attributes:
        over: whether the handler is back.
        denied: how many of its calls the policy did not allow.
    """

    __slots__ = ("denied", "over")

    def __init__(self) -> None:
        self.over = False
        self.denied = 0


class Span:
    """A span being recorded, or recorded.

    Attributes:
        context: its identity, a `SpanContext`.
        parent_id: 16 hex digits, or empty for a root.
        start, end_time: nanoseconds since the epoch; `end_time` is 0 while it runs.
        request_id: of the invocation it belongs to, or empty.
        course: of that invocation, or `None`.
        scope: name, version and perhaps schema of the library that made it; `None` for ours.
        resource: attributes in which its resource differs from the process's, or `None`.
        api, seen: what OpenTelemetry's API sees of it and of the context, once somebody has looked (`hoptrace.otel`).
    """

    __slots__ = (
        "_silent",
        "api",
        "attributes",
        "context",
        "course",
        "end_time",
        "events",
        "kind",
        "links",
        "name",
        "parent_id",
        "request_id",
        "resource",
        "scope",
        "seen",
        "start",
        "status",
    )

    def __init__(self, name: str, kind: int, context: SpanContext, parent_id: str, start: int, request_id: str) -> None:
        self.name = name[:256]
        self.kind = kind
        self.context = context
        self.parent_id = parent_id
        self.start = start
        self.end_time = 0
        self.attributes: dict[str, object] = {}
        self.events: list[Event] = []
        self.links: list[Link] = []
        self.status: tuple[int, str] = (UNSET, "")
        self.request_id = request_id
        self.course: Course | None = None
        self.scope: tuple[str, ...] | None = None
        self.resource: dict[str, object] | None = None
        self.api: Any = None
        self.seen: Any = None
        self._silent = False

    @property
    def open(self) -> bool:
        """Whether it has not ended yet."""
        return self.end_time == 0

    @property
    def recording(self) -> bool:
        """Whether what is told of it is kept: it is sampled and has not ended yet."""
        return self.end_time == 0

    def set_attribute(self, key: str, value: object) -> None:
        """Record a string, number, boolean or list of these; anything else and `None` are left out."""
        if self.end_time or type(key) is not str:
            return
        limits = settings()
        kept = _attribute(value, limits.attribute_length_limit, key)
        if kept is None:
            return
        if key in self.attributes or len(self.attributes) < limits.attribute_count_limit:
            self.attributes[key] = kept

    def set_attributes(self, attributes: Mapping[str, object]) -> None:
        """`set_attribute` for each."""
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def add_event(self, name: str, attributes: Mapping[str, object] | None = None, when: int | None = None) -> None:
        """Record something that happened now, or at `when` (nanoseconds since the epoch)."""
        if self.end_time:
            return
        limits = settings()
        if len(self.events) >= limits.event_count_limit:
            return
        event = Event(name, when or time_ns())
        for key, value in (attributes or {}).items():
            kept = _attribute(value, limits.attribute_length_limit, key)
            if kept is not None:
                event.attributes[key] = kept
        self.events.append(event)

    def record_exception(self, error: BaseException, escaped: bool = False) -> None:
        """Record an exception with its stack, by the conventions' `exception` event."""
        attributes = exception_attributes(error, settings().attribute_length_limit)
        if escaped:
            attributes["exception.escaped"] = True
        self.add_event("exception", attributes)

    def add_link(self, context: SpanContext, attributes: Mapping[str, object] | None = None) -> None:
        """Point at another span."""
        if not self.end_time:
            self.links.append(Link(context, attributes))

    def set_status(self, code: int, message: str = "") -> None:
        """UNSET, OK or ERROR; a message counts for ERROR only. OK is final (the specification's order)."""
        if not self.end_time and self.status[0] != OK:
            self.status = (code, told("", message, 1024) if code == ERROR else "")

    def end(self, end: int | None = None) -> None:
        """Finish it. When this returns, the span is out of this process's hands. A second call does nothing."""
        if self.end_time:
            return
        if self.course is not None and self.course.over and not self._silent:
            self.attributes["hoptrace.late"] = True
        self.end_time = max(end or time_ns(), self.start)
        if not self._silent:
            _sink(self)
        if _observer is not None:
            _observer.ended(self)

    @property
    def silent(self) -> bool:
        """Whether it is an invocation's own, which ends with the invocation."""
        return self._silent

    def silence(self) -> None:
        """Leave handing over to whoever called this (the invocation's own span goes out in its `end` record)."""
        self._silent = True


def start_span(
    name: str,
    kind: int = INTERNAL,
    attributes: Mapping[str, object] | None = None,
    parent: SpanContext | Span | None = None,
    links: Iterable[Link] = (),
    start: int | None = None,
    root: bool = False,
    scope: tuple[str, ...] | None = None,
) -> Span:
    """Begin a span.

    Args:
        parent: whose child it is; `None` means the current span, and where there is none, a new trace.
        start: nanoseconds since the epoch; now when left out.
        root: begin a new trace even where there is a current span.
        scope: of the library that makes it; `None` for ours.
    """
    current = current_span() if parent is None and not root else parent
    request_id, course = "", None
    if isinstance(current, Span):
        request_id, course = current.request_id, current.course
        current = current.context
    span_id = new_span_id()
    if current is None:
        context = root_context(new_trace_id(), span_id)
        parent_id = ""
    else:
        context = (below(current) if current.remote else current).child(span_id)
        parent_id = current.span_id
    if _baggage is not None:
        context.baggage = _baggage(context.baggage)
    span = begun(name, kind, context, parent_id, start or time_ns(), request_id)
    span.course = course
    span.scope = scope
    if attributes:
        span.set_attributes(attributes)
    if not span.recording:
        return span
    span.links.extend(links)
    if _observer is not None:
        _observer.started(span)
    tell_open(span)
    return span


def begun(name: str, kind: int, context: SpanContext, parent_id: str, start: int, request_id: str) -> Span:
    """A span of this identity, which records something only where its trace is sampled."""
    if context.flags & SAMPLED:
        return Span(name, kind, context, parent_id, start, request_id)
    from .unsampled import Unsampled

    return Unsampled(name, kind, context, parent_id, start, request_id)


def root_context(trace_id: str, span_id: str) -> SpanContext:
    """The context of a span at the beginning of a trace, sampled or not (`OTEL_TRACES_SAMPLER`)."""
    if settings().sampler is None:
        return SpanContext(trace_id, span_id)
    from .sampling import root

    return root(trace_id, span_id)


def below(context: SpanContext) -> SpanContext:
    """A context that somebody sent, with the decision that holds below it (`OTEL_TRACES_SAMPLER`)."""
    if settings().sampler is None and "th:" not in context.trace_state:
        return context  # the default: what whoever sent it has decided
    from .sampling import below as decided

    return decided(context)


def tell_open(span: Span) -> None:
    """Have it told that a span is open, should its invocation never come back."""
    if _opened is not None and span.course is not None and not span.course.over:
        _opened(span)


def new_trace_id() -> str:
    """32 hex digits from the operating system: a seeded generator's state would be in every SnapStart copy."""
    return os.urandom(16).hex()


def new_span_id() -> str:
    """16 hex digits from the operating system."""
    return os.urandom(8).hex()


def _nowhere(span: Span) -> None:
    del span


_sink: Callable[[Span], None] = _nowhere


def on_end(sink: Callable[[Span], None] | None) -> Callable[[Span], None]:
    """Name what each ended span is handed to (it must not raise); the one before is returned."""
    global _sink
    before, _sink = _sink, sink or _nowhere
    return before


_opened: Callable[[Span], None] | None = None


def on_start(opened: Callable[[Span], None] | None) -> Callable[[Span], None] | None:
    """Name what each span that begins in an invocation is shown to (it must not raise); the one before is returned."""
    global _opened
    before, _opened = _opened, opened
    return before


_baggage: Callable[[str], str] | None = None


def on_child(baggage: Callable[[str], str] | None) -> None:
    """Name what decides which baggage goes on with a new span, from what its parent had; `None`: just that."""
    global _baggage
    _baggage = baggage


class Observer:
    """Somebody who wants to know of every span: OpenTelemetry's side, where the user's code has it."""

    def started(self, span: Span) -> None:
        """A span has begun; what travels with it may still be changed."""

    def ended(self, span: Span) -> None:
        """A span has ended and was handed over."""

    def over(self, deadline: int) -> None:
        """The response of an invocation is out; `deadline` is when Lambda's patience ends, epoch milliseconds or 0."""

    def restored(self) -> None:
        """This process runs on from a snapshot: times that were taken before are of another life."""


_observer: Observer | None = None


def observe(observer: Observer | None) -> None:
    """Name the one who is told, or with `None` nobody; what it does must not raise."""
    global _observer
    _observer = observer


def observer() -> Observer | None:
    """The one who is told of every span, or `None`: nobody asks in a function without OpenTelemetry."""
    return _observer


def hand_over(span: Span) -> None:
    """Give away a finished span that was recorded elsewhere."""
    _sink(span)


def _attribute(value: object, length: int, key: str) -> object | None:
    """What OTLP can carry, and may be told, of a value under this name, or `None`."""
    if type(key) is str and ("=" in key or ":" in key) and told_name(key) != key:
        return None
    kind = type(value)
    if kind is bool:
        return value
    if kind is int:
        return value if -(2**63) <= value < 2**63 else None  # type: ignore[operator]
    if kind is float:
        return value if value == value and value not in (_INFINITY, -_INFINITY) else str(value)
    if isinstance(value, list | tuple):
        kept = (_attribute(item, length, key) for item in value[:256] if isinstance(item, _SIMPLE))
        return [item for item in kept if item is not None]
    if isinstance(value, str):
        return told(key, str.__str__(value), length)
    if isinstance(value, int):
        return _attribute(int(value), length, key)
    if isinstance(value, float):
        return _attribute(float(value), length, key)
    return None


_INFINITY = float("inf")
