"""How the ports of the host read requests: without the web framework's limit on bodies, for events may have 6 MB."""

from __future__ import annotations

from typing import Any

from aiohttp import web


def unlimited(message: Any, payload: Any, protocol: Any, writer: Any, task: Any, loop: Any = None) -> web.BaseRequest:
    """A request factory for `aiohttp.web.Server`."""
    return web.BaseRequest(message, payload, protocol, writer, task, loop or protocol._loop, client_max_size=0)
