"""One HTTP call as one span, whichever layers it passes: what it is named, what is told of it, how it ends.

By OpenTelemetry's stable "HTTP client" conventions, with one choice of ours. They would have a span for each physical
request; ours is for the call that the code made, retries and redirects included and counted in
`http.request.resend_count`, like the span of an AWS call. `docs/decisions/0005-one-span-for-an-http-call.md` says why.

The outermost layer that is patched makes the exchange. A layer below finds it in a context variable, puts the header
on, counts, and makes nothing of its own.
"""

import sys
from collections.abc import Awaitable, Callable, Collection
from contextvars import ContextVar, Token
from typing import Any
from urllib.parse import urlsplit

from ..carriers.headers import inject_headers, passed_on
from ..guard import guard
from ..settings import settings
from ..spans import CLIENT, ERROR, Span, activate, restore, start_span
from ..spans.exceptions import exception_attributes, exception_message, exception_type
from .plumbing import is_plumbing
from .urls import scrubbed, without_secrets

_PORTS = {"http": 80, "https": 443}
_VERSIONS = {9: "0.9", 10: "1.0", 11: "1.1", 20: "2", 30: "3"}
_WHOLE = 1 << 20  # characters of an error's text that are looked through before it is cut to its limit

_current: "ContextVar[Exchange | None]" = ContextVar("hoptrace.exchange", default=None)
_quiet: ContextVar[bool] = ContextVar("hoptrace.quiet", default=False)


class Exchange:
    """A call on its way: its span is current until `answered` or `failed`.

    Attributes:
        owner: what the user's code called: a session, a pool manager, a pool.
        wire: what a patched layer that is called meanwhile is. `None`: a part of this call, which puts the header on
            and counts. `True`: a part of which all has been done (it is called by a transport). `False`: a call of
            its own (by a hook of the user's).
    """

    __slots__ = ("_attempts", "_before", "_checked", "_queries", "_token", "owner", "span", "wire")

    def __init__(self, owner: object, method: str, url: str, *, current: bool, wire: bool | None) -> None:
        self.owner = owner
        self.wire = wire
        self._attempts = 0
        self._queries: tuple[str, ...] = ()
        self._checked: tuple[str, int | None] | None = None
        self._note_query(url)
        name, attributes = _described(method, url)
        self.span: Span = start_span(name, CLIENT, attributes)
        self._token: Token[Span | None] | None = None
        self._before: Token[Exchange | None] | None = None
        if current:
            self._token = activate(self.span)
            self._before = _current.set(self)

    def attempt(self, url: str, headers: Any) -> Any:
        """Note that a request goes out; the headers to send: a copy with the context, or the very same object."""
        if not hasattr(headers, "keys"):
            self.sent(url, ("traceparent",))
            return headers
        given = {_lower(name): name for name in headers.keys()}  # noqa: SIM118  not every mapping iterates over its keys
        stale = self.stale(given, lambda name: headers[given[name]])
        ours = self.sent(url, given.keys() - stale)
        if not ours:
            return headers
        copied = headers.copy() if hasattr(headers, "copy") else dict(headers)
        for name in stale:
            del copied[given[name]]
        for name, value in ours.items():
            copied[name] = value
        return copied

    def stale(self, names: Collection[str], value: Callable[[str], object]) -> set[str]:
        """The headers (`names`, in lower case) of a context that came here and is only passed on."""
        if "traceparent" not in names:  # nearly always: no value is looked at
            return set()
        return passed_on({name: _text(value(name)) for name in names}, self.span.context)

    def sent(self, url: str, names: Collection[Any]) -> dict[str, str]:
        """Note that a request goes out; the headers to add to those that it has (`names`)."""
        self.check(url)
        self._attempts += 1
        self._note_query(url)
        if "http" in settings().inject_disabled:
            return {}
        return inject_headers({_lower(name) for name in names}, self.span.context)

    def sends(self, body: object) -> None:
        """Record what is sent, where that is asked for and is there as a whole."""
        if body is not None and "http" in settings().capture:
            from ..capture import HTTP_REQUEST, record_body

            record_body(self.span, HTTP_REQUEST, str(self.span.attributes.get("url.full")), body)

    def check(self, url: str) -> None:
        """Note it where the policy does not allow this host, and raise `hoptrace.Denied` where it blocks."""
        if not settings().policy:
            return
        from ..capture.policy import blocks, policy

        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
        except ValueError:  # no address, of which nobody can say that it is allowed
            host, port = "", None
        if (host, port) == self._checked:
            return
        self._checked = (host, port)
        denied = policy().host(host, port)
        if denied is not None:
            from .denials import tell

            tell(self.span, denied)
            if blocks():
                raise denied

    def resent(self, times: int) -> None:
        """Note requests that the library tells of only when it is through."""
        self._attempts += times

    def answered(self, status: object, version: object, body: object = None) -> None:
        """End with an answer; `version` as `http.client` has it, such as 11; `body` where the library has read it."""
        self._leave()
        try:
            span = self.span
            if isinstance(status, int):
                span.set_attribute("http.response.status_code", status)
                if status >= 400:
                    span.set_attribute("error.type", str(int(status)))
                    span.set_status(ERROR)
            span.set_attribute("network.protocol.version", _VERSIONS.get(version) if isinstance(version, int) else None)
            if body is not None and "http" in settings().capture:
                from ..capture import HTTP_RESPONSE, record_body

                record_body(span, HTTP_RESPONSE, str(span.attributes.get("url.full")), body)
        finally:
            self._end()

    def unanswered(self) -> None:
        """End a request whose answer nobody asked for."""
        self._leave()
        self._end()

    def failed(self, error: BaseException, status: object = None) -> None:
        """End with the exception on its way to the user; `status` when it stands for an answer."""
        self._leave()
        if not self.span.recording:
            self._end()
            return
        try:
            keep, limit = settings().http_query_keep, settings().attribute_length_limit
            told = exception_attributes(error, _WHOLE)
            for key, value in told.items():
                told[key] = scrubbed(str(value), self._queries, keep=keep)[-limit:]
            answer = int(status) if isinstance(status, int) and status else 0
            self.span.set_attribute("http.response.status_code", answer or None)
            self.span.set_attribute("error.type", str(answer) if answer >= 400 else exception_type(error))
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
        if self._token is None or self._before is None:
            return
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
    """The exchange that a layer called here is a part of, or `None` when such a call is one of its own."""
    found = _current.get()
    # One that has ended was inherited by a task or a thread that a hook of the user's started.
    return None if found is None or found.wire is False or not found.span.open else found


