"""The ids of the current trace and span in every record that the user's code logs.

A record gets `trace_id` and `span_id` as attributes of its own, where every formatter that shows a record's extra
attributes finds them (Lambda's JSON format, Powertools, python-json-logger), and a format that names them can. No text
changes by it. Written after the record is made, whatever factory made it and with `extra` applied: what the user has
given of these names stays, and with a trace id of theirs stands no span id of ours.

Some names are needed even outside of any trace: a format that names an attribute which a record lacks loses the line.
So the formats of handlers are looked at, and what they name of ours, or of OpenTelemetry's
(`otelTraceID`, `otelSpanID`, `otelTraceSampled`, `otelServiceName`), every record has.

Nothing here is loaded before the first record. `patch` and `unpatch` are what the watch over imports calls.
"""

from __future__ import annotations

import logging
import sys

from ..guard import guard
from ..settings import settings
from ..spans import current_span

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from typing import Any

__all__ = ["add_trace_ids", "enabled", "trace_ids"]

_OTEL = ("otelTraceID", "otelSpanID", "otelTraceSampled", "otelServiceName")
_NAMES = ("trace_id", "span_id", *_OTEL)
_FALSE = ("false", "0", "no", "off")
_POWERTOOLS = "aws_lambda_powertools.logging.formatter"

_named: set[str] = set()
"""What some format names, so that every record needs it."""

_patched: list[tuple[Any, str, Any, Any]] = []  # the owner, the method's name, theirs, ours


def trace_ids() -> dict[str, str]:
    """The current `trace_id` and `span_id` in hex digits; empty outside of any trace.

    For loggers that are not the standard library's, such as loguru's:
    `logger.configure(patcher=lambda record: record["extra"].update(trace_ids()))`.
    """
    span = current_span()
    if span is None:
        return {}
    return {"trace_id": span.context.trace_id, "span_id": span.context.span_id}


def add_trace_ids(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor of structlog that adds both ids, for chains that do not end in its `JSONRenderer`."""
    if "trace_id" not in event:
        for name, value in trace_ids().items():
            event.setdefault(name, value)
    return event


def enabled() -> bool:
    """Whether records get ids (`HOPTRACE_LOGS_TRACE_IDS`)."""
    return not any(word in _FALSE for word in settings().listed("HOPTRACE_LOGS_TRACE_IDS"))


def patch(module: Any) -> None:
    """`logging` is here, and somebody logs."""
    if _patched or not enabled():
        return
    if settings().listed("OTEL_PYTHON_LOG_CORRELATION") == ["true"]:
        _named.update(_OTEL)
    _put(module.Logger, "makeRecord", _making)
    _put(module.Handler, "setFormatter", _formatting)
    for reference in list(module._handlerList):
        handler = reference()
        if handler is not None:
            _look(handler.formatter)


def unpatch() -> None:
    """Leave `logging` as it was found; where others have patched over it, what stays there does nothing."""
    _named.clear()
    while _patched:
        owner, name, theirs, ours = _patched.pop()
        if owner.__dict__.get(name) is ours:
            setattr(owner, name, theirs)


def _put(owner: Any, name: str, wrapping: Callable[[Any], Any]) -> None:
    theirs = owner.__dict__[name]
    ours = wrapping(theirs)
    ours.__name__, ours.__qualname__, ours.__doc__ = name, theirs.__qualname__, theirs.__doc__
    ours.__module__, ours.__wrapped__ = theirs.__module__, theirs
    setattr(owner, name, ours)
    _patched.append((owner, name, theirs, ours))


def _making(make: Callable[..., Any]) -> Callable[..., Any]:
    """`Logger.makeRecord`: not on the stack any more when handlers look for who has called."""

    def make_record(logger: Any, *arguments: Any, **named: Any) -> Any:
        record = make(logger, *arguments, **named)
        if _patched:
            try:
                _write(logger, record)
            except Exception:
                with guard("logs"):  # entered for an error only: every record comes by here
                    raise
        return record

    return make_record


def _formatting(put: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """`Handler.setFormatter`, to see what the format names."""

    def set_formatter(handler: Any, fmt: Any) -> None:
        put(handler, fmt)
        if _patched:
            with guard("logs.format"):
                _look(fmt)

    return set_formatter


def _look(formatter: Any) -> None:
    form = getattr(formatter, "_fmt", None)
    if type(form) is str:
        _named.update(name for name in _NAMES if f"({name})" in form or f"{{{name}" in form or f"${name}" in form)


def _write(logger: Any, record: Any) -> None:
    fields = getattr(record, "__dict__", None)
    if type(fields) is not dict:  # what a factory of the user's makes need not be a record
        return
    span = current_span()
    if span is not None and "trace_id" not in fields and not _theirs(logger, record):
        fields["trace_id"] = span.context.trace_id
        if "span_id" not in fields:
            fields["span_id"] = span.context.span_id
    for name in _NAMES if _named else ():
        if name in _named and name not in fields:
            fields[name] = _value(name, span)


def _value(name: str, span: Any) -> object:
    """What a format's name stands for that the record lacks: OpenTelemetry's own words for "none"."""
    if name == "otelTraceID":
        return span.context.trace_id if span is not None else "0"
    if name == "otelSpanID":
        return span.context.span_id if span is not None else "0"
    if name == "otelTraceSampled":
        return span is not None and span.context.sampled
    return settings().resource["service.name"] if name == "otelServiceName" else ""


def _theirs(logger: Any, record: Any) -> bool:
    """Whether a trace id of the user's stands somewhere else: on their own kind of record, or in Powertools' keys.

    Powertools' formatter lays a record's attributes over the keys that were appended.
    """
    kind = type(record)
    if kind is not logging.LogRecord and hasattr(kind, "trace_id"):
        return True
    if _POWERTOOLS not in sys.modules:
        return False
    while logger is not None:
        for handler in logger.handlers:
            appended = getattr(handler.formatter, "log_format", None)
            in_context = getattr(handler.formatter, "thread_safe_get_current_keys", None)
            if type(appended) is dict and "trace_id" in appended:
                return True
            if in_context is not None and "trace_id" in in_context():
                return True
        logger = logger.parent if logger.propagate else None
    return False
