"""The ids in what structlog renders as JSON, which is where its events become records or lines.

A renderer of text is left alone, as every text is: there, the user adds the processor `hoptrace.logs.add_trace_ids`.
What goes on to `logging` has the ids on its record besides. An event's own `trace_id` stays.
"""

from __future__ import annotations

from ..guard import guard
from . import add_trace_ids, enabled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAME = "__call__"
_patched: tuple[Any, Any, Any] | None = None  # the renderer, its own method, ours


def patch(module: Any) -> None:
    """`structlog.processors` has been imported."""
    global _patched
    kind = module.JSONRenderer
    render = kind.__dict__[_NAME]
    if _patched is not None and _patched[2] is render:
        return
    if not enabled():
        return

    def call(renderer: Any, logger: Any, name: str, event_dict: Any, *arguments: Any, **named: Any) -> Any:
        if _patched is not None:
            with guard("logs.structlog"):
                if isinstance(event_dict, dict) and "trace_id" not in event_dict:
                    event_dict = add_trace_ids(logger, name, event_dict.copy())
        return render(renderer, logger, name, event_dict, *arguments, **named)

    call.__name__, call.__qualname__, call.__doc__ = _NAME, render.__qualname__, render.__doc__
    call.__module__ = render.__module__
    call.__wrapped__ = render  # type: ignore[attr-defined]
    kind.__call__ = call
    _patched = (kind, render, call)


def unpatch() -> None:
    """Put the renderer's own back, unless others have patched over it."""
    global _patched
    if _patched is not None:
        kind, render, call = _patched
        if kind.__dict__.get(_NAME) is call:
            kind.__call__ = render
        _patched = None
