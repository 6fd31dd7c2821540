"""The Runtime API (`/2018-06-01/runtime/…`) of one generation of an environment: what the runtime client talks to.

Source of the wire format: AWS Lambda developer guide, "Using the Lambda runtime API", and the open runtime interface
emulator for what the guide leaves out.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Callable

from aiohttp import web

from . import answers
from .faults import Fault
from .invocation import Invocation
from .signals import Signal

#: Bytes of the largest answer: 6 MiB and 100 bytes for the envelope.
MAX_RESPONSE = 6 * 1024 * 1024 + 100
_INIT_ERROR = "Runtime.Unknown"
_ROUTES = {
    "GET": re.compile(r"(invocation|restore)/next"),
    "POST": re.compile(r"invocation/[^/]+/(response|error)|(init|restore)/error"),
}


class RuntimeApi:
    """What the runtime has asked and what it is told; every wait of the life cycle is one of the two signals."""

    def __init__(self, fail: Callable[[Fault], None]) -> None:
        self.at_next = Signal()
        self.at_restore = Signal()
        self._fail = fail
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.Future[web.Response] | None = None
        self._restore: asyncio.Future[web.Response] | None = None
        self._invocation: Invocation | None = None
        self._invocation_id = ""
        #: Whether the runtime has asked for an event: its initialisation is over.
        self._began = False

    def deliver(self, invocation: Invocation, deadline_ms: int) -> None:
        """Answer the runtime's `/next`, which it has asked for."""
        assert self._next is not None
        self._invocation = invocation
        self._invocation_id = str(uuid.uuid4())
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
            "Lambda-Runtime-Trace-Id": invocation.trace_header,
            "Lambda-Runtime-Invocation-Id": self._invocation_id,
        }
        if invocation.client_context is not None:
            headers["Lambda-Runtime-Client-Context"] = invocation.client_context
        if invocation.tenant_id:
            headers["Lambda-Runtime-Aws-Tenant-Id"] = invocation.tenant_id
        self.at_next.clear()
        waiting, self._next = self._next, None
        waiting.set_result(web.Response(body=invocation.payload, content_type="application/json", headers=headers))

    def restore(self) -> None:
        """Answer the runtime's `/restore/next`: the snapshot runs again."""
        assert self._restore is not None
        self._restore.set_result(answers.as_json(200, {}))

    def close(self) -> None:
        """The generation is over: nobody is left waiting."""
        for waiting in (self._next, self._restore):
            if waiting is not None and not waiting.done():
                waiting.set_result(answers.error(410, "InvalidStateTransition", "the environment was reset"))

    async def handle(self, request: web.BaseRequest, path: str) -> web.Response:
        """Answer one request; `path` follows `/2018-06-01/runtime/`."""
        match request.method, path.split("/"):
            case "GET", ["invocation", "next"]:
                return await self._ask_next()
            case "POST", ["invocation", request_id, "response" | "error" as kind]:
                return await self._answer(request, request_id, kind)
            case "POST", ["init" | "restore" as phase, "error"]:
                return await self._init_error(request, phase)
            case "GET", ["restore", "next"]:
                self._restore = self._loop.create_future()
                self.at_restore.set()
                return await self._restore
        return answers.unrouted(path, _ROUTES)

    async def _ask_next(self) -> web.Response:
        if self._next is None:
            self._next = self._loop.create_future()
        self._invocation = None
        self._began = True
        waiting = self._next
        self.at_next.set()
        return await waiting

    async def _answer(self, request: web.BaseRequest, request_id: str, kind: str) -> web.Response:
        invocation = self._invocation
        if invocation is None or invocation.request_id != request_id:
            return answers.error(400, "InvalidRequestID", "Invalid request ID")
        echoed = request.headers.get("Lambda-Runtime-Invocation-Id")
        if echoed and echoed != self._invocation_id:
            return answers.error(410, "InvocationExpired", "the invocation was already given to another attempt")
        if invocation.responded.is_set():
            return self._refuse("InvocationResponse" if kind == "response" else "InvocationErrorResponse")
        body = await request.read()
        if len(body) > MAX_RESPONSE:
            text = f"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE} bytes)."
            fault = Fault("Function.ResponseSizeTooLarge", text)
            fault.payload = json.dumps({"errorType": fault.error_type, "errorMessage": text}).encode()
            invocation.respond(fault.payload, "Unhandled")
            return answers.error(413, "RequestEntityTooLarge", text)
        invocation.respond(body, "Unhandled" if kind == "error" else None)
        return answers.ok()

    def _refuse(self, wanted: str) -> web.Response:
        invocation = self._invocation
        state = "Ready" if invocation is None else "Running"
        if invocation is not None and invocation.responded.is_set():
            state = "RuntimeResponseSentState"
        message = f"State transition from {state} to {wanted} failed for runtime. "
        return answers.error(403, "InvalidStateTransition", message + "Error: State transition is not allowed")

    async def _init_error(self, request: web.BaseRequest, phase: str) -> web.Response:
        body = await request.read()
        error_type = request.headers.get("Lambda-Runtime-Function-Error-Type", _INIT_ERROR)
        if self._began and phase == "init":
            return self._refuse("InitError")
        self._fail(Fault(error_type, f"Runtime failed to {phase}", body or None))
        return answers.ok()
