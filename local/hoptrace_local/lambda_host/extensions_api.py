"""The Extensions API (`/2020-01-01/extension/…`) of one generation: registration, events, and the errors of both.

Source of the wire format: AWS Lambda developer guide, "Extensions API", and the open runtime interface emulator for the
error answers and for what a file's name means.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Callable, Mapping

from aiohttp import web

from . import answers
from .faults import Fault
from .signals import Signal

MAX_EXTENSIONS = 10
_EVENTS = {"INVOKE", "SHUTDOWN"}
_ROUTES = {"GET": re.compile("event/next"), "POST": re.compile("register|init/error|exit/error")}
_IDENTIFIER = "Lambda-Extension-Identifier"


class Agent:
    """One registered extension, external (a file of `/opt/extensions`) or internal (inside the runtime's process)."""

    def __init__(self, name: str, events: frozenset[str], *, external: bool) -> None:
        self.name = name
        self.events = events
        self.external = external
        self.identifier = str(uuid.uuid4())
        self.at_next = Signal()
        self._waiting: asyncio.Future[web.Response] | None = None
        self._undelivered: web.Response | None = None
        self._state = "Registered"

    def registered_already(self) -> str:
        """What a second registration under its name is told."""
        if not self.external:
            return "Extension with this name already registered"
        change = f"State transition from {self._state} to Registered failed for extension {self.name}."
        return f"{change} Error: State transition is not allowed"

    def deliver(self, event: Mapping[str, object]) -> None:
        """Answer its `/next`, or its next one when it is not waiting."""
        headers = {}
        if event["eventType"] == "INVOKE":
            headers["Lambda-Extension-Event-Identifier"] = str(uuid.uuid4())
        response = answers.as_json(200, event, headers)
        self.at_next.clear()
        self._state = "Running"
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(response)
            self._waiting = None
        else:
            self._undelivered = response

    async def next(self) -> web.Response:
        """Wait for the next event."""
        if self._undelivered is not None:
            response, self._undelivered = self._undelivered, None
            return response
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_future()
        waiting = self._waiting
        self._state = "Ready"
        self.at_next.set()
        return await waiting

    def close(self) -> None:
        """The generation is over."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(answers.error(410, "Extension.InvalidExtensionState", "the environment was reset"))


class ExtensionsApi:
    """The extensions of one generation; `all_registered` is set when every launched file has registered."""

    def __init__(self, fail: Callable[[Fault], None], function: Mapping[str, str], account_id: str) -> None:
        self.agents: dict[str, Agent] = {}
        self.all_registered = Signal()
        self.registration_open = True
        self._fail = fail
        self._function = dict(function)
        self._account_id = account_id
        self._launched: frozenset[str] = frozenset()

    def expect(self, names: frozenset[str]) -> None:
        """These files were started and must register before the runtime starts."""
        self._launched = names
        self._check_registered()

    def subscribers(self, event: str) -> list[Agent]:
        """The agents that asked for this event."""
        return [agent for agent in self.agents.values() if event in agent.events]

    def find(self, request: web.BaseRequest) -> Agent | web.Response:
        """The agent that sends this request, or the error answer."""
        identifier = request.headers.get(_IDENTIFIER)
        if not identifier:
            return answers.error(403, "Extension.MissingExtensionIdentifier", f"Missing {_IDENTIFIER} header")
        try:
            uuid.UUID(identifier)
        except ValueError:
            return answers.error(403, "Extension.InvalidExtensionIdentifier", f"Invalid {_IDENTIFIER}")
        for agent in self.agents.values():
            if agent.identifier == identifier:
                return agent
        return answers.error(403, "Extension.UnknownExtensionIdentifier", f"Unknown extension {identifier}")

    def close(self) -> None:
        """The generation is over."""
        for agent in self.agents.values():
            agent.close()

    async def handle(self, request: web.BaseRequest, path: str) -> web.Response:
        """Answer one request; `path` follows `/2020-01-01/extension/`."""
        match request.method, path:
            case "POST", "register":
                return await self._register(request)
            case "GET", "event/next":
                agent = self.find(request)
                return await agent.next() if isinstance(agent, Agent) else agent
            case "POST", "init/error" | "exit/error":
                return await self._report_error(request)
        return answers.unrouted(path, _ROUTES)

    async def _register(self, request: web.BaseRequest) -> web.Response:
        name = request.headers.get("Lambda-Extension-Name", "")
        if not name:
            return answers.error(403, "Extension.InvalidExtensionName", "Empty extension name")
        external = name in self._launched
        try:
            body = json.loads(await request.read())
            events = frozenset(body.get("events") or ())
            if body.get("configurationKeys"):
                raise ValueError("configurationKeys are deprecated; use environment variables instead")
        except (ValueError, TypeError, AttributeError) as error:
            return answers.error(403, "InvalidRequestFormat", str(error))
        if unknown := events - _EVENTS:
            wrong = min(map(str, unknown))
            return answers.error(403, "Extension.InvalidEventType", f"{wrong}: ErrorInvalidEventType")
        if "SHUTDOWN" in events and not external:
            message = "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension"
            return answers.error(403, "Extension.InvalidEventType", message)
        if not self.registration_open:
            return answers.error(403, "Extension.RegistrationClosed", "Extension registration closed already")
        if name in self.agents:
            return answers.error(403, "Extension.InvalidExtensionState", self.agents[name].registered_already())
        if len(self.agents) >= MAX_EXTENSIONS:
            return answers.error(403, "Extension.TooManyExtensions", f"Extension limit ({MAX_EXTENSIONS}) reached")
        agent = self.agents[name] = Agent(name, events, external=external)
        answer = dict(self._function)
        if "accountId" in request.headers.get("Lambda-Extension-Accept-Feature", ""):
            answer["accountId"] = self._account_id
        self._check_registered()
        return answers.as_json(200, answer, {_IDENTIFIER: agent.identifier})

    async def _report_error(self, request: web.BaseRequest) -> web.Response:
        agent = self.find(request)
        if not isinstance(agent, Agent):
            return agent
        error_type = request.headers.get("Lambda-Extension-Function-Error-Type")
        if not error_type:
            return answers.error(403, "Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found")
        try:
            message = str(json.loads(await request.read())["errorMessage"])
        except (ValueError, TypeError, KeyError):
            message = error_type
        self._fail(Fault(error_type, message))
        return answers.ok()

    def _check_registered(self) -> None:
        if self._launched <= self.agents.keys():
            self.all_registered.set()
