"""Which requests go by a proxy: HTTPS_PROXY, HTTP_PROXY and NO_PROXY as curl and the AWS SDKs read them.

What Lambda itself serves is never asked for by a proxy: the loopback and the link-local addresses (169.254.0.0/16).
"""

import socket
from typing import NamedTuple

from hoptrace_collector.address import Url, is_loopback, parse_url

__all__ = ["Proxies", "Proxy", "parse_proxies"]


class Proxy(NamedTuple):
    """A proxy's address, and the user name and password that it wants to see (`name:password`, empty for none)."""

    url: Url
    user: str = ""

    def __repr__(self) -> str:
        return f"Proxy({self.url})"


class Proxies(NamedTuple):
    """The proxies by the scheme of what is asked for, and which hosts are asked directly.

    `exempt` has entries of NO_PROXY in lower case: `*`, a host or the end of one, an address, a network (CIDR), each
    but the network with or without a port.
    """

    http: Proxy | None = None
    https: Proxy | None = None
    exempt: tuple[str, ...] = ()

    def of(self, url: Url) -> Proxy | None:
        """Return the proxy for an address, None where it is to be asked directly."""
        proxy = self.https if url.scheme == "https" else self.http
        if proxy is None or _is_local(url.host) or any(_exempts(entry, url) for entry in self.exempt):
            return None
        return proxy


def parse_proxies(http: str, https: str, exempt: str) -> tuple[Proxies, list[str]]:
    """Read the three variables; returns what they mean, and one complaint for each that cannot be used."""
    complaints: list[str] = []

    def one(name: str, text: str) -> Proxy | None:
        try:
            return _parse(text) if text else None
        except ValueError as error:
            # Never quoted: it is likely to hold a password.
            complaints.append(f"{name} is not a proxy that can be used: {error}; requests go without it")
            return None

    entries = tuple(entry.strip().lower() for entry in exempt.replace(" ", ",").split(",") if entry.strip())
    return Proxies(one("HTTP_PROXY", http), one("HTTPS_PROXY", https), entries), complaints


def _parse(text: str) -> Proxy:
    scheme, separator, rest = text.strip().partition("://")
    if not separator:
        scheme, rest = "http", text.strip()
    if scheme.lower() != "http":
        raise ValueError("it must begin with http://; the requests through it are encrypted all the same")
    authority, slash, path = rest.partition("/")
    user, _, host = authority.rpartition("@")
    return Proxy(parse_url(f"http://{host}{slash}{path}"), user)


def _is_local(host: str) -> bool:
    address = _number(host)
    if address is None:
        return is_loopback(host)
    return is_loopback(host) or _in_network(address, "169.254.0.0/16") or _in_network(address, "fe80::/10")


def _exempts(entry: str, url: Url) -> bool:
    if entry == "*":
        return True
    host = url.host.lower().rstrip(".")
    address = _number(host)
    if "/" in entry:
        return address is not None and _in_network(address, entry)
    name, port = _split(entry)
    if port and port != str(url.port):
        return False
    if address is not None:
        return address == _number(name)
    name = name.lstrip("*").strip(".")
    return bool(name) and (host == name or host.endswith("." + name))


def _split(entry: str) -> tuple[str, str]:
    """Return an entry's host and its port; an IPv6 address with a port is in brackets."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest[1:]
    if entry.count(":") > 1:
        return entry, ""
    name, _, port = entry.partition(":")
    return name, port


def _number(text: str) -> tuple[int, int] | None:
    """Return an IP address as its length in bits and a number; None for a name."""
    for family, bits in ((socket.AF_INET, 32), (socket.AF_INET6, 128)):
        try:
            return bits, int.from_bytes(socket.inet_pton(family, text), "big")
        except (OSError, ValueError):
            continue
    return None


def _in_network(address: tuple[int, int], network: str) -> bool:
    base, _, length = network.partition("/")
    start = _number(base)
    if start is None or start[0] != address[0] or not (length.isascii() and length.isdigit()):
        return False
    shift = max(0, address[0] - int(length[:3]))
    return start[1] >> shift == address[1] >> shift
