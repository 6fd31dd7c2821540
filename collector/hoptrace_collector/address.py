"""Addresses of the web in parts, and which of them are this very machine.

By hand: importing `urllib.parse` takes 2 to 3 ms of the 50 that the collector starts in.
"""

from typing import NamedTuple

__all__ = ["Url", "aws_endpoint", "is_here", "is_loopback", "parse_url"]


class Url(NamedTuple):
    """An http or https address in parts; `target` is path and query as they go into the request line."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The value of the Host header: the port only when it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"http": 80, "https": 443}[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def parse_url(text: str) -> Url:
    """Take an http(s) address apart.

    Raises ValueError, with a reason that names no secret, when it is not one. User names and passwords in an
    address are refused: they would stand in every log that quotes it.
    """
    scheme, separator, rest = text.strip().partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in ("http", "https"):
        raise ValueError("it must begin with http:// or https://")
    cut = min((at for at in (rest.find("/"), rest.find("?"), rest.find("#")) if at >= 0), default=len(rest))
    authority, target = rest[:cut], rest[cut:].partition("#")[0]
    if "@" in authority:
        raise ValueError("it must not hold a user name; use headers")
    if not target.startswith("/"):
        target = "/" + target
    if any(character <= " " or character > "~" for character in authority + target):
        raise ValueError("it holds a character that an address cannot have")
    host, port = _host_and_port(authority, {"http": 80, "https": 443}[scheme])
    return Url(scheme, host, port, target)


def _host_and_port(authority: str, default: int) -> tuple[str, int]:
    if authority.startswith("["):
        host, _, tail = authority[1:].partition("]")
    else:
        host, colon, number = authority.partition(":")
        tail = colon + number
    if not host:
        raise ValueError("it names no host")
    if tail in ("", ":"):
        return host, default
    if not (tail[0] == ":" and tail[1:].isascii() and tail[1:].isdigit() and 0 < int(tail[1:]) < 65536):
        raise ValueError("its port is not a number from 1 to 65535")
    return host, int(tail[1:])


def is_loopback(host: str) -> bool:
    """Whether a host is this very machine, under any of its names."""
    host = host.lower().rstrip(".")
    return host in ("localhost", "ip6-localhost", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1") or (
        host.startswith("127.") and host.replace(".", "").isdigit()
    )


def is_here(url: Url | None, port: int) -> bool:
    """Whether an address is `port` of the loopback."""
    return url is not None and url.port == port and is_loopback(url.host)


def aws_endpoint(service: str, region: str) -> Url:
    """Return a service's address in a region; those of China have a domain of their own."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return parse_url(f"https://{service}.{region}.{suffix}/")
