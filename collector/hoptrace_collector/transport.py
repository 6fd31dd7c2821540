"""Speaks HTTP/1.1 over a plain socket, each exchange within a deadline of its own.

Why not `http.client`: its header parser (the email package) costs 20 ms of CPU and 6 MB beside a function that may
have a tenth of a CPU, and its timeouts bound one read, not the exchange, so that a server which answers a byte a
second would hold an invocation open. Here a connection is used once; `connections` keeps them where it pays.
"""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from hoptrace_collector.settings import Url

__all__ = [
    "Exchange",
    "Response",
    "Stream",
    "TooLong",
    "TransportError",
    "connect",
    "read_body",
    "read_head",
    "read_message",
    "request",
    "secure",
    "send",
]

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 4 * 1024 * 1024
_CHUNK = 64 * 1024


class TransportError(Exception):
    """No answer came. `connected` says whether the other side may have seen the request.

    `lost`: the connection has ended before a byte of an answer, as one does that the other side had given up.
    """

    def __init__(self, message: str, *, connected: bool = False, lost: bool = False) -> None:
        super().__init__(message)
        self.connected = connected
        self.lost = lost


class TooLong(ValueError):
    """A message is longer than the reader allows."""


class Response(NamedTuple):
    """An answer: header names are in lower case, of a repeated one the last counts."""

    status: int
    headers: dict[str, str]
    body: bytes


class Message(NamedTuple):
    """A request or an answer as read: its first line, headers (names in lower case) and body.

    `bounded`: it had an end of its own, and nothing came after it.
    """

    first_line: str
    headers: dict[str, str]
    body: bytes
    bounded: bool = False


