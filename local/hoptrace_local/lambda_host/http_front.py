"""The host's own port: the AWS Invoke API for clients, and a door for emulators that forward events.

`/proxy/NAME` is for an emulator that waits for the answer and has its own retries, `/event/NAME` for one that hands an
event over, as a topic and a bus do, and leaves the retries to the function's own queue.
Source: AWS Lambda API reference, "Invoke".
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Protocol
from urllib.parse import unquote

from aiohttp import web

from . import answers
from .invocation import Invocation
from .recursion import RECURSION

_INVOKE = re.compile(r"/2015-03-31/functions/(?P<name>[^/]+)/invocations")
_PROXY = re.compile(r"/(?P<door>proxy|event)/(?P<name>[^/]+)")
_ERRORS = {429: "TooManyRequestsException", RECURSION: "RecursiveInvocationException"}
#: Bytes of the largest event: synchronous invocations; asynchronous ones are held to 1 MiB.
MAX_SYNCHRONOUS, MAX_ASYNCHRONOUS = 6 * 1024 * 1024, 1024 * 1024


class Dispatch(Protocol):
    """How the front hands an invocation to the host."""

    def __call__(
        self,
        name: str,
        payload: bytes,
        *,
        request_id: str | None = None,
        trace_header: str | None = None,
        client_context: str | None = None,
        qualifier: str | None = None,
        tenant_id: str = "",
        asynchronous: bool = False,
    ) -> Invocation:
        """Start it, or queue it when it is asynchronous; raises `KeyError` for a function that does not exist."""


class HttpFront:
    """Answers both doors; needs the host's loop."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        path = request.rel_url.raw_path
        if request.method != "POST":
            return answers.error(404, "ResourceNotFoundException", f"{request.method} {path}")
        try:
            if match := _INVOKE.fullmatch(path):
                return await self._invoke(request, unquote(match["name"]))
            if match := _PROXY.fullmatch(path):
                return await self._proxy(request, unquote(match["name"]), asynchronous=match["door"] == "event")
        except KeyError as missing:
            return _aws_error(404, "ResourceNotFoundException", f"Function not found: {missing.args[0]}")
        return answers.error(404, "ResourceNotFoundException", f"{request.method} {path}")

    async def _invoke(self, request: web.BaseRequest, named: str) -> web.Response:
        name, qualifier = split_name(named)
        payload = await request.read()
        kind = request.headers.get("X-Amz-Invocation-Type", "RequestResponse")
        limit = MAX_SYNCHRONOUS if kind == "RequestResponse" else MAX_ASYNCHRONOUS
        if len(payload) > limit:
            return _aws_error(413, "RequestTooLargeException", f"{len(payload)} byte payload is too large ({limit})")
        if kind == "DryRun":
            return web.Response(status=204)
        context = None
        if kind == "RequestResponse" and (encoded := request.headers.get("X-Amz-Client-Context")):
            try:
                context = base64.b64decode(encoded, validate=True).decode()
            except (binascii.Error, ValueError):
                return _aws_error(400, "InvalidRequestContentException", "Client context must be a valid Base64 string")
        invocation = self._dispatch(
            name,
            payload or b"{}",
            trace_header=request.headers.get("X-Amzn-Trace-Id"),
            client_context=context,
            qualifier=request.rel_url.query.get("Qualifier") or qualifier,
            tenant_id=request.headers.get("X-Amz-Tenant-Id", ""),
            asynchronous=kind == "Event",
        )
        headers = {"x-amzn-RequestId": invocation.request_id}
        if kind == "Event":
            return web.Response(status=202, headers=headers)
        await invocation.responded.future
        if invocation.status_code != 200:
            headers["x-amzn-ErrorType"] = _ERRORS.get(invocation.status_code, "ServiceException")
            return _payload(invocation, invocation.status_code, headers)
        headers["X-Amz-Executed-Version"] = "$LATEST"
        headers["X-Amzn-Trace-Id"] = invocation.trace_header
        if invocation.function_error is not None:
            headers["X-Amz-Function-Error"] = invocation.function_error
        return _payload(invocation, 200, headers)

    async def _proxy(self, request: web.BaseRequest, name: str, *, asynchronous: bool) -> web.Response:
        invocation = self._dispatch(
            name,
            await request.read() or b"{}",
            request_id=request.headers.get("X-Amzn-Lambda-Request-Id"),
            trace_header=request.headers.get("X-Amzn-Trace-Id"),
            asynchronous=asynchronous,
        )
        if asynchronous:
            return answers.as_json(202, None, {"x-amzn-RequestId": invocation.request_id})
        await invocation.responded.future
        status = invocation.status_code
        if invocation.function_error is not None:
            status = 500
        return _payload(invocation, status, {"x-amzn-RequestId": invocation.request_id})


def split_name(named: str) -> tuple[str, str | None]:
    """Name and qualifier in whatever form Invoke takes: `f`, `f:alias`, a partial or a whole ARN."""
    parts = named.split(":")
    if "function" in parts:
        parts = parts[parts.index("function") + 1 :]
    return parts[0], parts[1] if len(parts) > 1 else None


def _payload(invocation: Invocation, status: int, headers: dict[str, str]) -> web.Response:
    return web.Response(status=status, body=invocation.answer, content_type="application/json", headers=headers)


def _aws_error(status: int, error_type: str, message: str) -> web.Response:
    body = {"Type": "User", "Message": message, "message": message}
    return answers.as_json(status, body, {"x-amzn-ErrorType": error_type})
