"""urllib.request: what `urlopen` and every opener calls is `OpenerDirector.open`, and so does each redirect.

The header is put on below, by `http.client`'s patch, so that no request of the user's ever shows it. An error of a
status (`HTTPError`) is an answer too and told as one. Addresses of files, FTP and data are left alone.
"""

import functools
from collections.abc import Callable
from typing import Any

from ..guard import guard
from .http import Exchange, begin, carry_out, current
from .method import Method

_WHERE = "clients.urllib_request"


def patch(module: Any) -> None:
    """Trace the openers of this `urllib.request`."""
    _OPEN.patch(module.OpenerDirector)


def unpatch() -> None:
    """Undo it."""
    _OPEN.unpatch()


def _traced(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def open(self: Any, fullurl: Any, *arguments: Any, **named: Any) -> Any:  # noqa: A001  its name
        exchange = None
        if _OPEN.on:
            with guard(_WHERE):
                exchange = _begin(self, fullurl, arguments[0] if arguments else named.get("data"))
        if exchange is None:
            return original(self, fullurl, *arguments, **named)
        return carry_out(_WHERE, exchange, lambda: original(self, fullurl, *arguments, **named), _answer, _status)

    return open


def _begin(opener: Any, asked: Any, data: object) -> Exchange | None:
    url = asked if isinstance(asked, str) else getattr(asked, "full_url", "")
    if not url[:8].lower().startswith(("http://", "https://")) or current() is not None:
        return None
    method = "GET" if isinstance(asked, str) else asked.get_method()
    if method == "GET" and data is not None and not getattr(asked, "method", None):
        method = "POST"
    return begin(opener, method, url, body=getattr(asked, "data", None) if data is None else data)


def _answer(response: Any) -> tuple[Any, Any]:
    return getattr(response, "status", None), getattr(response, "version", None)


def _status(error: BaseException) -> object:
    return getattr(error, "code", None) if type(error).__module__ == "urllib.error" else None


_OPEN = Method("open", _traced)
