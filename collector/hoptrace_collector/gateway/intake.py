"""Answers OTLP/HTTP: who may send, how much of it, and whether there is room, before anything is read.

The HTTP is aiohttp's. What bounds it stands here: connections, the time for a head and for a body, the bytes of one
request and of all that are being read, so that memory ends where the settings say, whoever sends.
"""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp import web

from hoptrace_collector.counters import Counters
from hoptrace_collector.gateway.invocations import invocations
from hoptrace_collector.gateway.peaks import Interval
from hoptrace_collector.gateway.settings import GatewaySettings
from hoptrace_collector.gateway.tokens import Tokens
from hoptrace_collector.receive.answers import Answer, Takes, kind_of, refuse, take
from hoptrace_collector.receive.otlp import JSON, PATHS, Batch, Refused, parse

__all__ = ["Intake"]

_IN_A_THREAD = 256 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Intake:
    """Takes what is sent into `takes`, and shows the invocations in it to `observe` once they are taken."""

    def __init__(
        self,
        settings: GatewaySettings,
        takes: Takes,
        counters: Counters,
        observe: Callable[[Iterable[Interval]], None],
    ) -> None:
        self._settings = settings
        self._takes = takes
        self.counters = counters
        self._observe = observe
        self._thread = ThreadPoolExecutor(1, "hoptrace-parse")
        self.tokens = Tokens([])
        self.ready = False
        self.reading = 0
        """Bytes of bodies that are being read."""

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        path = request.path
        if path in ("/healthz", "/readyz"):
            return self.health(path)
        kind = kind_of(request.headers.get("content-type", ""))
        try:
            answer = await self._exchange(request, path, kind)
        except Refused as refused:
            wait = 1 if refused.status == 503 else 0
            answer = refuse(refused.status, refused.reason, kind, self.counters, wait=wait)
        except Exception as error:
            if request.transport is None or request.transport.is_closing():
                self.counters.add("otlp_refused", "broken_off")
            else:
                self.counters.failed("otlp", error)
            answer = refuse(500, "an error of the collector", kind, self.counters)
        return _response(answer, kind)

    def health(self, path: str) -> web.Response:
        """Answer `/healthz` (the process lives) or `/readyz` (it takes what is sent)."""
        if path == "/healthz" or self.ready:
            return web.Response(text="ok\n")
        return web.Response(status=503, text="stopping\n")

    async def _exchange(self, request: web.BaseRequest, path: str, kind: str) -> Answer:
        if not self.tokens.allow(request.headers.get("authorization", "")):
            raise Refused(401, "a bearer token is needed")
        signal = PATHS.get(path)
        if signal is None:
            raise Refused(404, "there are /v1/traces, /v1/metrics and /v1/logs")
        if request.method != "POST":
            raise Refused(405, "only POST")
        body = await self._body(request)
        try:
            seen: list[Interval] = []
            batch = await self._parse(signal, request, body, seen)
            answer = take(self._takes, batch, kind, self.counters)
            if seen and answer.status == 200:
                self._observe(seen)
            return answer
        finally:
            self.reading -= len(body)

    async def _parse(self, signal: str, request: web.BaseRequest, body: bytes, seen: list[Interval]) -> Batch:
        def look(of: str, message: Any) -> None:
            if of == "traces":
                seen.extend(invocations(message))

        content_type = request.headers.get("content-type", "")
        encoding = request.headers.get("content-encoding", "")
        what = (signal, content_type, encoding, body, self._takes.limit, look)
        if len(body) < _IN_A_THREAD and (kind_of(content_type) != JSON or len(body) < _IN_A_THREAD // 16):
            return parse(*what)
        # One at a time: others are answered meanwhile, and what is unpacked is there once.
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: parse(*what))

    async def _body(self, request: web.BaseRequest) -> bytes:
        """Read the body; its bytes are in `reading` from then on."""
        limit = self._settings.request_bytes
        length = request.content_length
        if length is not None and length > limit:
            raise Refused(413, f"at most {limit} bytes")
        self._make_room(length or 0)
        if request.headers.get("expect", "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(_CONTINUE)
        content = request.content
        if length is not None and content.is_eof():  # it has come with its head
            whole = content.read_nowait()
            self.reading += len(whole)
            return whole
        body, size = bytearray(), 0
        try:
            async with asyncio.timeout(self._settings.request_timeout):
                async for chunk in content.iter_any():
                    if len(body) + len(chunk) > limit:
                        raise Refused(413, f"at most {limit} bytes")
                    self._make_room(len(chunk))
                    self.reading += len(chunk)
                    size += len(chunk)
                    body += chunk
        except TimeoutError:
            self.reading -= size
            raise Refused(408, "the request did not come to its end") from None
        except BaseException:
            self.reading -= size
            raise
        return bytes(body)

    def _make_room(self, size: int) -> None:
        if self.reading + size > self._settings.queue_bytes:
            raise Refused(503, "too much is being received")


def _response(answer: Answer, kind: str) -> web.Response:
    response = web.Response(status=answer.status, body=answer.body, content_type=kind)
    if answer.wait:
        response.headers["retry-after"] = str(answer.wait)
    if answer.status == 401:
        response.headers["www-authenticate"] = "Bearer"
    if answer.status == 405:
        response.headers["allow"] = "POST"
    if answer.status in (408, 413, 500):
        response.force_close()
    return response