def sending(owner: object) -> Exchange | None:
    """The exchange for which a client (`owner`) that knows its own transport sends a request, or `None`."""
    found = _current.get()
    if found is None or found.wire or not found.span.open:
        return None
    return found if found.owner is owner or found.wire is None else None


def under_way() -> Exchange | None:
    """The exchange in whose course this runs, whatever its `wire`."""
    found = _current.get()
    return None if found is None or not found.span.open else found


def begin(
    owner: object,
    method: object,
    url: object,
    *,
    current: bool = True,
    wire: bool | None = None,
    body: object = None,
) -> Exchange | None:
    """A call begins; `None` when there is nothing to record: OpenTelemetry's own exporter makes it, or Lambda's parts.

    Args:
        current: whether the span is the current one until it ends; not where the user's own code runs meanwhile.
        body: what is sent, where it is there as a whole.
    """
    address = _text(url)
    if _quiet.get() or _suppressed() or is_plumbing(address):
        return None
    exchange = Exchange(owner, _text(method), address, current=current, wire=wire)
    try:
        exchange.check(address)
    except Exception as error:
        exchange.failed(error)
        raise
    with guard("clients.capture"):
        exchange.sends(body)
    return exchange


class quiet:  # noqa: N801  a context manager that reads as a word
    """What is called inside has a span already."""

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token = _quiet.set(True)

    def __exit__(self, *_: object) -> None:
        try:
            _quiet.reset(self._token)
        except (ValueError, RuntimeError):  # a coroutine that was closed from elsewhere
            _quiet.set(False)


Answer = Callable[[Any], tuple[Any, ...]]
"""Status and version of what a library's call returned, and its body where that was read."""

Status = Callable[[BaseException], object]
"""The status of an exception that stands for an answer, else `None`."""


def carry_out(
    where: str, exchange: Exchange, call: Callable[[], Any], answer: Answer, status: Status = lambda _error: None
) -> Any:
    """Make the call and end its exchange; the very answer and the very exception pass.

    Args:
        where: for the guard, such as `clients.requests`.
        answer: of what `call` returns.
        status: of what it raises.
    """
    try:
        response = call()
    except BaseException as error:
        with guard(where):
            exchange.failed(error, status(error))
        raise
    with guard(where):
        exchange.answered(*answer(response))
    return response


async def carry_out_async(
    where: str, exchange: Exchange, call: Awaitable[Any], answer: Answer, status: Status = lambda _error: None
) -> Any:
    """The same for a coroutine, its cancellation included."""
    try:
        response = await call
    except BaseException as error:
        with guard(where):
            exchange.failed(error, status(error))
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
