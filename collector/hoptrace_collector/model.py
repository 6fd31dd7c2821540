"""The plain types that pass between the rooms of the collector: what the tracer writes, and what leaves.

Everything that comes in from outside (records, telemetry, events) is turned into one of these, or one of `told`, once,
at the door, with its texts and numbers made fit for protobuf (`fit`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from hoptrace_collector.fit import Attributes, Value
from hoptrace_collector.told import Invoke

__all__ = [
    "Begin",
    "Denied",
    "Dropped",
    "End",
    "Event",
    "Finished",
    "Handed",
    "Histogram",
    "InitError",
    "Invocation",
    "Link",
    "LogRecord",
    "Measured",
    "Number",
    "Origin",
    "Record",
    "Span",
    "SpanBegun",
    "SpanEnded",
]

INTERNAL, SERVER = 1, 2
UNSET, OK, ERROR = 0, 1, 2


class Event(NamedTuple):
    """Something that happened at one moment of a span; `time` in nanoseconds since the epoch."""

    name: str
    time: int
    attributes: Attributes


class Link(NamedTuple):
    """A span of another place that this one belongs with."""

    trace_id: bytes
    span_id: bytes
    trace_state: str
    attributes: Attributes


class Span:
    """One span, whole but for `end` 0 (still open); times in nanoseconds since the epoch, ids as bytes."""

    __slots__ = (
        "attributes",
        "end",
        "events",
        "flags",
        "kind",
        "links",
        "name",
        "parent_id",
        "span_id",
        "start",
        "status",
        "status_message",
        "trace_id",
        "trace_state",
    )

    def __init__(
        self,
        trace_id: bytes,
        span_id: bytes,
        name: str,
        kind: int,
        start: int,
        end: int,
        *,
        parent_id: bytes = b"",
        trace_state: str = "",
        flags: int = 1,
        attributes: Attributes | None = None,
        events: list[Event] | None = None,
        links: list[Link] | None = None,
        status: int = UNSET,
        status_message: str = "",
    ) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_id = parent_id
        self.trace_state = trace_state
        self.flags = flags
        self.name = name
        self.kind = kind
        self.start = start
        self.end = end
        self.attributes = attributes if attributes is not None else {}
        self.events = events if events is not None else []
        self.links = links if links is not None else []
        self.status = status
        self.status_message = status_message

    @property
    def sampled(self) -> bool:
        """Whether head sampling keeps it; what it leaves out is read for the metrics and never exported."""
        return bool(self.flags & 1)


class Origin(NamedTuple):
    """Who made a span: the resource's attributes and the instrumentation scope, both fit to be a key."""

    resource: tuple[tuple[str, Any], ...]
    scope: tuple[str, str]

    @classmethod
    def of(cls, resource: Attributes, scope: tuple[str, str]) -> "Origin":
        """Make one of a dict; lists become tuples so that it can be hashed."""
        return cls(tuple((key, _frozen(value)) for key, value in resource.items()), scope)


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return tuple((key, _frozen(item)) for key, item in value.items())
    return value


# What the tracer writes.


class Begin(NamedTuple):
    """An invocation began; `raw` is the record as read, kept to be told to the next generation.

    `notes` are what the tracer has said since of the records of the batch, spans as in `Followed`; `started` is what
    an earlier generation knew to be open in it.
    """

    request_id: str
    ordinal: int
    pid: int
    deadline_ms: int
    origin: Origin
    span: Span
    records: list[Span]
    raw: dict[str, Any]
    notes: list[Span]
    started: "list[SpanBegun]"


class Followed(NamedTuple):
    """A record of the batch was taken up (its span has no end) or put down; `raw` is the span as read.

    The span says no more than that, unless the begin record has not had it, or an error came out of it.
    """

    request_id: str
    span: Span
    raw: dict[str, Any]


class SpanBegun(NamedTuple):
    """A span inside an invocation began; `raw` is the record as read.

    Most end within moments, so the span is made only for who asks: `made` returns it without an end, None when it has
    no usable ids.
    """

    request_id: str
    span_id: bytes
    start: int
    made: "Callable[[], SpanEnded | None]"
    raw: dict[str, Any]


