"""The few shapes in which Lambda's local APIs answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from aiohttp import web


def ok(status: int = 202) -> web.Response:
    """`{"status":"OK"}`."""
    return as_json(status, {"status": "OK"})


def as_json(status: int, body: object, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON body."""
    data = json.dumps(body, separators=(",", ":")).encode()
    return web.Response(status=status, body=data, content_type="application/json", headers=headers)


def unrouted(path: str, routes: Mapping[str, re.Pattern[str]]) -> web.Response:
    """405 for a path that another method has, 404 for one that nobody has; `routes` is by method."""
    for method, paths in routes.items():
        if paths.fullmatch(path):
            return web.Response(status=405, headers={"Allow": method})
    return web.Response(status=404, text="404 page not found\n", headers={"X-Content-Type-Options": "nosniff"})


def error(status: int, error_type: str, message: str) -> web.Response:
    """Lambda's error object."""
    return as_json(status, {"errorType": error_type, "errorMessage": message})
