"""Opens connections through a proxy: CONNECT for https, and the whole address in the request line for http.

By RFC 9110, "CONNECT", and RFC 9112, "absolute-form".
"""

import binascii
import socket
from collections.abc import Callable
from typing import Any

from hoptrace_collector.proxies import Proxy
from hoptrace_collector.settings import Url, unquote
from hoptrace_collector.transport import Stream, TransportError, connect, read_head, secure, send

__all__ = ["as_asked", "by_proxy"]


def by_proxy(proxy: Proxy, url: Url, deadline: float | None, tls: Callable[[], Any] | None) -> socket.socket:
    """Return a connection on which `url` can be asked for.

    Raises TransportError when the proxy is not there or does not let us through.
    """
    connection = connect(proxy.url, deadline)
    if url.scheme == "http":
        return connection
    try:
        _ask(connection, url, _credentials(proxy), deadline)
        return secure(connection, url, deadline, tls)
    except (OSError, ValueError) as error:
        connection.close()
        raise TransportError(f"by the proxy {proxy.url.authority}: {str(error) or type(error).__name__}") from None


def as_asked(proxy: Proxy, url: Url) -> tuple[Url, list[tuple[str, str]]]:
    """Return the address as the request line wants it, and headers for the proxy, which reads what is not encrypted."""
    return (url._replace(target=str(url)), _credentials(proxy)) if url.scheme == "http" else (url, [])


def _ask(connection: socket.socket, url: Url, credentials: list[tuple[str, str]], deadline: float | None) -> None:
    """Have the proxy connect us with the host of `url`; raises OSError or ValueError when it does not."""
    host = f"[{url.host}]" if ":" in url.host else url.host
    lines = [f"CONNECT {host}:{url.port} HTTP/1.1", f"host: {host}:{url.port}"]
    lines += [f"{name}: {value}" for name, value in credentials]
    send(connection, ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), deadline)
    # Nobody speaks before our TLS hello: what comes is the head and no more.
    first_line, _ = read_head(Stream(connection, deadline))
    status = first_line.partition(" ")[2][:3]
    if status == "407":
        raise OSError("it wants another user name or password (HTTP 407)")
    if not (first_line.startswith("HTTP/1.") and status.startswith("2")):
        raise OSError(f"it does not connect to {url.host} (HTTP {status})")


def _credentials(proxy: Proxy) -> list[tuple[str, str]]:
    if not proxy.user:
        return []
    name, _, password = proxy.user.partition(":")
    encoded = binascii.b2a_base64(f"{unquote(name)}:{unquote(password)}".encode(), newline=False).decode()
    return [("proxy-authorization", f"Basic {encoded}")]
