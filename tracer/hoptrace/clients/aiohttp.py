"""aiohttp's client: every call of every session passes the coroutine `ClientSession._request`, a websocket's first too.

Patched rather than told by the library's own trace configs, which belong to a session from its making: one that was
made before us would have none, and one of the user's would show ours. Redirects happen inside, and the answer's
history counts them.
"""

import functools
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from ..guard import guard
from ..settings import settings
from .http import Exchange, begin, carry_out_async, current, under_way
from .method import Method

_WHERE = "clients.aiohttp"


def patch(module: Any) -> None:
    """Trace the sessions of this `aiohttp.client`."""
    _REQUEST.patch(module.ClientSession)


def unpatch() -> None:
    """Undo it."""
    _REQUEST.unpatch()
    _CONNECT.unpatch()


def _traced(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def _request(self: Any, method: Any, str_or_url: Any, *arguments: Any, **named: Any) -> Any:
        exchange = None
        if _REQUEST.on:
            with guard(_WHERE):
                outer = current()
                if outer is None:
                    outer = exchange = _begin(self, method, str_or_url, named)
                if outer is not None and not outer.wire:
                    named = _sent(self, outer, str(str_or_url), named)
        if exchange is None:
            return await original(self, method, str_or_url, *arguments, **named)
        call = original(self, method, str_or_url, *arguments, **named)
        return await carry_out_async(_WHERE, exchange, call, _Answer(exchange), _Status(exchange))

    return _request


def _connecting(original: Callable[..., Any]) -> Callable[..., Any]:
    """Every request needs a connection, a redirect's too: there the policy is asked again."""

    @functools.wraps(original)
    async def connect(self: Any, req: Any, *arguments: Any, **named: Any) -> Any:
        exchange = under_way() if _CONNECT.on else None
        if exchange is not None:
            with guard(_WHERE):
                exchange.check(str(req.url))
        return await original(self, req, *arguments, **named)

    return connect


def _begin(session: Any, method: Any, url: Any, named: dict[str, Any]) -> Exchange | None:
    if isinstance(method, str):
        method = method.upper()
    # What a hook or a middleware of the user's calls is a call of its own.
    if settings().policy and not _CONNECT.on:  # few have one
        _CONNECT.patch(import_module("aiohttp.connector").BaseConnector)
    body = named.get("data") if named.get("json") is None else named["json"]
    return begin(session, method, _address(session, url, named), wire=False, body=body)


def _address(session: Any, url: Any, named: dict[str, Any]) -> str:
    """The address as it will be asked for; what cannot be put together is told as it was given."""
    from yarl import URL

    try:
        base = getattr(session, "_base_url", None)
        full = URL(url) if base is None else base.join(URL(url))
        params = named.get("params")
        return str(full.update_query(params) if params else full)
    except (TypeError, ValueError):  # the library is about to say so
        return str(url)


def _sent(session: Any, exchange: Exchange, url: str, named: dict[str, Any]) -> dict[str, Any]:
    """The arguments with our header in a copy of theirs, which may be a mapping, pairs or nothing."""
    from multidict import CIMultiDict

    given = named.get("headers")
    copied: Any = given
    if not isinstance(given, Mapping):
        copied = CIMultiDict(given or ())  # pairs may be read only once
        named = {**named, "headers": copied} if given else named
    whole = CIMultiDict(session.headers)
    whole.update(copied)
    names = {name.lower() for name in whole}
    stale = exchange.stale(names, whole.__getitem__)
    ours = exchange.sent(url, names - stale)
    if not ours:
        return named
    copied = CIMultiDict(copied)
    for name in stale:
        copied.popall(name, None)
    copied.extend(ours)  # wins over the session's own
    return {**named, "headers": copied}


class _Answer:
    """Status and version of an answer, whose history is counted on the way."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __call__(self, response: Any) -> tuple[Any, Any]:
        self._exchange.resent(len(response.history))
        version = response.version
        return response.status, None if version is None else version.major * 10 + version.minor


class _Status:
    """The status of an error that stands for an answer (`raise_for_status`), its history counted."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __call__(self, error: BaseException) -> object:
        history = getattr(error, "history", None)
        if isinstance(history, tuple):
            # Of too many redirects, the last one was not followed.
            self._exchange.resent(len(history) - (type(error).__name__ == "TooManyRedirects"))
        status = getattr(error, "status", None)
        return status if isinstance(status, int) and status >= 400 else None


_REQUEST = Method("_request", _traced)
_CONNECT = Method("connect", _connecting)
