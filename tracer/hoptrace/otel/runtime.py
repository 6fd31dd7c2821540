"""OpenTelemetry's context as a view of our current span, so that there is one truth and not two to keep in step.

The API reads and writes its context through one object, `_RUNTIME_CONTEXT`. Ours stands before the API's own, which
goes on holding everything but the span:

- what is read is the API's own context, with our current span laid over it where the two differ (a patched client
  made its span current meanwhile, or nobody has attached anything in this thread and an invocation is running), and
  with the baggage that arrived with that span where the code has set none;
- what is attached is held by the API's own, and the span in it becomes our current one. A context without a span means
  that there is none: what is begun in it is a root, as the API has it.

Attach and detach go through context variables on both sides. Detached in the wrong order, both go back to where
their token says; in another thread or task, the API logs its error and ours stays as it is.
"""

from contextvars import Token
from typing import Any

from ..guard import guard
from ..settings import settings
from ..spans import Span, activate, current_span
from ..spans.current import activated, give_back, on_boundary
from ..spans.span import on_child
from . import baggage

_OWN = "ContextVarsRuntimeContext"

_patched: tuple[Any, Any, Any] | None = None  # the API's module, its own runtime context, ours
spans: Any = None
"""What turns spans of the API into ours and back (`hoptrace.otel.span`), once the API has spans."""


class Attached:
    """What `attach` answers: the tokens of both sides."""

    __slots__ = ("ours", "theirs")

    def __init__(self, theirs: Any, ours: "Token[Span | None] | None") -> None:
        self.theirs = theirs
        self.ours = ours


class View:
    """The API's runtime context; `own` is the one that it came with."""

    def __init__(self, own: Any, kind: Any) -> None:
        self.own = own
        self._kind = kind
        self._before = own.get_current()

    def attach(self, context: Any) -> Attached:
        """Make a context current, and the span in it."""
        theirs = self.own.attach(context)
        ours = None
        if spans is not None:
            with guard("otel.attach"):
                ours = activate(spans.record_of(context.get(spans.key())))
        return Attached(theirs, ours)

    def detach(self, token: Any) -> None:
        """Go back to what was current before; raises what the API's own raises."""
        if type(token) is not Attached:
            self.own.detach(token)  # attached before we came
            return
        if token.ours is not None:
            give_back(token.ours)
        self.own.detach(token.theirs)

    def boundary(self, begins: Span | None) -> None:
        """What code attached and left attached ends with its invocation."""
        with guard("otel.boundary"):
            own = self.own.get_current()
            if begins is not None:
                self._before = own
            elif own is not self._before:
                self.own.attach(self._before)

    def get_current(self) -> Any:
        """The context that is current."""
        own = self.own.get_current()
        if spans is None:
            return own
        with guard("otel.context"):
            return self._seen(own)
        return own

    def _seen(self, own: Any) -> Any:
        key = spans.key()
        held = own.get(key)
        span = current_span()
        if span is None:
            if held is None or activated() is None or not held.get_span_context().is_valid:
                return own
            return self._kind({name: value for name, value in own.items() if name != key})
        shown = spans.shown(span)
        if held is shown:
            return own
        cached = span.seen
        if cached is not None and cached[0] is own:
            return cached[1]
        laid_over = dict(own)
        laid_over[key] = shown
        if span.context.baggage:
            name = baggage.key()
            if name and name not in own:
                laid_over[name] = baggage.parsed(span.context.baggage)
        seen = self._kind(laid_over)
        span.seen = (own, seen)
        return seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)


def in_place() -> bool:
    """Whether the API goes by our view; somebody may have put another runtime context in its place meanwhile."""
    return _patched is not None and _patched[0]._RUNTIME_CONTEXT is _patched[2]


def patch(module: Any) -> None:
    """Stand before the API's runtime context; one that somebody else has put there is left alone."""
    global _patched
    found = getattr(module, "_RUNTIME_CONTEXT", None)
    if type(found) is View:
        return
    if found is None:  # 1.20 looks its own up at the first use, by the package's metadata
        from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

        if settings().environ.get("OTEL_PYTHON_CONTEXT", "contextvars_context") != "contextvars_context":
            return
        found = ContextVarsRuntimeContext()
    elif type(found).__name__ != _OWN:
        return
    view = View(found, module.Context)
    module._RUNTIME_CONTEXT = view
    _patched = (module, found, view)
    on_child(baggage.travelling)
    on_boundary(view.boundary)


def unpatch() -> None:
    """Put the API's own back."""
    global _patched
    on_child(None)
    on_boundary(None)
    if _patched is not None:
        module, own, view = _patched
        if module._RUNTIME_CONTEXT is view:
            module._RUNTIME_CONTEXT = own
        _patched = None
