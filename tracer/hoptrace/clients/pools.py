"""Work that is given to a thread pool belongs to the span in whose course it was given.

A pool's threads live on from one invocation to the next, and their own context says nothing about the work. So what is
submitted takes the current span and OpenTelemetry's context along, as it does with `asyncio.to_thread`.
"""

import functools
import sys
from collections.abc import Callable
from typing import Any

from ..guard import guard
from ..spans import activate
from ..spans.current import activated, current_span, give_back

_MARK = "__hoptrace_pool__"
_patched: tuple[Any, Any, Any] | None = None
_on = False


def patch(module: Any) -> None:
    """`concurrent.futures.thread` has been imported."""
    global _on, _patched
    _on = True
    owner = module.ThreadPoolExecutor
    original = owner.submit
    if getattr(original, _MARK, False):
        return

    @functools.wraps(original)
    def submit(self: Any, fn: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
        given = fn
        if _on:
            with guard("clients.pools"):
                given = _carried(fn)
        return original(self, given, *arguments, **named)

    setattr(submit, _MARK, True)
    owner.submit = submit
    _patched = (owner, original, submit)


def unpatch() -> None:
    """Leave the pools as they were."""
    global _on, _patched
    _on = False
    if _patched is not None:
        owner, original, ours = _patched
        if owner.__dict__.get("submit") is ours:
            owner.submit = original
        _patched = None


def _carried(fn: Callable[..., Any]) -> Callable[..., Any]:
    api = sys.modules.get("opentelemetry.context")
    if api is not None and (current_span() is not None or api.get_current()):
        context = api.get_current()

        @functools.wraps(fn, updated=())
        def in_context(*arguments: Any, **named: Any) -> Any:
            token = api.attach(context)
            try:
                return fn(*arguments, **named)
            finally:
                api.detach(token)

        return in_context
    span = activated()
    if span is None:  # the invocation alone, which stands behind every thread
        return fn

    @functools.wraps(fn, updated=())
    def in_span(*arguments: Any, **named: Any) -> Any:
        token = activate(span)
        try:
            return fn(*arguments, **named)
        finally:
            give_back(token)

    return in_span