class SpanEnded(NamedTuple):
    """A span inside an invocation (`request_id` empty: outside any) ended.

    `scope` is the library's that made it, None for the tracer itself; `resource` is what it has beside the process's.
    """

    request_id: str
    span: Span
    scope: tuple[str, str] | None = None
    resource: Attributes | None = None

    def origin(self, process: Origin) -> Origin:
        """Return who made it, in a process of this origin."""
        if self.resource:
            process = Origin.of({**dict(process.resource), **self.resource}, process.scope)
        return process if self.scope is None else Origin(process.resource, self.scope)


class End(NamedTuple):
    """An invocation came back; `ok` unless the handler raised or answered with an error; `cpu` in nanoseconds."""

    request_id: str
    ordinal: int
    ok: bool
    span: Span
    cpu: int = 0


class InitError(NamedTuple):
    """The user's module could not be loaded; times in nanoseconds."""

    origin: Origin
    error_type: str
    message: str
    start: int
    end: int


class Dropped(NamedTuple):
    """The tracer could not write this many `records`."""

    reason: str
    records: int


class Handed(NamedTuple):
    """An OTLP request that an exporter in the function made while nobody listened for it."""

    path: str
    kind: str
    encoding: str
    body: bytes


# What leaves.


class Denied(NamedTuple):
    """A call that the function's policy does not allow; `mode` is `observe` or `block`."""

    request_id: str
    mode: str
    operation: str


class Invocation(NamedTuple):
    """One invocation that is over.

    `outcome` is `ok`, `error` (the handler failed), `timeout`, `crash`, `init_error`, or `unknown` when it is over
    but nobody can say how. `cpu` is in nanoseconds, 0 when unknown. `denied` is what its policy did not allow.
    """

    request_id: str
    outcome: str
    error_type: str
    message: str
    span: Span
    origin: Origin
    deadline_ms: int
    cpu: int = 0
    denied: tuple[Denied, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether it ended in any way that its caller would call a failure."""
        return self.outcome not in ("ok", "unknown")

    def attribute(self, name: str) -> str:
        """Return an attribute of the span, or else of the resource, as text; empty when there is none."""
        value = self.span.attributes.get(name)
        if value is None:
            value = next((v for k, v in self.origin.resource if k == name), "")
        return value if isinstance(value, str) else ""


class Finished(NamedTuple):
    """Spans that are whole, and the invocation that ended with them, if one did.

    `request_id` is of the invocation that spans belong to which were closed for it; its own come after them.
    """

    origin: Origin
    spans: list[Span]
    invocation: Invocation | None = None
    request_id: str = ""


class LogRecord(NamedTuple):
    """One log record; times in nanoseconds since the epoch, ids as bytes (empty: not known).

    `severity` is OTLP's number, `level` the word that stood there, `logger` and `version` its scope's; `cut` attributes
    were left out; `event` is the name of an event.
    """

    time: int
    observed: int
    severity: int
    level: str
    logger: str
    body: Value | None
    attributes: Attributes
    request_id: str = ""
    trace_id: bytes = b""
    span_id: bytes = b""
    flags: int = 0
    cut: int = 0
    version: str = ""
    event: str = ""


class Number(NamedTuple):
    """A sum over (`start`, `end`], or with `kind` "gauge" a value at `end`; times in nanoseconds.

    A `cumulative` sum is that since `start`, whatever was told of it before.
    """

    kind: str
    name: str
    unit: str
    description: str
    attributes: tuple[tuple[str, Any], ...]
    value: int | float
    start: int
    end: int
    monotonic: bool = True
    cumulative: bool = False


class Histogram(NamedTuple):
    """A distribution over (`start`, `end`]: `counts` has one more entry than `bounds`."""

    name: str
    unit: str
    description: str
    attributes: tuple[tuple[str, Any], ...]
    bounds: tuple[float, ...]
    counts: list[int]
    total: float
    least: float
    most: float
    start: int
    end: int


class Measured(NamedTuple):
    """What the function's instruments have measured, each point with the scope of its instrument.

    `unfit` points could not be read.
    """

    points: list[tuple[tuple[str, str], Number | Histogram]]
    unfit: int


InvocationRecord = Begin | Followed | SpanBegun | SpanEnded | End | InitError | Invoke
Record = InvocationRecord | Denied | Dropped | Handed | Measured | LogRecord
