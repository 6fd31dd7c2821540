"""One HTTP call as one span, whichever layers it passes: what it is named, what is told of it, how it ends.

By OpenTelemetry's stable "HTTP client" conventions, with one choice of ours. They would have a span for each physical
request; ours is for the call that the code made, retries and redirects included and counted in
`http.request.resend_count`, like the span of an AWS call. `docs/decisions/0005-one-span-for-an-http-call.md` says why.

The outermost layer that is patched makes the exchange. A layer below finds it in a context variable, puts the header
on, counts, and makes nothing of its own.
"""

import sys
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any
from urllib.parse import urlsplit

from ..carriers.headers import inject_headers
from ..guard import guard
from ..settings import settings
from ..spans import CLIENT, ERROR, Span, activate, restore, start_span
from ..spans.exceptions import exception_attributes, exception_message, exception_type
from .urls import scrubbed, without_secrets

_PORTS = {"http": 80, "https": 443}
_VERSIONS = {9: "0.9", 10: "1.0", 11: "1.1", 20: "2", 30: "3"}
_WHOLE = 1 << 20  # characters of an error's text that are looked through before it is cut to its limit

_current: "ContextVar[Exchange | None]" = ContextVar("hoptrace.exchange", default=None)


class Exchange:
    """A call on its way: its span is current until `answered` or `failed`.

    Attributes:
        owner: what the user's code called: a session, a pool manager, a pool.
    """

    __slots__ = ("_attempts", "_before", "_queries", "_token", "owner", "span")

    def __init__(self, owner: object, method: str, url: str) -> None:
        self.owner = owner
        self._attempts = 0
        self._queries: tuple[str, ...] = ()
        self._note_query(url)
        name, attributes = _described(method, url)
        self.span: Span = start_span(name, CLIENT, attributes)
        self._token = activate(self.span)
        self._before: Token[Exchange | None] = _current.set(self)

    def attempt(self, url: str, headers: Any) -> Any:
        """Note that a request goes out; the headers to send: a copy with the context, or the very same object."""
        self._attempts += 1
        self._note_query(url)
        if "http" in settings().inject_disabled or not hasattr(headers, "keys"):
            return headers
        names = {_lower(name) for name in headers.keys()}  # noqa: SIM118  not every mapping here iterates over its keys
        ours = inject_headers(names, self.span.context)
        if not ours:
            return headers
        copied = headers.copy() if hasattr(headers, "copy") else dict(headers)
        for name, value in ours.items():
            copied[name] = value
        return copied

    def answered(self, status: object, version: object) -> None:
        """End with an answer; `version` as `http.client` has it, such as 11."""
        self._leave()
        try:
            span = self.span
            if isinstance(status, int):
                span.set_attribute("http.response.status_code", status)
                if status >= 400:
                    span.set_attribute("error.type", str(int(status)))
                    span.set_status(ERROR)
            span.set_attribute("network.protocol.version", _VERSIONS.get(version) if isinstance(version, int) else None)
        finally:
            self._end()

    def failed(self, error: BaseException) -> None:
        """End with the exception on its way to the user."""
        self._leave()
        try:
            keep, limit = settings().http_query_keep, settings().attribute_length_limit
            told = exception_attributes(error, _WHOLE)
            for key, value in told.items():
                told[key] = scrubbed(str(value), self._queries, keep=keep)[-limit:]
            self.span.set_attribute("error.type", exception_type(error))
            self.span.add_event("exception", told)
            self.span.set_status(ERROR, scrubbed(exception_message(error), self._queries, keep=keep))
        finally:
            self._end()

    def _note_query(self, url: object) -> None:
        """An error's text quotes it, and must not tell more than the span does."""
        query = url.partition("#")[0].partition("?")[2] if isinstance(url, str) else ""
        if query and query not in self._queries and len(self._queries) < 8:
            self._queries += (query,)

    def _leave(self) -> None:
        restore(self._token)
        try:
            _current.reset(self._before)
        except (ValueError, RuntimeError):  # the user moved between contexts
            _current.set(None)

    def _end(self) -> None:
        if self._attempts > 1:
            self.span.set_attribute("http.request.resend_count", self._attempts - 1)
        self.span.end()


def current() -> Exchange | None:
    """The exchange that this code works for, or `None`."""
    return _current.get()


def begin(owner: object, method: object, url: object) -> Exchange | None:
    """A call begins; `None` when there is nothing to record, because OpenTelemetry's own exporter makes it."""
    if _suppressed():
        return None
    return Exchange(owner, _text(method), _text(url))


def carry_out(where: str, exchange: Exchange, call: Callable[[], Any], answer: Callable[[Any], tuple[Any, Any]]) -> Any:
    """Make the call and end its exchange; the very answer and the very exception pass.

    Args:
        where: for the guard, such as `clients.requests`.
        answer: status and version of what `call` returns.
    """
    try:
        response = call()
    except BaseException as error:
        with guard(where):
            exchange.failed(error)
        raise
    with guard(where):
        exchange.answered(*answer(response))
    return response


def _described(method: str, url: str) -> tuple[str, dict[str, object]]:
    """Name and first attributes. A method that the conventions do not know would make a name of any length."""
    knobs = settings()
    known = method in knobs.http_known_methods
    attributes: dict[str, object] = {"http.request.method": method if known else "_OTHER"}
    if not known:
        attributes["http.request.method_original"] = method
    attributes["url.full"] = without_secrets(url, keep=knobs.http_query_keep)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # not a URL: the library is about to say so
        return (method if known else "HTTP"), attributes
    if host:
        attributes["server.address"] = host
        attributes["server.port"] = port or _PORTS.get(parts.scheme)
    return (method if known else "HTTP"), attributes


def _suppressed() -> bool:
    """Whether OpenTelemetry's SDK, where the user's code has it, says that this is its own traffic."""
    api = sys.modules.get("opentelemetry.context")
    get_value = getattr(api, "get_value", None)
    if get_value is None:
        return False
    keys = (getattr(api, "_SUPPRESS_INSTRUMENTATION_KEY", ""), "suppress_instrumentation")
    return any(key and get_value(key) for key in keys)


def _lower(name: object) -> str:
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    return text.lower() if isinstance(text, str) else ""


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value if isinstance(value, str) else ""