class Exchange:
    """One request under way: sent by the constructor, answered by `answer`.

    `deadline` is a time of `time.monotonic`; None waits for ever, which only the poll for the next event may do.
    """

    __slots__ = ("_deadline", "_keep", "_socket", "kept")

    def __init__(
        self,
        method: str,
        url: Url,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        deadline: float | None,
        tls: Callable[[], Any] | None = None,
        keep: bool = False,
        connection: socket.socket | None = None,
    ) -> None:
        """`connection`: one that is open already. `keep`: `kept` is it after the answer, where another may follow."""
        self._deadline = deadline
        self._keep = keep
        self.kept: socket.socket | None = None
        self._socket = connection if connection is not None else connect(url, deadline, tls)
        lines = [f"{method} {url.target} HTTP/1.1", f"host: {url.authority}"]
        if not keep:
            lines.append("connection: close")
        lines += [f"{name}: {value}" for name, value in headers]
        if body or method not in ("GET", "HEAD"):
            lines.append(f"content-length: {len(body)}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        try:
            send(self._socket, head + body, deadline)
        except OSError as error:
            # A server may refuse a body it has not read to its end: then its answer is already waiting.
            if not self.readable(0.0):
                self.close()
                raise TransportError(_reason(error), connected=True, lost=_ended(error)) from None

    def readable(self, seconds: float | None) -> bool:
        """Wait up to `seconds` for the answer to begin; tell whether it has."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(None if seconds is None else max(0.0, seconds) * 1000))

    def answer(self, limit: int = BODY_LIMIT) -> Response:
        """Read the answer and close; TransportError when none comes in time or it is not HTTP."""
        stream = Stream(self._socket, self._deadline)
        try:
            message = _read_message(stream, limit, answers=True)
            if self._keep and message.bounded and _may_follow(message):
                self.kept = self._socket
            return Response(_status(message.first_line), message.headers, message.body)
        except (OSError, ValueError) as error:
            raise TransportError(_reason(error), connected=True, lost=_ended(error) and not stream.begun) from None
        finally:
            if self.kept is None:
                self.close()

    def close(self) -> None:
        """Close the connection; harmless to repeat."""
        try:
            self._socket.close()
        except OSError:
            pass


def request(
    method: str,
    url: Url,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    *,
    deadline: float,
    tls: Callable[[], Any] | None = None,
) -> Response:
    """Send one request and return its answer, both before `deadline`; TransportError otherwise."""
    return Exchange(method, url, headers, body, deadline=deadline, tls=tls).answer()


def read_message(connection: socket.socket, deadline: float | None, limit: int, *, answers: bool) -> Message:
    """Read one HTTP message (`answers`: a response, whose body may end with the connection).

    Raises OSError when the connection ends or the deadline passes, ValueError when it is no HTTP or over `limit`.
    """
    return _read_message(Stream(connection, deadline), limit, answers=answers)


def _read_message(stream: "Stream", limit: int, *, answers: bool) -> Message:
    first_line, headers = read_head(stream)
    while answers and _status(first_line) < 200:  # "100 Continue" and the like announce an answer, they are none
        first_line, headers = read_head(stream)
    if answers and _status(first_line) in (204, 304):
        body = b""
    elif "chunked" in headers.get("transfer-encoding", "").lower() or "content-length" in headers:
        body = read_body(stream, headers, limit)
    elif answers:
        return Message(first_line, headers, stream.rest(limit))
    else:
        body = b""
    return Message(first_line, headers, body, bounded=not stream.waiting)


def _may_follow(answer: Message) -> bool:
    """Whether the connection goes on after this answer (RFC 9112, 9.3)."""
    return answer.first_line.startswith("HTTP/1.1") and "close" not in answer.headers.get("connection", "").lower()


def read_head(stream: "Stream") -> tuple[str, dict[str, str]]:
    """Read a message's first line and its headers (names in lower case, the last of a name counts)."""
    lines = stream.until(b"\r\n\r\n", HEAD_LIMIT).decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return lines[0], headers


def read_body(stream: "Stream", headers: dict[str, str], limit: int) -> bytes:
    """Read a body whose length is said or that comes in chunks; raises TooLong over `limit` bytes."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return _chunked(stream, limit)
    return stream.exactly(_length(headers.get("content-length", "0"), 10, limit))


class Stream:
    """A buffered reader that looks at the clock before every read."""

    __slots__ = ("_buffer", "_connection", "_deadline", "begun")

    def __init__(self, connection: socket.socket, deadline: float | None) -> None:
        self._connection = connection
        self._deadline = deadline
        self._buffer = bytearray()
        self.begun = False

    @property
    def waiting(self) -> int:
        """Bytes that have come and have not been taken."""
        return len(self._buffer)

    def _more(self) -> bool:
        try:
            self._connection.settimeout(_left(self._deadline))
        except TimeoutError:
            # Who had no CPU meanwhile finds the answer here: to leave it would have the request sent again.
            self._connection.settimeout(0.0)
        try:
            chunk = self._connection.recv(_CHUNK)
        except BlockingIOError:
            raise TimeoutError("the time is up") from None
        self._buffer += chunk
        self.begun = self.begun or bool(chunk)
        return bool(chunk)

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def until(self, mark: bytes, limit: int) -> bytes:
        """Return what stands before `mark` and step over the mark."""
        while (at := self._buffer.find(mark)) < 0:
            if len(self._buffer) > limit:
                raise TooLong("a head that is too long")
            if not self._more():
                raise ConnectionError("the connection was closed without an answer")
        return self._take(at + len(mark))[:at]

    def exactly(self, count: int) -> bytes:
        """Return `count` bytes."""
        while len(self._buffer) < count:
            if not self._more():
                raise ConnectionError("the connection was closed in the middle")
        return self._take(count)

    def rest(self, limit: int) -> bytes:
        """Return everything up to the connection's end."""
        while self._more():
            if len(self._buffer) > limit:
                raise TooLong("a body that is too long")
        return self._take(len(self._buffer))


def _chunked(stream: Stream, limit: int) -> bytes:
    body = bytearray()
    while size := _length(stream.until(b"\r\n", 1024).partition(b";")[0].decode("latin-1").strip(), 16, limit):
        body += stream.exactly(size)
        stream.exactly(2)
        if len(body) > limit:
            raise TooLong("a body that is too long")
    try:
        while stream.until(b"\r\n", HEAD_LIMIT):  # trailers, and the empty line that ends them
            pass
    except ConnectionError:
        pass  # whole all the same
    return bytes(body)


def _length(text: str, base: int, limit: int) -> int:
    if not text.isalnum() or len(text) > 16:
        raise ValueError("a length that is no number")
    size = int(text, base)
    if size > limit:
        raise TooLong("a body that is too long")
    return size


def _status(line: str) -> int:
    version, _, rest = line.partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
        raise ValueError("an answer that is not HTTP/1.1")
    return int(rest[:3])


def connect(url: Url, deadline: float | None, tls: Callable[[], Any] | None = None) -> socket.socket:
    """Return a connection with the host of `url`, encrypted where it is https; raises TransportError."""
    last: Exception = OSError("no address")
    connection: socket.socket | None = None
    try:
        for family, address in _resolve(url.host, url.port, deadline):
            connection = socket.socket(family, socket.SOCK_STREAM)
            try:
                connection.settimeout(_left(deadline))
                connection.connect(address)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                break
            except OSError as error:
                connection.close()
                connection, last = None, error
        if connection is None:
            raise last
        return secure(connection, url, deadline, tls) if url.scheme == "https" else connection
    except (OSError, ValueError) as error:
        if connection is not None:
            connection.close()
        raise TransportError(f"{url.authority}: {_reason(error)}") from None


def secure(connection: socket.socket, url: Url, deadline: float | None, tls: Callable[[], Any] | None) -> socket.socket:
    """Return the connection with TLS on it, having seen that the other side is the host of `url`; raises OSError."""
    if tls is None:
        raise OSError("no TLS here")
    connection.settimeout(_left(deadline))
    secured: socket.socket = tls().wrap_socket(connection, server_hostname=url.host)
    return secured


_looking_up: dict[str, threading.Thread] = {}


def _resolve(host: str, port: int, deadline: float | None) -> list[tuple[int, Any]]:
    """Look the host up, in a thread unless it is a number: the system's resolver knows no deadline.

    A look-up that hangs is left alone and not started a second time while it hangs.
    """
    if deadline is None or host.replace(".", "").isdigit() or ":" in host or host == "localhost":
        return _look_up(host, port)
    pending = _looking_up.get(host)
    if pending is not None and pending.is_alive():
        raise OSError("the name is still being looked up")
    found: list[list[tuple[int, Any]] | Exception] = []

    def look() -> None:
        try:
            found.append(_look_up(host, port))
        except Exception as error:
            found.append(error)

    _looking_up[host] = thread = threading.Thread(target=look, daemon=True, name="hoptrace-resolve")
    thread.start()
    thread.join(_left(deadline))
    if not found:
        raise TimeoutError("looking the name up took too long")
    del _looking_up[host]
    if isinstance(found[0], Exception):
        raise OSError(_reason(found[0]))
    return found[0]


def _look_up(host: str, port: int) -> list[tuple[int, Any]]:
    return [(info[0], info[4]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def send(connection: socket.socket, data: bytes, deadline: float | None) -> None:
    """Send all of `data`; raises OSError, TimeoutError when the deadline passes."""
    view = memoryview(data)
    while view:
        connection.settimeout(_left(deadline))
        view = view[connection.send(view) :]


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time is up")
    return left


def _ended(error: Exception) -> bool:
    """Whether an error says that the connection is gone; TLS has a word of its own for it."""
    return isinstance(error, ConnectionError) or type(error).__name__ == "SSLEOFError"


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
