"""AWS's SDK of durable functions: a span for each attempt of a step that really runs.

Every invocation of an execution calls the handler from its beginning. What is done already is answered from the
checkpoints, without calling the step's function, and so makes no span a second time; a child context's function is
called again on each replay, and has none. Around a step's function, in whatever thread that runs, its span is current.

Patched when the user's code imports the SDK; version 3 is tested. Where a plugin of the SDK's makes spans
(`aws-durable-execution-sdk-python-otel`), those are the ones.
"""

import functools
from collections.abc import Callable
from typing import Any

from ..guard import guard, swallowed
from ..spans import ERROR, INTERNAL, Span, activate, restore, start_span
from ..spans.exceptions import exception_message, exception_type
from .method import Method

_ATTRIBUTES = (
    ("durable.operation.id", "operation_id"),
    ("durable.operation.name", "name"),
    ("durable.operation.subtype", "sub_type"),
)


def patch(module: Any) -> None:
    """The SDK's module of the execution's state has been imported."""
    state = getattr(module, "ExecutionState", None)
    if not callable(getattr(state, "wrap_user_function", None)):
        swallowed("clients.durable", AttributeError("this version's ExecutionState has no wrap_user_function"))
        return
    _wrap.patch(state)


def unpatch() -> None:
    """Undo it; in somebody's chain of wrappers ours stays, and does nothing."""
    _wrap.unpatch()


def _wrapping(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def wrap_user_function(self: Any, user_function: Any, identifier: Any, *more: Any, **named: Any) -> Any:
        if _wrap.on:
            with guard("clients.durable"):
                if _is_step(identifier) and not _has_plugins(self):
                    attempt = named.get("attempt", more[1] if len(more) > 1 else None)
                    user_function = _spanning(user_function, identifier, attempt)
        return original(self, user_function, identifier, *more, **named)

    return wrap_user_function


def _is_step(identifier: Any) -> bool:
    kind = getattr(identifier, "type", None)
    return getattr(kind, "value", kind) == "STEP"


def _has_plugins(state: Any) -> bool:
    return bool(getattr(getattr(state, "_plugin_executor", None), "has_plugins", False))


def _spanning(function: Callable[..., Any], identifier: Any, attempt: Any) -> Callable[..., Any]:
    @functools.wraps(function)
    def step(*arguments: Any, **named: Any) -> Any:
        span, token = None, None
        with guard("clients.durable"):
            span = _begun(identifier, attempt)
            token = activate(span)
        try:
            return function(*arguments, **named)
        except Exception as error:
            with guard("clients.durable"):
                if span is not None:
                    span.set_attribute("error.type", exception_type(error))
                    span.set_status(ERROR, exception_message(error))
                    span.record_exception(error)
            raise
        finally:
            with guard("clients.durable"):
                if token is not None:
                    restore(token)
                if span is not None:
                    span.end()

    return step


def _begun(identifier: Any, attempt: Any) -> Span:
    name = getattr(identifier, "name", None)
    span = start_span(f"step {name}" if isinstance(name, str) and name else "step", INTERNAL)
    span.set_attribute("durable.operation.type", "STEP")
    for attribute, member in _ATTRIBUTES:
        value = getattr(identifier, member, None)
        if value is not None:
            span.set_attribute(attribute, getattr(value, "value", value))
    if isinstance(attempt, int):
        span.set_attribute("durable.attempt.number", attempt)
    return span


_wrap = Method("wrap_user_function", _wrapping)
