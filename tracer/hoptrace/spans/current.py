"""Which span is current: a context variable, and behind it the invocation that this process is working on.

A thread that the user's code starts has an empty context. Where Lambda runs one invocation at a time in a process, what
such a thread does belongs to that invocation, so its span is the answer there.

This is the only truth about the current span: OpenTelemetry's context, where the user's code has it, is shown this one
(`hoptrace.otel.runtime`).
"""

from __future__ import annotations

from contextvars import ContextVar, Token

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Callable

    from .span import Span


_current: ContextVar[Span | None] = ContextVar("hoptrace.current_span", default=None)
_invocation: Span | None = None
_boundary: Callable[[Span | None], None] | None = None


def current_span() -> Span | None:
    """The span in whose course this code runs, or `None`."""
    span = _current.get()
    return _invocation if span is None else span or None


def activated() -> Span | None:
    """What was made current here and nowhere else: without the invocation that stands behind it."""
    return _current.get()


def activate(span: Span | None) -> Token[Span | None]:
    """Make a span current here; `restore` takes the answer."""
    return _current.set(span)


def restore(token: Token[Span | None]) -> None:
    """Undo `activate`. A token of another context (the user moved between them) is ignored."""
    try:
        _current.reset(token)
    except (ValueError, RuntimeError):
        _current.set(None)


def give_back(token: Token[Span | None]) -> None:
    """Undo `activate` as OpenTelemetry would: a token of another context changes nothing here."""
    try:
        _current.reset(token)
    except (ValueError, RuntimeError):
        return


def set_invocation(span: Span | None) -> None:
    """Name the invocation that threads without a span of their own work for."""
    global _invocation
    _invocation = span
    if _boundary is not None:
        _boundary(span)


def on_boundary(boundary: Callable[[Span | None], None] | None) -> None:
    """Name what is called between invocations, with the one that begins or `None`; it must not raise."""
    global _boundary
    _boundary = boundary
