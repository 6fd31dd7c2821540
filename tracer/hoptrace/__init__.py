"""hoptrace: OpenTelemetry tracing for Python on AWS Lambda, hop by hop.

Attach the layer and nothing else is needed; where there is no layer, decorate the handler:

    import hoptrace

    @hoptrace.trace
    def handler(event, context):
        ...
"""

from __future__ import annotations

from .version import __version__

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    _Handler = TypeVar("_Handler", bound=Callable[..., Any])

    from .spans import Span


__all__ = ["__version__", "current_span", "trace"]


def trace(handler: _Handler) -> _Handler:
    """Trace every call of a Lambda handler: `@hoptrace.trace`, or `handler = hoptrace.trace(handler)`.

    The handler is called with the very event and context, its result and its exceptions pass untouched. Harmless where
    the layer is attached too, and twice. Outside Lambda the calls are recorded as well. With `HOPTRACE_DISABLED=true`
    or `OTEL_SDK_DISABLED=true` the handler itself is returned.

    Args:
        handler: a callable of `(event, context)`.
    """
    from .settings import settings

    if settings().disabled:
        return handler
    from .entry import traced

    return traced(handler)


def current_span() -> Span | None:
    """The span that is being recorded here, the invocation's own or one inside it; `None` outside of any."""
    from .spans import current_span as current

    return current()
