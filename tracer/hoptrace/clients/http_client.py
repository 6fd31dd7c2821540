"""`http.client`, the lowest layer: a request of its own is a call, and what a layer above sends passes on.

A call is three here (`putrequest`, `endheaders`, `getresponse`; `request` is the first two), and the user's code runs
between them, with other connections perhaps: so its span is never the current one, and waits on its connection.

Loaded by the first request (`hoptrace.clients.LATER`): `http.client` may be there when we attach, and a cold start
would pay for whatever stood here.
"""

import functools
from collections.abc import Callable
from typing import Any

from ..guard import guard
from .method import Method

OWN = "hoptrace_own"
"""The attribute of a connection of ours (`hoptrace.direct` sets it)."""

_EXCHANGE = "_hoptrace_exchange"
_WHERE = "clients.http_client"
_LEFT_ALONE = ("urllib3.", "botocore.", "ddtrace.", "newrelic.")
"""Whose classes of connections have spans already, or are a tracer's own."""


def patch(module: Any) -> None:
    """Trace the connections of this `http.client`."""
    for method in _METHODS:
        method.patch(module.HTTPConnection)


def unpatch() -> None:
    """Undo it."""
    for method in _METHODS:
        method.unpatch()


def _putting(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def putrequest(self: Any, method: Any, url: Any, *arguments: Any, **named: Any) -> Any:
        done = original(self, method, url, *arguments, **named)
        # Afterwards: what it refuses is no request, and may be said while another one is under way.
        if _PUT.on:
            try:
                with guard(_WHERE):
                    _begin(self, method, url)
            except Exception:  # the policy's: nothing has been sent, and nothing will be
                self.close()
                raise
        return done

    return putrequest


def _sending(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def endheaders(self: Any, *arguments: Any, **named: Any) -> Any:
        # Taken off meanwhile: a connection that fails closes itself.
        waiting = self.__dict__.pop(_EXCHANGE, None) if _PUT.on else None
        if waiting is None:
            return original(self, *arguments, **named)
        exchange, url = waiting
        with guard(_WHERE):
            _put_headers(self, exchange, url)
        if exchange.owner is not self:
            return original(self, *arguments, **named)
        with guard(_WHERE):
            exchange.sends(arguments[0] if arguments else named.get("message_body"))
        try:
            done = original(self, *arguments, **named)
        except BaseException as error:
            with guard(_WHERE):
                exchange.failed(error)
            raise
        self.__dict__[_EXCHANGE] = waiting
        return done

    return endheaders


def _put_headers(connection: Any, exchange: Any, url: str) -> None:
    """Add ours to the lines that wait to be sent, in the place of a context that is only passed on."""
    lines: dict[str, bytes] = {}
    for line in connection._buffer[1:]:
        lines.setdefault(line.partition(b":")[0].strip().decode("latin-1").lower(), line)
    stale = exchange.stale(lines.keys(), lambda name: lines[name].partition(b":")[2].strip())
    ours = exchange.sent(url, lines.keys() - stale)
    if ours and stale:
        gone = [lines[name] for name in stale]
        connection._buffer[1:] = [line for line in connection._buffer[1:] if line not in gone]
    for name, value in ours.items():
        connection.putheader(name, value)


def _answering(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def getresponse(self: Any, *arguments: Any, **named: Any) -> Any:
        waiting = self.__dict__.pop(_EXCHANGE, None)
        if waiting is None:
            return original(self, *arguments, **named)
        from .http import carry_out

        return carry_out(_WHERE, waiting[0], lambda: original(self, *arguments, **named), _answer)

    return getresponse


def _closing(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def close(self: Any) -> Any:
        with guard(_WHERE):
            _drop(self)
        return original(self)

    return close


def _begin(connection: Any, method: Any, url: Any) -> None:
    if connection.__dict__.get(OWN) or _left_alone(type(connection)):
        return
    from .http import begin, current

    _drop(connection)
    address = _absolute(connection, url.decode("latin-1") if isinstance(url, bytes) else str(url))
    exchange = current()
    if exchange is None:
        exchange = begin(connection, method, address, current=False)
    if exchange is not None and not exchange.wire:
        connection.__dict__[_EXCHANGE] = (exchange, address)


def _drop(connection: Any) -> None:
    """End what was asked on this connection and never answered; a layer's above is its own to end."""
    waiting = connection.__dict__.pop(_EXCHANGE, None)
    if waiting is not None and waiting[0].owner is connection:
        waiting[0].unanswered()


def _left_alone(kind: type) -> bool:
    return any(one.__module__.startswith(_LEFT_ALONE) for one in kind.__mro__)


def _absolute(connection: Any, url: str) -> str:
    """A request names the path alone, unless it is a proxy's."""
    if not url.startswith(("/", "*")):
        return url
    host = getattr(connection, "_tunnel_host", None) or connection.host
    port = getattr(connection, "_tunnel_port", None) if host != connection.host else connection.port
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    usual = connection.default_port
    scheme = "https" if usual == 443 else "http"
    return f"{scheme}://{host}{f':{port}' if port and port != usual else ''}{url}"


def _answer(response: Any) -> tuple[Any, Any]:
    return response.status, getattr(response, "version", None)


_PUT = Method("putrequest", _putting)
_METHODS = (
    _PUT,
    Method("endheaders", _sending),
    Method("getresponse", _answering),
    Method("close", _closing),
)
