"""Reads what can be set for the gateway alone: by argument, or else by the variable of the same meaning.

Where the extension takes the default for a bad value, the gateway does not start: whoever starts it is there to read
why. What it sends, and where, is set as for the extension.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

__all__ = ["Address", "GatewaySettings", "Unusable", "read_gateway"]

_QUEUE_BYTES = 64 * 1024 * 1024


class Unusable(Exception):
    """A setting with which the gateway cannot start; the message says which, and what to do."""


class Address(NamedTuple):
    """Where to listen; an empty host is every interface."""

    host: str
    port: int

    @property
    def here(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class GatewaySettings(NamedTuple):
    """Times in seconds, sizes in bytes. `limits`: the concurrency limit by account and region, "" for any."""

    listen: Address = Address("127.0.0.1", 4318)
    admin: Address | None = Address("127.0.0.1", 13133)
    certificate: str = ""
    key: str = ""
    tokens_file: str = ""
    spool: str = ""
    connections: int = 1024
    request_bytes: int = 16 * 1024 * 1024
    request_timeout: float = 10.0
    idle_timeout: float = 60.0
    queue_bytes: int = _QUEUE_BYTES
    senders: int = 4
    drain: float = 20.0
    trace_wait: float = 30.0
    window: float = 60.0
    lateness: float = 120.0
    limits: tuple[tuple[tuple[str, str], int], ...] = ()


def read_gateway(arguments: Sequence[str], env: Mapping[str, str] | None = None) -> GatewaySettings:
    """Read the settings; raises Unusable, and SystemExit for `--help` or an argument that is not known."""
    given = vars(_parser().parse_args(arguments))
    env = os.environ if env is None else env

    def text(name: str, default: str) -> tuple[str, str]:
        """Return the value and what it is called in a complaint."""
        variable = _VARIABLES[name]
        if given[name] is not None:
            return str(given[name]).strip(), "--" + name.replace("_", "-")
        return env.get(variable, "").strip() or default, variable

    def whole(name: str, default: int, least: int, most: int) -> int:
        value, called = text(name, str(default))
        if not (value.isascii() and value.isdigit() and len(value) < 16 and least <= int(value) <= most):
            raise Unusable(f"{called}={value[:40]!r} is not a whole number from {least} to {most}")
        return int(value)

    certificate, key = text("certificate", "")[0], text("key", "")[0]
    if bool(certificate) != bool(key):
        raise Unusable(f"{_VARIABLES['certificate']} and {_VARIABLES['key']} must be set together")
    admin, called = text("admin", "127.0.0.1:13133")
    return GatewaySettings(
        listen=_address(*text("listen", "127.0.0.1:4318")),
        admin=None if admin.lower() == "none" else _address(admin, called),
        certificate=certificate,
        key=key,
        tokens_file=text("tokens_file", "")[0],
        spool=text("spool", "")[0],
        connections=whole("connections", 1024, 1, 100_000),
        request_bytes=whole("request_bytes", 16 * 1024 * 1024, 1024, 2**30),
        request_timeout=whole("request_timeout", 10_000, 100, 600_000) / 1000,
        queue_bytes=whole("queue_bytes", _QUEUE_BYTES, 64 * 1024, 2**40),
        senders=whole("senders", 4, 1, 64),
        drain=whole("drain", 20_000, 0, 3_600_000) / 1000,
        trace_wait=whole("trace_wait", 30_000, 0, 3_600_000) / 1000,
        window=whole("window", 60_000, 1_000, 3_600_000) / 1000,
        lateness=whole("lateness", 120_000, 0, 7_200_000) / 1000,
        limits=_limits(*text("limit", "")),
    )


_VARIABLES = {
    "listen": "HOPTRACE_GATEWAY_LISTEN",
    "admin": "HOPTRACE_GATEWAY_ADMIN",
    "certificate": "HOPTRACE_GATEWAY_CERTIFICATE",
    "key": "HOPTRACE_GATEWAY_KEY",
    "tokens_file": "HOPTRACE_GATEWAY_TOKENS_FILE",
    "spool": "HOPTRACE_GATEWAY_SPOOL",
    "connections": "HOPTRACE_GATEWAY_CONNECTIONS",
    "request_bytes": "HOPTRACE_GATEWAY_REQUEST_BYTES",
    "request_timeout": "HOPTRACE_GATEWAY_REQUEST_TIMEOUT",
    "queue_bytes": "HOPTRACE_QUEUE_BYTES",
    "senders": "HOPTRACE_GATEWAY_SENDERS",
    "drain": "HOPTRACE_GATEWAY_DRAIN_TIMEOUT",
    "trace_wait": "HOPTRACE_GATEWAY_TRACE_WAIT",
    "window": "HOPTRACE_CONCURRENCY_WINDOW",
    "lateness": "HOPTRACE_CONCURRENCY_LATENESS",
    "limit": "HOPTRACE_CONCURRENCY_LIMIT",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hoptrace-collector",
        description="Receives OTLP/HTTP of many functions and sends it on. Where to: OTEL_EXPORTER_OTLP_ENDPOINT. "
        "Each argument has a variable of the same meaning.",
        allow_abbrev=False,
    )
    for name, variable in _VARIABLES.items():
        parser.add_argument("--" + name.replace("_", "-"), metavar="…", default=None, help=variable)
    return parser


def _address(text: str, called: str) -> Address:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and port.isascii() and port.isdigit() and len(port) < 6 and int(port) < 65536):
        raise Unusable(f"{called}={text[:60]!r} is not HOST:PORT, such as 0.0.0.0:4318")
    return Address(host, int(port))


def _limits(text: str, called: str) -> tuple[tuple[tuple[str, str], int], ...]:
    limits = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        where, _, number = entry.rpartition("=")
        account, _, region = where.strip().partition("/")
        number = number.strip()
        if not (number.isascii() and number.isdigit() and len(number) < 10 and int(number)):
            raise Unusable(f"{called}: {entry[:60]!r} is neither a number nor ACCOUNT=NUMBER nor ACCOUNT/REGION=NUMBER")
        limits[account.strip(), region.strip()] = int(number)
    return tuple(limits.items())
