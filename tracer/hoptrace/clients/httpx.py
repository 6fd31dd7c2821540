"""httpx, and httpx2 that goes on from it: every call of either client passes `send`.

Each of its requests, redirects and challenges too, passes one method more, which is where they are counted. The header
goes onto a copy of the request that the transport alone sees: `response.request` is the user's own object, an error's
too. A transport of the user's that calls by another library makes one span with it; what a hook of theirs calls is a
call of its own.
"""

import functools
from collections.abc import Callable
from typing import Any

from ..guard import guard
from .http import Exchange, begin, carry_out, carry_out_async, current, sending
from .method import Method

_WHERE = "clients.httpx"
_on = False
_VERSIONS = {"HTTP/1.0": 10, "HTTP/1.1": 11, "HTTP/2": 20, "HTTP/3": 30}


def patch(module: Any) -> None:
    """Trace the clients of this `httpx` or `httpx2`."""
    global _on
    _on = True
    send, single, async_send, async_single = _METHODS[module.__name__]
    send.patch(module.Client)
    single.patch(module.Client)
    async_send.patch(module.AsyncClient)
    async_single.patch(module.AsyncClient)


def unpatch() -> None:
    """Undo it."""
    global _on
    _on = False
    for methods in _METHODS.values():
        for method in methods:
            method.unpatch()


def _traced(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def send(self: Any, request: Any, *arguments: Any, **named: Any) -> Any:
        exchange = _begin(self, request) if _on else None
        if exchange is None:
            return original(self, request, *arguments, **named)
        return carry_out(_WHERE, exchange, lambda: original(self, request, *arguments, **named), _answer)

    return send


def _traced_async(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def send(self: Any, request: Any, *arguments: Any, **named: Any) -> Any:
        exchange = _begin(self, request) if _on else None
        if exchange is None:
            return await original(self, request, *arguments, **named)
        return await carry_out_async(_WHERE, exchange, original(self, request, *arguments, **named), _answer)

    return send


def _single(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def _send_single_request(self: Any, request: Any, *arguments: Any, **named: Any) -> Any:
        exchange, carrying = _carrying(self, request)
        if exchange is None:
            return original(self, request, *arguments, **named)
        before, exchange.wire = exchange.wire, True
        try:
            response = original(self, carrying, *arguments, **named)
        except BaseException as error:
            _give_back(error, carrying, request)
            raise
        finally:
            exchange.wire = before
        _give_back(response, carrying, request)
        return response

    return _send_single_request


def _single_async(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def _send_single_request(self: Any, request: Any, *arguments: Any, **named: Any) -> Any:
        exchange, carrying = _carrying(self, request)
        if exchange is None:
            return await original(self, request, *arguments, **named)
        before, exchange.wire = exchange.wire, True
        try:
            response = await original(self, carrying, *arguments, **named)
        except BaseException as error:
            _give_back(error, carrying, request)
            raise
        finally:
            exchange.wire = before
        _give_back(response, carrying, request)
        return response

    return _send_single_request


def _begin(client: Any, request: Any) -> Exchange | None:
    with guard(_WHERE):
        if current() is None:
            # A stream has no content yet, and is not asked for any.
            body = request.__dict__.get("_content")
            return begin(client, request.method, str(request.url), wire=False, body=body)
    return None


def _carrying(client: Any, request: Any) -> tuple[Exchange | None, Any]:
    """The exchange for which this client sends, and a copy of the request with our header, or the request."""
    with guard(_WHERE):
        exchange = sending(client)
        if exchange is not None:
            headers = exchange.attempt(str(request.url), request.headers)
            if headers is request.headers:
                return exchange, request
            copied = object.__new__(type(request))  # `copy.copy` leaves the stream out
            copied.__dict__.update(request.__dict__)
            copied.headers = headers
            return exchange, copied
    return None, request


def _give_back(holder: Any, carrying: Any, request: Any) -> None:
    """Put the user's own request where the library has put the one that was sent: on the answer or the error."""
    if carrying is not request:
        with guard(_WHERE):
            if holder.__dict__.get("_request", holder.__dict__.get("request")) is carrying:
                holder.request = request


def _answer(response: Any) -> tuple[Any, ...]:
    return response.status_code, _VERSIONS.get(response.http_version), response.__dict__.get("_content")


_METHODS = {
    name: (
        Method("send", _traced),
        Method("_send_single_request", _single),
        Method("send", _traced_async),
        Method("_send_single_request", _single_async),
    )
    for name in ("httpx", "httpx2")
}
