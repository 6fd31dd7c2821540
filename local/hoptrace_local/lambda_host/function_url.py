"""A function's URL: a port of its own on which every request invokes the function."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable

from aiohttp import web

from .config import FunctionConfig
from .invocation import Invocation, complete_trace_header
from .unlimited_request import unlimited
from .url_event import url_answer, url_domain, url_event

_MAX_BODY = 6 * 1024 * 1024


class FunctionUrl:
    """Listens for one function."""

    def __init__(self, config: FunctionConfig, dispatch: Callable[[Invocation], None]) -> None:
        self._config = config
        self._domain = url_domain(config)
        self._dispatch = dispatch
        self._server: asyncio.Server | None = None
        self._web = web.Server(self._serve, request_factory=unlimited, access_log=None)

    async def open(self, host: str, port: int) -> str:
        """Listen and return the URL; raises `OSError` when the port is taken."""
        self._server = await asyncio.get_running_loop().create_server(self._web, host, port)
        return f"http://{host}:{self._server.sockets[0].getsockname()[1]}/"

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
        await self._web.shutdown(1)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        if len(body) > _MAX_BODY:
            return web.Response(status=413, text="Request Entity Too Large")
        request_id = str(uuid.uuid4())
        trace_header = complete_trace_header(request.headers.get("X-Amzn-Trace-Id"))
        event = url_event(
            method=request.method,
            raw_target=str(request.rel_url.raw_path_qs),
            headers=list(request.headers.items()),
            body=body,
            source_ip=request.remote or "127.0.0.1",
            domain=self._domain,
            request_id=request_id,
            trace_header=trace_header,
        )
        payload = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        invocation = Invocation(request_id, payload, self._config.arn, trace_header)
        self._dispatch(invocation)
        await invocation.responded.future
        answer = url_answer(invocation)
        response = web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        for cookie in answer.cookies:
            response.headers.add("Set-Cookie", cookie)
        response.headers["x-amzn-RequestId"] = request_id
        response.headers["X-Amzn-Trace-Id"] = trace_header
        return response
