"""What travels: a span's context as named texts, in the formats that `OTEL_PROPAGATORS` lists.

A carrier (`hoptrace.carriers`) is a place for named texts: HTTP headers, message attributes, members of a JSON object.
Which texts, this room says, so that no carrier knows a format and no format a carrier. A format that is not listed is
not imported.

Of several formats the one that is listed last and found wins, as OpenTelemetry's composite propagator has it. X-Ray's
is the exception: it only fills in, since the services of AWS put one of their own beside whatever a producer wrote.
"""

from contextvars import ContextVar

from hoptrace.settings import settings
from hoptrace.spans.context import SpanContext, format_traceparent, format_xray, parse_traceparent, parse_xray

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Get = Callable[[str], str]

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
BAGGAGE = "baggage"
XRAY = "x-amzn-trace-id"

# What shows that a carrier has a context already, by format.
_MARKS = {"tracecontext": TRACEPARENT, "b3": "b3", "b3multi": "x-b3-traceid"}
# W3C Baggage, "limits": everybody propagates at least 8,192 bytes, and nobody has to do more.
_LONGEST_BAGGAGE = 8_192

_MOST_ARRIVED = 2_000
_arrived: "list[set[str]]" = [set(), set()]
"""The ids of the spans whose contexts were read here last, the newer half first."""

_without_room: "ContextVar[int]" = ContextVar("hoptrace.without_room", default=0)


def extract(get: "Get") -> SpanContext | None:
    """Read a context; `get` gives the text of a name (in lower case), "" when there is none."""
    found = None
    listed = settings().propagators
    for name in listed:
        if name == "tracecontext":
            found = parse_traceparent(get(TRACEPARENT), get(TRACESTATE)) or found
        elif name in ("b3", "b3multi"):
            from hoptrace.propagation import b3

            found = b3.read(get) or found
        elif name == "datadog":
            from hoptrace.propagation import datadog

            found = datadog.read(get) or found
    if found is None and "xray" in listed:
        said = parse_xray(get(XRAY))
        found = said if said is not None and said.sampled else None
    if found is not None:
        if "baggage" in listed:
            found.baggage = baggage(get(BAGGAGE))
        if len(_arrived[0]) >= _MOST_ARRIVED:
            _arrived[:] = set(), _arrived[0]
        _arrived[0].add(found.span_id)
    return found


def without_passed_on(
    texts: "dict[Any, Any]", context: SpanContext, text_of: "Callable[[Any], object]" = lambda value: value
) -> "dict[Any, Any]":
    """Return the members of a carrier without a context that came here and is only being passed on; else the very same.

    Whoever sends on what a message brought, attributes and all, means no parent by it; and now there is a nearer one.
    That is so in the same trace only: in another one, what was passed on is all that says where the message belongs.
    """
    given = parse_traceparent(text_of(texts[TRACEPARENT])) if TRACEPARENT in texts else None
    if given is None or given.trace_id != context.trace_id or given.span_id == context.span_id:
        return texts
    if not any(given.span_id in half for half in _arrived):
        return texts
    # Baggage that was changed on the way is the user's own.
    old = {TRACEPARENT, TRACESTATE} | ({BAGGAGE} if text_of(texts.get(BAGGAGE)) == context.baggage else set())
    return {name: value for name, value in texts.items() if name not in old}


def choices(context: SpanContext, header: bool = False) -> "list[dict[str, str]]":
    """Say what to write, the best first: everything, then what is left when there is no room for all of it.

    `header` says that the carrier is an HTTP header; AWS's own messages have a place of their own for X-Ray's format.
    An empty list means that nothing is to be written.
    """
    listed = settings().propagators
    least: dict[str, str] = {}
    for name in listed:
        if name == "tracecontext":
            least[TRACEPARENT] = format_traceparent(context)
        elif name in ("b3", "b3multi"):
            from hoptrace.propagation import b3

            least.update(b3.write(context, single=name == "b3"))
        elif name == "xray" and header:
            least[XRAY] = format_xray(context)
    if not least:
        return []
    found = [least]
    if context.trace_state and TRACEPARENT in least:
        found.append({**found[-1], TRACESTATE: context.trace_state})
    if context.baggage and "baggage" in listed:
        found.append({**found[-1], BAGGAGE: context.baggage})
    found.reverse()
    return found


def has_context(names: "Iterable[str]") -> bool:
    """Tell whether somebody wrote a context under one of these names (in lower case), in a format that we write."""
    listed = settings().propagators
    return any(mark in names for name, mark in _MARKS.items() if name in listed)


def no_room() -> None:
    """Count a message that had no room for a context, which then goes by a smaller carrier or not at all."""
    _without_room.set(_without_room.get() + 1)


def without_room() -> int:
    """How many there were so far in the course of what runs here; the difference that a call makes is its own."""
    return _without_room.get()


def aws_headers() -> bool:
    """Tell whether AWS's own trace headers are read and written: always but for `OTEL_PROPAGATORS=none`."""
    return bool(settings().propagators)


def baggage(value: object) -> str:
    """Return a `baggage` header that may travel on, "" when it is none."""
    if type(value) is not str or len(value) > _LONGEST_BAGGAGE or not (value.isascii() and value.isprintable()):
        return ""
    return value.strip()
