"""A function's pool of environments: who runs the next invocation, and the counts."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Coroutine
from pathlib import Path

from .config import EnvironmentInfo, FunctionConfig, FunctionStats
from .desk import Desk
from .environment import Environment
from .invocation import Invocation
from .recursion import RECURSION, REFUSAL
from .telemetry_events import Event

#: Seconds that an invocation may go on after the host was told to shut down.
_LONGEST_GRACE = 10.0
_PROVISIONED = "provisioned-concurrency"
_THROTTLED = {
    "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded",
    "Type": "User",
    "message": "Rate Exceeded.",
}


class FunctionPool:
    """Reuses the environment that was used last, makes one more when all are busy, and counts."""

    def __init__(self, desk: Desk, folder: Path, events: list[Event]) -> None:
        self._desk = desk
        # What is made for an invocation that found none is on-demand, whatever was provisioned.
        config = desk.config
        if config.initialization_type == _PROVISIONED:
            config = dataclasses.replace(config, initialization_type="on-demand")
        self._on_demand = dataclasses.replace(desk, config=config)
        self._folder = folder
        self.events = events
        self._environments: list[Environment] = []
        self._free: list[Environment] = []
        self._provisioned: set[Environment] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._in_flight = 0
        self._peak = 0
        self._invocations = self._cold_starts = self._errors = 0
        self._timeouts = self._crashes = self._throttles = self._spillovers = self._drops = 0
        self._closing = False

    @property
    def config(self) -> FunctionConfig:
        """The function."""
        return self._desk.config

    def dispatch(self, invocation: Invocation) -> None:
        """Give the invocation to an environment, or throttle it."""
        busy = len(self._environments) - len(self._free)
        if self._closing or busy >= self._desk.config.max_environments:
            self._throttles += 1
            invocation.status_code = 429
            invocation.respond(json.dumps(_THROTTLED).encode())
            invocation.release()
            return
        self._invocations += 1
        self._in_flight += 1
        self._peak = max(self._peak, self._in_flight)
        invocation.responded.future.add_done_callback(lambda _: self._answered(invocation))
        environment = self._choose(invocation.tenant_id)
        self._spillovers += bool(self._provisioned) and environment not in self._provisioned
        self._start(self._invoke(environment, invocation))

    def drop(self, invocation: Invocation) -> None:
        """Answer for the function, which runs in a loop: it is not invoked."""
        self._drops += 1
        invocation.status_code = RECURSION
        invocation.respond(json.dumps(REFUSAL).encode())
        invocation.release()

    async def initialize(self, count: int) -> None:
        """Make environments ahead, as provisioned concurrency does."""
        made = [self._make(self._desk) for _ in range(count)]
        if self._desk.config.initialization_type == _PROVISIONED:
            self._provisioned.update(made)
        await asyncio.gather(*(environment.initialize() for environment in made))
        for environment in made:
            environment.rest()
        self._free.extend(made)

    def stats(self) -> FunctionStats:
        """The counts so far."""
        return FunctionStats(
            invocations=self._invocations,
            cold_starts=self._cold_starts,
            errors=self._errors,
            timeouts=self._timeouts,
            crashes=self._crashes,
            throttles=self._throttles,
            peak_concurrency=self._peak,
            environments=len(self._environments),
            spillovers=self._spillovers,
            recursions_dropped=self._drops,
        )

    def environments(self) -> list[EnvironmentInfo]:
        """The environments that are alive, oldest first."""
        return [environment.info() for environment in self._environments]

    def find(self, environment_id: str | None) -> Environment | None:
        """The environment of that id; without one, the busy one that was made first, or else the first."""
        for environment in self._environments:
            if environment.id == environment_id or (environment_id is None and environment.state == "busy"):
                return environment
        return self._environments[0] if environment_id is None and self._environments else None

    async def shutdown(self) -> None:
        """Let what runs come to its end (for ten seconds at most), then spin every environment down."""
        self._closing = True
        if self._running:
            await asyncio.wait(set(self._running), timeout=min(self._desk.config.timeout, _LONGEST_GRACE))
        while self._running:
            for environment in self._environments:
                environment.abandon()
            await asyncio.wait(set(self._running), timeout=0.1)
        self._free.clear()
        await asyncio.gather(*(environment.shutdown() for environment in self._environments))
        self._environments.clear()
        self._provisioned.clear()
        self._closing = False

    def _choose(self, tenant_id: str) -> Environment:
        """A provisioned environment before an on-demand one, and of these the one that was used last.

        Only those of this tenant; one that nobody has used becomes the first comer's.
        """
        free = [environment for environment in self._free if environment.tenant_id in (None, tenant_id)]
        free.sort(key=lambda environment: environment in self._provisioned)
        environment = free[-1] if free else self._make(self._on_demand)
        if free:
            self._free.remove(environment)
        environment.tenant_id = tenant_id
        return environment

    def _make(self, desk: Desk) -> Environment:
        environment = Environment(desk, self._folder)
        self._environments.append(environment)
        return environment

    async def _invoke(self, environment: Environment, invocation: Invocation) -> None:
        try:
            if environment.state == "starting":
                await environment.initialize()
            await environment.invoke(invocation)
        except Exception as error:
            invocation.status_code = 500
            message = f"the local Lambda could not run {self._desk.config.name}: {error!r}"
            self._desk.on_log(message)
            invocation.respond(json.dumps({"Type": "Service", "message": message}).encode())
            invocation.release()
            await environment.shutdown()
            self._environments.remove(environment)
            self._provisioned.discard(environment)
            return
        if invocation.fault_type is not None:
            timed_out = invocation.fault_type == "Sandbox.Timedout"
            self._timeouts += timed_out
            self._crashes += not timed_out
        self._free.append(environment)

    def _answered(self, invocation: Invocation) -> None:
        self._in_flight -= 1
        self._cold_starts += invocation.cold_start
        self._errors += invocation.function_error is not None

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
