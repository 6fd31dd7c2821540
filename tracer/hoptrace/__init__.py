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
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from typing import Any, TypeVar

    _Handler = TypeVar("_Handler", bound=Callable[..., Any])

    from .capture.policy import Denied
    from .spans import Span


__all__ = ["Denied", "__version__", "current_span", "processing", "records", "trace"]


def __getattr__(name: str) -> Any:
    """`hoptrace.Denied`, which a cold start does not load."""
    if name != "Denied":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .capture.policy import Denied

    return Denied


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


def records(event: Any) -> Iterator[Any]:
    """Iterate over a batch, each record with a span of its own: `for record in hoptrace.records(event)`.

    The records are the very objects of `event["Records"]`, and of what else Lambda delivers in batches: `records` of
    Firehose and Kafka, queues of Amazon MQ, a pipe's bare array. Until the next one is asked for, a record's span is
    current, so that what is called meanwhile belongs to that record's trace. An event that is no batch has no records.
    Outside an invocation that is traced, or switched off, it is a plain iteration.

    Where records are processed side by side (threads, tasks), use `processing` where each of them is.
    """
    from .following import records as followed

    return followed(event)


def processing(record: Any) -> AbstractContextManager[object]:
    """The block in which one record of the event is processed: `with hoptrace.processing(record): ...`

    For threads, asyncio tasks, and whatever is no loop. An exception that leaves the block is the record's own, and
    passes on. For a record of no event, it does nothing.
    """
    from .following import Processing

    return Processing(record)
