"""The only place that calls the user's code, and the runtime's loader of it.

The runtime client cuts the leading frames of files with this name off the traceback that it reports, so none of ours
shows. No telemetry code runs here between the user's return and its return value that could raise: `begin`, `succeed`
and `fail` are guarded by whoever passes them.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Handler = Callable[..., Any]


def calling(
    user: Handler,
    begin: Callable[[tuple[Any, ...], dict[str, Any]], Any],
    succeed: Callable[[Any, Any], None],
    fail: Callable[[Any, BaseException], None],
    answer: Callable[[Any, Any], Any],
) -> Handler:
    """A handler that calls the user's, with one invocation recorded around it.

    Args:
        begin: gets the call's arguments before it; its answer goes to the other two.
        succeed: gets that answer and the result.
        fail: gets that answer and the exception, which then passes on, `BaseException`s too.
        answer: gets what `succeed` got; what it returns is returned, which is the very result but for authorizers that
            are to carry a context.
    """

    def handler(*arguments: Any, **named: Any) -> Any:
        __traceback_hide__ = True  # sentry-sdk and others leave out a frame that has this local
        invocation = begin(arguments, named)
        try:
            result = user(*arguments, **named)
        except BaseException as error:
            fail(invocation, error)
            raise
        succeed(invocation, result)
        return answer(invocation, result)

    return handler


class Traced:
    """A callable object that is traced when it is called and is the user's in every other respect."""

    def __init__(self, wrapped: Any, call: Handler) -> None:
        object.__setattr__(self, "__wrapped__", wrapped)
        object.__setattr__(self, "_hoptrace_call", call)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call it, recorded."""
        return self._hoptrace_call(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__wrapped__, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__wrapped__, name)


def loading(
    load: Callable[[str], Any],
    named: Callable[[str], str],
    loaded: Callable[[Any], Any],
    failed: Callable[[BaseException], None],
) -> Callable[[str], Any]:
    """The runtime's `_get_handler` with our eyes on it: its very result goes through `loaded`, its very errors pass.

    Args:
        load: the runtime's own loader.
        named: the handler that is meant by a handler's name.
        loaded, failed: get the handler or the error.
    """

    def get_handler(handler: str) -> Any:
        try:
            found = load(named(handler))
        except BaseException as error:
            failed(error)
            raise
        return loaded(found)

    return get_handler
