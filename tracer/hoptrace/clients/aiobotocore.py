"""aiobotocore, and aioboto3 on top of it: botocore's one method as a coroutine, with the same spans, rows and carriers.

What its session sends by aiohttp or httpx, credentials' requests included, belongs to that call and makes no span.
"""

import functools
from collections.abc import Callable
from typing import Any

from ..guard import guard
from .begun import begun, leave
from .http import quiet
from .method import Method

_SESSIONS = ("AIOHTTPSession", "HttpxSession")


def patch(module: Any) -> None:
    """Trace the clients of this `aiobotocore.client`, or quiet the session of this module for sessions."""
    if module.__name__.endswith(".client"):
        _CALL.patch(module.AioBaseClient)
        return
    for name, method in zip(_SESSIONS, (_AIOHTTP, _HTTPX), strict=True):
        session = module.__dict__.get(name)
        # The one of httpx imports the other's, and has no method to patch when httpx is not there.
        if session is not None and session.__module__ == module.__name__ and hasattr(session, "send"):
            method.patch(session)


def unpatch() -> None:
    """Undo it."""
    for method in (_CALL, _AIOHTTP, _HTTPX):
        method.unpatch()
    leave()


def _traced(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def _make_api_call(self: Any, operation_name: Any, api_params: Any) -> Any:
        call = None
        params = api_params
        if _CALL.on:
            with guard("clients.aiobotocore.begin"):
                call = begun(self, operation_name, api_params)
        if call is None:
            return await original(self, operation_name, api_params)
        with guard("clients.aiobotocore.inject"):
            params = call.injected(api_params)
        try:
            response = await original(self, operation_name, params)
        except BaseException as error:
            with guard("clients.aiobotocore.end"):
                call.failed(error)
            raise
        with guard("clients.aiobotocore.end"):
            call.done(response)
        return response

    return _make_api_call


def _quieted(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def send(self: Any, *arguments: Any, **named: Any) -> Any:
        with quiet():
            return await original(self, *arguments, **named)

    return send


_CALL = Method("_make_api_call", _traced)
_AIOHTTP = Method("send", _quieted)
_HTTPX = Method("send", _quieted)
