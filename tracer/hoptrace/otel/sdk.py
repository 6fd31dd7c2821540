"""Where the user's code has OpenTelemetry's SDK: their provider's spans to the collector, ours to their processors.

A provider that the user sets gets one more processor, ours. What ends there is handed over as a record with its scope
and with what its resource has that ours has not; their exporters see what they saw. Where one of them sends to our own
collector, ours keeps silent, or each span would arrive twice.
"""

import sys
from typing import Any

from ..guard import guard
from ..settings import Settings, collector_here, settings
from ..spans import Span, current_span
from ..spans.span import Event, Link
from .ids import to_ours
from .span import Recorded, shown
from .values import attributes_of
from .watcher import leave, watcher

_MARK = "__hoptrace_otel__"
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")

_patched: list[tuple[Any, str, Any, Any]] = []  # a module, a name, what it was, what we made of it
_attached: list[Any] = []
_on = False
_resource: tuple[Any, Any] = (None, None)  # of these settings, the SDK's
_difference: tuple[Any, Any] = (None, None)  # what a resource of theirs has that ours has not


# -- ours, as the SDK has it -------------------------------------------------------------------------------------------


def resource() -> Any:
    """Our resource."""
    global _resource
    knobs = settings()
    if _resource[0] is not knobs:
        from opentelemetry.sdk.resources import Resource

        _resource = (knobs, Resource({key: _tuple(value) for key, value in knobs.resource.items()}))
    return _resource[1]


def scope(made_by: tuple[str, ...] | None) -> Any:
    """Who made a span."""
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from ..encode import SCOPE

    name, version, *schema = made_by or SCOPE
    return InstrumentationScope(name, version or None, schema[0] if schema else None)


def readable(record: Span) -> Any:
    """A record of ours."""
    from opentelemetry.sdk import trace as sdk

    view = shown(record)
    if type(view) is not Recorded:
        return view
    return sdk.ReadableSpan(
        name=record.name,
        context=view.get_span_context(),
        parent=view.parent,
        resource=resource(),
        attributes=dict(view.attributes),
        events=tuple(sdk.Event(e.name, dict(e.attributes), e.timestamp) for e in view.events),
        links=view.links,
        kind=view.kind,
        status=view.status,
        start_time=record.start,
        end_time=record.end_time or None,
        instrumentation_scope=scope(record.scope),
    )


def current_context() -> Any:
    """The API's context here."""
    return sys.modules["opentelemetry.context"].get_current()


def _tuple(value: object) -> Any:
    return tuple(value) if isinstance(value, list) else value


# -- theirs, as our records have it ------------------------------------------------------------------------------------


def record_of(span: Any, course: Any, request_id: str) -> Span:
    """A span of the SDK's, as a record of ours."""
    parent = span.parent
    context = to_ours(span.context)
    found = Span(
        span.name or "", span.kind.value + 1, context, format(parent.span_id, "016x") if parent else "", 0, request_id
    )
    found.start = span.start_time or 0
    found.course = course
    found.attributes = attributes_of(span.attributes, 1 << 16)
    if course is not None and course.over:
        found.attributes["hoptrace.late"] = True
    found.events = [Event(e.name, e.timestamp, attributes_of(e.attributes, 1 << 16)) for e in span.events]
    found.links = [Link(to_ours(x.context), attributes_of(x.attributes, 1 << 16)) for x in span.links]
    found.status = (span.status.status_code.value, span.status.description or "")
    made_by = span.instrumentation_scope
    found.scope = (made_by.name or "", made_by.version or "") if made_by is not None else ("", "")
    found.resource = _beside_ours(span.resource)
    found.end_time = max(span.end_time, found.start) if span.end_time else 0
    return found


def _beside_ours(theirs: Any) -> dict[str, object] | None:
    """What a resource says otherwise than ours: all but what the SDK says of itself and of a nameless service."""
    global _difference
    if _difference[0] is not theirs:
        ours = settings().resource
        said = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in (theirs.attributes.items() if theirs is not None else ())
            if not key.startswith("telemetry.")
        }
        if str(said.get("service.name", "")).startswith("unknown_service"):
            del said["service.name"]
        _difference = (theirs, {key: value for key, value in said.items() if ours.get(key) != value} or None)
    found: dict[str, object] | None = _difference[1]
    return found


def attend(trace: Any) -> None:
    """Attach to the provider that is set, or will be, as the API's own."""
    global _on
    _on = True
    original = trace._set_tracer_provider
    if getattr(original, _MARK, False):
        return

    def _set_tracer_provider(*arguments: Any, **named: Any) -> Any:
        answer = original(*arguments, **named)
        if _on:
            with guard("otel.attach_to_provider"):
                _attach_to(trace._TRACER_PROVIDER)
        return answer

    setattr(_set_tracer_provider, _MARK, True)
    trace._set_tracer_provider = _set_tracer_provider
    _patched.append((trace, "_set_tracer_provider", original, _set_tracer_provider))
    _attach_to(trace._TRACER_PROVIDER)


def _attach_to(provider: Any) -> None:
    sdk = sys.modules.get("opentelemetry.sdk.trace")
    kind = getattr(sdk, "TracerProvider", None)
    if kind is None or not isinstance(provider, kind) or any(provider is known for known in _attached):
        return
    _attached.append(provider)
    from .processor import Processor

    provider.add_span_processor(Processor(provider))
    watcher()


def sends_to_us(provider: Any) -> bool:
    """Whether one of a provider's exporters sends to our own collector."""
    knobs = settings()
    if not collector_here():
        return False
    for processor in getattr(getattr(provider, "_active_span_processor", None), "_span_processors", ()):
        inner = getattr(processor, "_batch_processor", None)
        for holder in (processor, inner):
            exporter = getattr(holder, "span_exporter", None) or getattr(holder, "_exporter", None)
            if _is_ours(getattr(exporter, "_endpoint", None), knobs):
                return True
    return False


def _is_ours(endpoint: Any, knobs: Settings) -> bool:
    if not isinstance(endpoint, str):
        return False
    port = knobs.whole("HOPTRACE_OTLP_PORT", default=4318)
    place = endpoint.partition("://")[2].partition("/")[0]
    return endpoint.startswith("http://") and any(place == f"{host}:{port}" for host in _LOOPBACK)


# -- the user's own wrapper of the handler -----------------------------------------------------------------------------


def patch(module: Any) -> None:
    """Have the span that `AwsLambdaInstrumentor` makes for the handler be the child of the invocation's.

    It would take the event's context, or none, for its parent, and be a sibling of our span or in a trace of its own.
    """
    global _on
    _on = True
    name = "_determine_parent_context"
    original = getattr(module, name, None)
    if original is None or getattr(original, _MARK, False):
        return

    def _determine_parent_context(*arguments: Any, **named: Any) -> Any:
        span = current_span() if _on else None
        return original(*arguments, **named) if span is None else current_context()

    setattr(_determine_parent_context, _MARK, True)
    setattr(module, name, _determine_parent_context)
    _patched.append((module, name, original, _determine_parent_context))


def unpatch() -> None:
    """Leave everything as it was; the processor stays where it is, and does nothing."""
    global _on
    _on = False
    while _patched:
        module, name, original, ours = _patched.pop()
        if getattr(module, name, None) is ours:
            setattr(module, name, original)
    _attached.clear()
    leave()


def on() -> bool:
    """Whether what ends in the user's provider is handed over."""
    return _on
