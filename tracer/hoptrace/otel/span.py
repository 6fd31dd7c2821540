"""One span in both worlds: a record of ours as the API shows it, and a span of somebody else's as our room sees it.

A record has one view for its whole life, so that `get_current_span()` answers with the very object that
`start_as_current_span` gave. The view can be read like a `ReadableSpan` of the SDK's, as instrumentation libraries do.
"""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple

from opentelemetry import trace
from opentelemetry.trace.propagation import _SPAN_KEY

from ..settings import settings
from ..spans import ERROR, OK, UNSET, Span
from ..spans.current import activated, current_span
from ..spans.exceptions import exception_attributes, exception_message, exception_type
from .ids import Theirs, parent_of, to_ours, to_theirs
from .limits import limits
from .values import attributes_of, fit, items_of, moment, named

Status, StatusCode, SpanKind = trace.Status, trace.StatusCode, trace.SpanKind

_CODES = {StatusCode.UNSET: UNSET, StatusCode.OK: OK, StatusCode.ERROR: ERROR}
_STATUS = {ours: theirs for theirs, ours in _CODES.items()}
_KINDS = {1: SpanKind.INTERNAL, 2: SpanKind.SERVER, 3: SpanKind.CLIENT, 4: SpanKind.PRODUCER, 5: SpanKind.CONSUMER}


def key() -> str:
    """The API's name for the span in a context."""
    return _SPAN_KEY


class Happened(NamedTuple):
    """An event of a span, by the SDK's names."""

    name: str
    timestamp: int
    attributes: Mapping[str, Any]


class Recorded(trace.Span):
    """What the API sees of a record of ours."""

    def __init__(self, record: Span) -> None:
        self._record = record
        self._context: Theirs | None = None
        self._parent: Theirs | None = None
        self._note = self._fail = True

    def made(self, parent: Theirs | None, *, note: bool, fail: bool) -> None:
        """By a tracer: as whose child, and what an exception that leaves its `with` block means."""
        self._parent = parent
        self._note = note
        self._fail = fail

    # -- the API -------------------------------------------------------------------------------------------------------

    def get_span_context(self) -> Theirs:
        """Its identity."""
        if self._context is None:
            self._context = to_theirs(self._record.context)
        return self._context

    def is_recording(self) -> bool:
        """Whether it is sampled and has not ended."""
        return self._record.recording

    def set_attribute(self, key: str, value: Any) -> None:
        """Record one attribute."""
        self._record.set_attribute(key, fit(value))

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Record several."""
        for key, value in items_of(attributes):
            self._record.set_attribute(key, fit(value))

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        """Record what happened now, or at `timestamp`."""
        self._record.add_event(
            named(name), attributes_of(attributes, limits().event_attributes, limits().length), moment(timestamp)
        )

    def add_link(self, context: Theirs, attributes: Any = None) -> None:
        """Point at another span."""
        if context is not None and context.is_valid and len(self._record.links) < limits().links:
            self._record.add_link(
                to_ours(context), attributes_of(attributes, limits().link_attributes, limits().length)
            )

    def update_name(self, name: str) -> None:
        """Call it something else."""
        if self._record.recording:
            self._record.name = named(name)[:256]

    def set_status(self, status: Any, description: str | None = None) -> None:
        """OK is final, UNSET changes nothing."""
        if isinstance(status, Status):
            status, description = status.status_code, status.description
        code = _CODES.get(status, UNSET)
        if code != UNSET:
            self._record.set_status(code, named(description or ""))

    def record_exception(
        self, exception: BaseException, attributes: Any = None, timestamp: int | None = None, escaped: bool = False
    ) -> None:
        """Record an exception with its stack."""
        if not self._record.recording:
            return
        told = exception_attributes(exception, settings().attribute_length_limit)
        told["exception.escaped"] = str(escaped)
        told.update(attributes_of(attributes, limits().event_attributes, limits().length))
        self._record.add_event("exception", told, moment(timestamp))

    def end(self, end_time: int | None = None) -> None:
        """Finish it; the span of an invocation ends with the invocation and not before."""
        if not self._record.silent:
            self._record.end(moment(end_time))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Leave a `with` block."""
        if error is not None and self.is_recording():
            if self._note:
                self.record_exception(error, escaped=True)
            if self._fail:
                self.set_status(StatusCode.ERROR, f"{exception_type(error)}: {exception_message(error)}")
        super().__exit__(kind, error, tb)

    # -- what the SDK's spans have in addition -------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """What it is called."""
        return self._record.name

    @property
    def context(self) -> Theirs:
        """Its identity."""
        return self.get_span_context()

    @property
    def parent(self) -> Theirs | None:
        """The identity of its parent; `None` for a root."""
        if self._parent is None:
            self._parent = parent_of(self._record.context.trace_id, self._record.parent_id)
        return self._parent

    @property
    def kind(self) -> trace.SpanKind:
        """Its kind."""
        return _KINDS.get(self._record.kind, SpanKind.INTERNAL)

    @property
    def start_time(self) -> int:
        """Nanoseconds since the epoch."""
        return self._record.start

    @property
    def end_time(self) -> int | None:
        """Nanoseconds since the epoch; `None` while it runs."""
        return self._record.end_time or None

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What was recorded; lists as tuples, as the SDK has them."""
        return _read_only(self._record.attributes)

    @property
    def events(self) -> Sequence[Any]:
        """What happened."""
        found = self._record.events
        return tuple(Happened(e.name, e.time, _read_only(e.attributes)) for e in found)

    @property
    def links(self) -> Sequence[trace.Link]:
        """What it points at."""
        return tuple(trace.Link(to_theirs(link.context), _read_only(link.attributes)) for link in self._record.links)

    @property
    def status(self) -> trace.Status:
        """How it went."""
        code, message = self._record.status
        return Status(_STATUS[code], message or None)

    @property
    def resource(self) -> Any:
        """Of this process, as the SDK has it."""
        from . import sdk

        return sdk.resource()

    @property
    def instrumentation_scope(self) -> Any:
        """Who made it, as the SDK has it."""
        from . import sdk

        return sdk.scope(self._record.scope)

    instrumentation_info = instrumentation_scope

    def to_json(self, indent: int | None = 4) -> str:
        """As text, by the SDK's own writing."""
        from . import sdk

        text: str = sdk.readable(self._record).to_json(indent)
        return text

    def __repr__(self) -> str:
        return f"<span {json.dumps(self._record.name)} {self._record.context.trace_id}:{self._record.context.span_id}>"


