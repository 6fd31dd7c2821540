"""requests: every call of every session passes `Session.send`, and so does each of its redirects.

`requests.get` and its siblings make a session for the call. The header is put on below, by urllib3's patch, so that
neither the session's headers nor the prepared request ever show it; an adapter of the user's that does not use urllib3
sends none.
"""

import functools
from collections.abc import Callable
from typing import Any

from ..guard import guard
from .http import begin, carry_out, current
from .method import Method


def patch(module: Any) -> None:
    """Trace the sessions of this `requests.sessions`."""
    _SEND.patch(module.Session)


def unpatch() -> None:
    """Undo it."""
    _SEND.unpatch()


def _traced(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def send(self: Any, *arguments: Any, **named: Any) -> Any:
        exchange = None
        if _SEND.on:
            with guard("clients.requests"):
                outer = current()
                # The same session again is a redirect; another one is a call that a hook of the user's makes.
                if outer is None or (outer.owner is not self and not outer.wire):
                    request = arguments[0] if arguments else named.get("request")
                    method, url = getattr(request, "method", ""), getattr(request, "url", "")
                    exchange = begin(self, method, url, body=getattr(request, "body", None))
                elif outer.owner is self and outer.wire is None:
                    outer.check(str(getattr(arguments[0] if arguments else named.get("request"), "url", "")))
        if exchange is None:
            return original(self, *arguments, **named)
        return carry_out("clients.requests", exchange, lambda: original(self, *arguments, **named), _answer)

    return send


def _answer(response: Any) -> tuple[Any, ...]:
    # Read already, unless the user streams it.
    return response.status_code, getattr(response.raw, "version", None), response.__dict__.get("_content") or None


_SEND = Method("send", _traced)
