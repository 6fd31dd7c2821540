"""Lets connections in, as many as there may be, and keeps what strangers send out of the log.

aiohttp writes a stack for each request that is no HTTP, with what was sent in it: a log that anybody could fill, with
tokens of whoever mistypes. Here it is a number.
"""

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from hoptrace_collector.counters import Counters

__all__ = ["Door"]

_LINGER = 1.0
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Door:
    """Counts the connections of one address, at most `most`; one that sends no head for `idle` seconds is ended."""

    def __init__(self, counters: Counters, most: int, idle: float) -> None:
        self.counters = counters
        self.connections = 0
        self._most = most
        self._idle = idle

    def server(self, answer: Any) -> web.Server:
        """Return what `loop.create_server` takes; `answer` is a coroutine function of a request."""
        door = self

        class Server(web.Server):
            def __call__(self) -> web.RequestHandler:
                connection = _Connection(self, loop=asyncio.get_running_loop(), **self._kwargs)
                connection.door = door
                return connection

        return Server(
            answer, access_log=None, auto_decompress=False, keepalive_timeout=self._idle, lingering_time=_LINGER
        )

    def full(self) -> bool:
        """Count a connection; whether it is one too many."""
        self.connections += 1
        return self.connections > self._most


class _Connection(web.RequestHandler):
    __slots__ = ("door",)

    door: Door

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it, and end it when it is one too many."""
        super().connection_made(transport)
        if self.door.full() and isinstance(transport, asyncio.Transport):
            self.door.counters.add("otlp_refused", "connections")
            transport.write(_BUSY)
            self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count it out."""
        self.door.connections -= 1
        super().connection_lost(exc)

    def log_exception(self, *_: Any, **kw: Any) -> None:
        """Count what aiohttp would log."""
        error = kw.get("exc_info")
        if isinstance(error, HttpProcessingError | web.HTTPException):
            self.door.counters.add("otlp_refused", str(getattr(error, "code", 0) or getattr(error, "status", 400)))
        elif isinstance(error, Exception):
            self.door.counters.failed("http", error)