class Foreign(Span):
    """A span that somebody else records, as our room sees it: what is begun in its course is its child."""

    __slots__ = ("_span",)

    def __init__(self, span: trace.Span, around: Span | None) -> None:
        theirs = span.get_span_context()
        context = to_ours(theirs)
        self._span = span
        within = around is not None and around.context.trace_id == context.trace_id
        if around is not None and within:
            context.baggage = around.context.baggage
            if not context.sampled and not context.remote:
                # It will never be seen, and a child of it would hang in the air.
                context = around.context
        super().__init__("", 1, context, "", 0, "" if around is None else around.request_id)
        self.course = None if around is None else around.course
        self.api = span

    @property
    def recording(self) -> bool:
        """Whether its own recorder says so."""
        return self._span.is_recording()

    def set_attribute(self, key: str, value: object) -> None:
        """Pass it on."""
        self._span.set_attribute(key, value)  # type: ignore[arg-type]

    def add_event(self, name: str, attributes: Mapping[str, object] | None = None, when: int | None = None) -> None:
        """Pass it on."""
        self._span.add_event(name, attributes, when)  # type: ignore[arg-type]

    def record_exception(self, error: BaseException, escaped: bool = False) -> None:
        """Pass it on."""
        self._span.record_exception(error, escaped=escaped)

    def set_status(self, code: int, message: str = "") -> None:
        """Pass it on."""
        if code != UNSET:
            self._span.set_status(Status(_STATUS[code], message or None if code == ERROR else None))

    def end(self, end: int | None = None) -> None:
        """It is for its own recorder to end."""


class Nowhere(Span):
    """Stands for a context without a span, in which nothing is current; false, so that it is no answer."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False


NOWHERE = Nowhere("", 1, to_ours(Theirs(1, 1, is_remote=False)), "", 0, "")


def shown(record: Span) -> trace.Span:
    """The API's view of a record: the same for its whole life."""
    found = record.api
    if found is None:
        found = record.api = Recorded(record)
    return found  # type: ignore[no-any-return]


def record_of(span: Any) -> Span:
    """What our room sees of what stands as the span in a context of the API's."""
    if type(span) is Recorded:
        return span._record
    if not isinstance(span, trace.Span) or not span.get_span_context().is_valid:
        return NOWHERE
    now = current_span()
    if now is not None and now.api is span:
        return now
    around = now if now is not None else activated()
    return Foreign(span, around or None)


def _read_only(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Lists as tuples, as the SDK has them."""
    return MappingProxyType({k: tuple(v) if isinstance(v, list) else v for k, v in attributes.items()})
