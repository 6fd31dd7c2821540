"""The one port of an environment, `AWS_LAMBDA_RUNTIME_API`: which API a request is for."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable

from aiohttp import web

from . import answers, container_credentials
from .extensions_api import Agent
from .generation import Generation
from .sandbox_env import CREDENTIALS
from .unlimited_request import unlimited

_RUNTIME = "/2018-06-01/runtime/"
_EXTENSION = "/2020-01-01/extension/"
_TELEMETRY = "/2022-07-01/telemetry"
_ROUTES = {"PUT": re.compile(_TELEMETRY)}


class ApiPort:
    """Listens as long as the environment lives; requests go to the generation of the moment."""

    def __init__(self, generation: Callable[[], Generation | None]) -> None:
        self._generation = generation
        self._server: asyncio.Server | None = None
        self._web: web.Server | None = None
        self.address = ""
        self.token = secrets.token_urlsafe(32)

    async def open(self) -> None:
        """Listen on a free port of 127.0.0.1; does nothing when it listens already."""
        if self._server is None:
            self._web = web.Server(self._serve, request_factory=unlimited, access_log=None, keepalive_timeout=3600.0)
            self._server = await asyncio.get_running_loop().create_server(self._web, "127.0.0.1", 0)
            self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Stop listening and drop what is connected."""
        if self._server is not None:
            self._server.close()
        if self._web is not None:
            await self._web.shutdown(0)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        generation = self._generation()
        path = request.path
        if path == container_credentials.PATH:
            return container_credentials.answer(request, self.token, CREDENTIALS)
        if generation is None:
            return answers.error(410, "InvalidStateTransition", "the environment was reset")
        if path.startswith(_RUNTIME):
            return await generation.runtime.handle(request, path.removeprefix(_RUNTIME))
        if path.startswith(_EXTENSION):
            return await generation.extensions.handle(request, path.removeprefix(_EXTENSION))
        if path == _TELEMETRY and request.method == "PUT":
            agent = generation.extensions.find(request)
            return await generation.telemetry.handle(request, agent) if isinstance(agent, Agent) else agent
        return answers.unrouted(path, _ROUTES)
