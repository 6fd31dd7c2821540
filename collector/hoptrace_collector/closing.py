"""Makes the spans that nobody else can make: of an invocation that never came back, or never reached the tracer.

Pure functions: what happened and when goes in, a finished span comes out. The times are those of the failure, not of
our noticing it.
"""

from collections.abc import Callable
from typing import NamedTuple

from hoptrace_collector.fit import Attributes
from hoptrace_collector.model import ERROR, INTERNAL, SERVER, Begin, InitError, Invocation, Origin, Span
from hoptrace_collector.told import Invoke

__all__ = [
    "Fate",
    "arn_attributes",
    "close",
    "corrected",
    "cut_short",
    "from_init_error",
    "from_invoke",
    "function_name",
    "left_open",
    "xray_root",
]

TIMEOUT = "timeout"
EXIT = "Runtime.ExitError"


class Fate(NamedTuple):
    """How an invocation ended: `outcome` as in `Invocation`, `at` in nanoseconds since the epoch."""

    outcome: str
    error_type: str
    message: str
    at: int

    @classmethod
    def timeout(cls, begun: int, deadline_ms: int, at: int = 0) -> "Fate":
        """It ran into its deadline; `at` is when Lambda ended it, if that is known better than by the deadline."""
        end = at or deadline_ms * 1_000_000
        seconds = max(0.0, (end - begun) / 1e9)
        return cls("timeout", TIMEOUT, f"the function timed out {seconds:.2f} s after the invocation began", end)

    @classmethod
    def crash(cls, at: int, error_type: str = "") -> "Fate":
        """Its process ended in the middle."""
        kind = error_type or EXIT
        return cls("crash", kind, f"the function's process ended before the invocation did ({kind})", at)

    @classmethod
    def unknown(cls, at: int) -> "Fate":
        """It is over, but the record of its end was lost."""
        return cls("unknown", "", "the record of this invocation's end was lost", at)


def close(begin: Begin, fate: Fate) -> tuple[list[Span], Invocation]:
    """Return the spans that were open in `begin`, closed by `fate`, and the invocation that they belong to.

    Where the tracer has noted which records of the batch were taken up, only those that were in work share the fate:
    what had been put down is as it was, and what was not reached has no length.
    """
    notes = {note.span_id: note for note in begin.notes}
    known = {span.span_id for span in begin.records}
    begun = {note.span_id: note for note in begin.notes if note.span_id not in known and note.attributes}
    spans = [begin.span]
    _share(begin.span, fate)
    for span in [*begin.records, *begun.values()]:
        note = notes.get(span.span_id)
        if notes and (note is None or note.end):
            span = _spared(span, note, fate)
        else:
            span.start = note.start if note is not None else span.start
            _share(span, fate)
        spans.append(span)
    return spans, _invocation(begin.request_id, fate, begin.span, begin.origin, begin.deadline_ms)


def cut_short(span: Span, fate: Fate) -> Span:
    """Close a span that was open inside an invocation when it ended by `fate`."""
    _share(span, fate)
    return span


def left_open(span: Span, at: int) -> Span:
    """Close a span that nobody will end, of an invocation that came back at `at`: how it went is not known."""
    span.end = max(at, span.start)
    span.attributes["hoptrace.closed_by"] = "collector"
    return span


def corrected(span: Span, fate: Fate) -> Span:
    """Make an invocation of which its function thought well what Lambda says that it was: a failure."""
    span.end = max(fate.at, span.end)
    span.status, span.status_message = ERROR, fate.message
    span.attributes["error.type"] = fate.error_type
    return span


def _share(span: Span, fate: Fate) -> None:
    span.end = max(fate.at, span.start)
    span.attributes["hoptrace.closed_by"] = "collector"
    span.status_message = fate.message
    if fate.outcome != "unknown":
        span.status = ERROR
        span.attributes["error.type"] = fate.error_type


def _spared(span: Span, note: Span | None, fate: Fate) -> Span:
    """A record that the invocation was not working on when it ended."""
    if note is None:
        span.attributes["hoptrace.record.processed"] = False
        span.start = span.end = max(fate.at, span.start)
    elif note.attributes:
        span = note  # whole, with the error that came out of it
    else:
        span.start, span.end = note.start, max(note.end, note.start)
    span.attributes["hoptrace.closed_by"] = "collector"
    if fate.outcome != "unknown" and span.status != ERROR:
        span.attributes["hoptrace.record.redelivered"] = True
    return span


def from_invoke(
    event: Invoke,
    fate: Fate,
    origin: Origin,
    new_id: Callable[[int], bytes],
    init: InitError | None = None,
    child: Span | None = None,
) -> tuple[list[Span], Invocation]:
    """Return the span of an invocation of which only Lambda's event is known, and the invocation.

    `child` is a span that was open in it, should there be one: then it is known which trace this was.
    """
    start = event.seen or (init.start if init is not None else 0) or fate.at
    attributes: Attributes = {
        "faas.invocation_id": event.request_id,
        "faas.trigger": "other",
        "hoptrace.closed_by": "collector",
        "error.type": fate.error_type,
        **arn_attributes(event.arn),
    }
    if init is not None:
        attributes["faas.coldstart"] = True  # it waited for this initialisation
    span = Span(
        child.trace_id if child is not None else xray_root(event.trace_header) or new_id(16),
        new_id(8),
        function_name(origin, event.arn),
        SERVER,
        start,
        max(start, fate.at),
        attributes=attributes,
        status=ERROR,
        status_message=fate.message,
    )
    return [span], _invocation(event.request_id, fate, span, origin, event.deadline_ms)


def from_init_error(init: InitError, origin: Origin, new_id: Callable[[int], bytes]) -> tuple[list[Span], Invocation]:
    """Return the span of an initialisation that failed before any invocation was handed out."""
    fate = Fate("init_error", init.error_type or "Runtime.Unknown", init.message, init.end)
    span = Span(
        new_id(16),
        new_id(8),
        "init",
        INTERNAL,
        init.start or init.end,
        init.end,
        attributes={"hoptrace.init": True, "error.type": fate.error_type, "hoptrace.closed_by": "collector"},
        status=ERROR,
        status_message=fate.message,
    )
    return [span], _invocation("", fate, span, origin, 0)


def xray_root(header: str) -> bytes:
    """Return the trace id in an `X-Amzn-Trace-Id` header's `Root=1-8hex-24hex`; empty when there is none."""
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == "Root":
            version, _, rest = value.partition("-")
            digits = rest.replace("-", "", 1)
            try:
                root = bytes.fromhex(digits) if version == "1" and len(digits) == 32 else b""
            except ValueError:
                return b""
            return root if len(root) == 16 and any(root) else b""
    return b""


def _invocation(request_id: str, fate: Fate, span: Span, origin: Origin, deadline_ms: int) -> Invocation:
    return Invocation(request_id, fate.outcome, fate.error_type, fate.message, span, origin, deadline_ms)


def function_name(origin: Origin, arn: str) -> str:
    """Say what the function is called."""
    name = dict(origin.resource).get("faas.name")
    if isinstance(name, str) and name:
        return name
    parts = arn.split(":")
    return parts[6] if len(parts) > 6 else "function"


def arn_attributes(arn: str) -> Attributes:
    """Take `arn:aws:lambda:region:account:function:name[:qualifier]` apart."""
    parts = arn.split(":")
    if len(parts) < 7:
        return {}
    return {"aws.lambda.invoked_arn": arn, "cloud.region": parts[3], "cloud.account.id": parts[4]}
