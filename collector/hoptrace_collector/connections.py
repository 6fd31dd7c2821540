"""Keeps connections to backends open from one request to the next, where that is safe.

A TLS handshake costs 2 to 5 ms of CPU, more than all else that a request costs. But Lambda freezes the process between
events, and what was open may be dead when it thaws. So before a kept connection is used again:

* it has not been idle for more than 30 s, by the wall clock, which goes on through a freeze;
* nothing has come on it: the other side's farewell, or its reset, would have.

What dies all the same, between that look and the first byte of an answer, is sent once more at once, on a new
connection. The other side had most likely closed and never read it; whether it has cannot be told, but OTLP has a
client send again whatever was disconnected without an answer (OTLP/HTTP, "All Other Responses"), so nothing is sent
again that would not have been. No answer in time is something else, and is left to whoever paces the retries.
"""

import socket
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from hoptrace_collector.settings import Url
from hoptrace_collector.transport import Exchange, Response, TransportError

if TYPE_CHECKING:
    from hoptrace_collector.proxies import Proxy

__all__ = ["Certificates", "Connections"]

KEPT_FOR = 30.0
_MOST = 4
_MOST_LOOKS = 16

Key = tuple[str, str, int, Any, Any]


class Certificates(NamedTuple):
    """Files in PEM: whom to trust (empty: whom the system trusts), and who we are, with its key."""

    trusted: str = ""
    client: str = ""
    key: str = ""


class _Kept(NamedTuple):
    connection: socket.socket
    since: float


class Connections:
    """The connections of one thread; `now` gives seconds since the epoch."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._kept: dict[Key, _Kept] = {}
        self._contexts: dict[Certificates, Any] = {}
        self._sessions: dict[Key, Any] = {}
        self._looks: dict[Key, int] = {}
        self.opened = 0

    def request(
        self,
        method: str,
        url: Url,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        *,
        deadline: float,
        certificates: Certificates | None = None,
        proxy: "Proxy | None" = None,
    ) -> Response:
        """Send one request, by `proxy` if there is one, and return its answer, both before `deadline` (monotonic).

        Raises TransportError, and OSError for a certificate that cannot be read.
        """
        headers = list(headers)
        secure = url.scheme == "https"
        key = (url.scheme, url.host, url.port, (certificates or Certificates()) if secure else None, proxy)
        kept = self._take(key)
        if kept is not None:
            try:
                return self._exchange(key, kept, method, url, headers, body, deadline)
            except TransportError as error:
                if not error.lost:
                    raise
        return self._exchange(key, None, method, url, headers, body, deadline)

    def close(self) -> None:
        """Close them all."""
        for kept in self._kept.values():
            _close(kept.connection)
        self._kept.clear()

    def __del__(self) -> None:
        self.close()

    def _exchange(
        self,
        key: Key,
        kept: socket.socket | None,
        method: str,
        url: Url,
        headers: list[tuple[str, str]],
        body: bytes,
        deadline: float,
    ) -> Response:
        if kept is None:
            self.opened += 1
        tls = (lambda: _Tls(self._context(key[3]), self._sessions.get(key))) if key[3] is not None else None
        if (proxy := key[4]) is not None:
            # Only for who has one.
            from hoptrace_collector.tunnel import as_asked, by_proxy

            if kept is None:
                kept = by_proxy(proxy, url, deadline, tls)
            url, more = as_asked(proxy, url)
            headers = headers + more
        exchange = Exchange(method, url, headers, body, deadline=deadline, tls=tls, keep=True, connection=kept)
        answer = exchange.answer()
        if exchange.kept is not None:
            if key[3] is not None and kept is None:
                self._remember(key, exchange.kept)
            self._put(key, exchange.kept)
        return answer

    def _remember(self, key: Key, connection: Any) -> None:
        """Remember what the next handshake of this host can leave out.

        Each look at a session costs 4 KB that Python never gives back, so there are few: one that was taken up again
        does for the next time too, and a host that takes none up again is not asked for ever.
        """
        if not connection.session_reused and self._looks.get(key, 0) < _MOST_LOOKS:
            self._looks[key] = self._looks.get(key, 0) + 1
            self._sessions[key] = connection.session

    def _take(self, key: Key) -> socket.socket | None:
        """Return the kept connection, unless it is dead or too old to tell."""
        kept = self._kept.pop(key, None)
        if kept is None:
            return None
        if 0 <= self._now() - kept.since <= KEPT_FOR and _is_silent(kept.connection):
            return kept.connection
        _close(kept.connection)
        return None

    def _put(self, key: Key, connection: socket.socket) -> None:
        while len(self._kept) >= _MOST:
            _close(self._kept.pop(next(iter(self._kept))).connection)
        self._kept[key] = _Kept(connection, self._now())

    def _context(self, certificates: Certificates) -> Any:
        """Make the TLS context once, and only for https: it is 15 ms of CPU and 4 MB."""
        context = self._contexts.get(certificates)
        if context is None:
            import ssl

            context = ssl.create_default_context(cafile=certificates.trusted or None)
            if certificates.client:
                context.load_cert_chain(certificates.client, certificates.key or None)
            self._contexts[certificates] = context
        return context


class _Tls:
    """A TLS context that takes a session up again; what the transport knows of TLS."""

    def __init__(self, context: Any, session: Any) -> None:
        self._context = context
        self._session = session

    def wrap_socket(self, connection: socket.socket, server_hostname: str) -> Any:
        return self._context.wrap_socket(connection, server_hostname=server_hostname, session=self._session)


def _is_silent(connection: socket.socket) -> bool:
    """Whether nothing has come: neither an end nor an answer to nothing. A TLS ticket is read, and is nothing."""
    try:
        connection.settimeout(0)
        connection.recv(1)
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        return type(error).__name__ == "SSLWantReadError"


def _close(connection: socket.socket) -> None:
    try:
        connection.close()
    except OSError:
        pass
