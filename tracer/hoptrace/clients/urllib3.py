"""urllib3, 1.26 and 2: a pool manager's call, or a pool's own; and what every call sends passes the pool.

`PoolManager.urlopen` follows redirects from host to host, `HTTPConnectionPool.urlopen` sends, and calls itself for each
retry. botocore's pools are of classes of its own and are left alone: its calls have a span already, and their signature
would not cover a header of ours.
"""

import functools
from collections.abc import Callable
from typing import Any

from ..guard import guard
from .http import Exchange, begin, carry_out, current
from .method import Method

_HEADERS = 3  # their place among the arguments of `HTTPConnectionPool.urlopen`, after method, url and body


def patch(module: Any) -> None:
    """Trace the pools of this `urllib3.connectionpool`, or the managers of this `urllib3.poolmanager`."""
    if module.__name__.endswith("poolmanager"):
        _MANAGER.patch(module.PoolManager)
    else:
        _POOL.patch(module.HTTPConnectionPool)


def unpatch() -> None:
    """Undo it."""
    _MANAGER.unpatch()
    _POOL.unpatch()


def _managed(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def urlopen(self: Any, *arguments: Any, **named: Any) -> Any:
        exchange = None
        if _MANAGER.on:
            with guard("clients.urllib3"):
                if current() is None:
                    method, url = _argument(arguments, named, 0, "method"), _url(arguments, named)
                    exchange = begin(self, method, url, body=named.get("body"))
        if exchange is None:
            return original(self, *arguments, **named)
        return carry_out("clients.urllib3", exchange, lambda: original(self, *arguments, **named), _answer)

    return urlopen


def _pooled(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def urlopen(self: Any, *arguments: Any, **named: Any) -> Any:
        exchange = None
        if _POOL.on:
            with guard("clients.urllib3"):
                if not type(self).__module__.startswith("botocore."):
                    outer = current()
                    if outer is None:
                        method = _argument(arguments, named, 0, "method")
                        url, body = _absolute(self, _url(arguments, named)), _argument(arguments, named, 2, "body")
                        outer = exchange = begin(self, method, url, body=body)
                    if outer is not None and not outer.wire:
                        arguments, named = _sent(self, outer, arguments, named)
        if exchange is None:
            return original(self, *arguments, **named)
        return carry_out("clients.urllib3", exchange, lambda: original(self, *arguments, **named), _answer)

    return urlopen


def _sent(
    pool: Any, exchange: Exchange, arguments: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with our header in a copy of theirs. A call without headers sends the pool's."""
    given = _argument(arguments, named, _HEADERS, "headers")
    headers = exchange.attempt(_absolute(pool, _url(arguments, named)), pool.headers if given is None else given)
    if headers is given or headers is pool.headers:
        return arguments, named
    if len(arguments) > _HEADERS:
        return (*arguments[:_HEADERS], headers, *arguments[_HEADERS + 1 :]), named
    return arguments, {**named, "headers": headers}


def _absolute(pool: Any, url: str) -> str:
    """A pool's own call names the path alone."""
    if not url.startswith("/"):
        return url
    host = f"[{pool.host}]" if ":" in pool.host else pool.host
    port = f":{pool.port}" if pool.port and pool.port != {"http": 80, "https": 443}.get(pool.scheme) else ""
    return f"{pool.scheme}://{host}{port}{url}"


def _url(arguments: tuple[Any, ...], named: dict[str, Any]) -> str:
    url = _argument(arguments, named, 1, "url")
    return url if isinstance(url, str) else str(url or "")


def _argument(arguments: tuple[Any, ...], named: dict[str, Any], place: int, name: str) -> Any:
    return arguments[place] if len(arguments) > place else named.get(name)


def _answer(response: Any) -> tuple[Any, ...]:
    # Read already, unless the user streams it.
    return response.status, getattr(response, "version", None), getattr(response, "__dict__", {}).get("_body")


_MANAGER = Method("urlopen", _managed)
_POOL = Method("urlopen", _pooled)
