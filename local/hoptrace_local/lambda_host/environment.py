"""One execution environment and the order of its life: init, invoke, freeze, reset, shutdown.

The order is that of AWS Lambda's "Execution environment lifecycle" and "Extensions API" pages, and of the open runtime
interface emulator where the pages are silent.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from . import answers
from . import telemetry_events as telemetry
from .config import EnvironmentInfo, FunctionConfig
from .extensions_api import Agent
from .faults import Fault, TimedOut
from .generation import Generation, make_run_folders
from .guardian import Guardian
from .invocation import Invocation, epoch_ms
from .sandbox_env import Sandbox
from .telemetry_events import Event, Stopwatch
from .unlimited_request import unlimited
from .var_runtime import Interpreter

_RUNTIME_PATH = "/2018-06-01/runtime/"
_EXTENSION_PATH = "/2020-01-01/extension/"
_TELEMETRY_PATHS = ("/2022-07-01/telemetry", "/2020-08-15/logs")


@dataclass(frozen=True)
class Desk:
    """What all environments of a function share."""

    config: FunctionConfig
    interpreter: Interpreter
    opt: Path
    var_runtime: Path
    lang_bin: Path
    guardian: Guardian
    session: aiohttp.ClientSession
    take_port: Callable[[], int]
    on_event: Callable[[Event], None]
    on_log: Callable[[str], None]


class Environment:
    """An environment lives on the host's loop; one invocation at a time."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self._desk = desk
        self._config = desk.config
        self._loop = asyncio.get_running_loop()
        self.id = uuid.uuid4().hex
        self.log_stream = f"{time.strftime('%Y/%m/%d', time.gmtime())}/[{self._config.version}]{self.id}"
        self._folder = folder / self.id
        self.tmp_dir, self.run_dir = make_run_folders(self._folder)
        self._telemetry_port = desk.take_port()
        self._server: asyncio.Server | None = None
        self._web: web.Server | None = None
        self._api = ""
        self._generation: Generation | None = None
        self._initialized = False
        self._init_failed = False
        self._init_ms: float | None = None
        self._init_seconds: float | None = None
        self._invocation: Invocation | None = None
        self._init_lines: list[str] = []
        self.state = "starting"

    # -- for the pool ---------------------------------------------------------------------------------------------

    async def initialize(self) -> None:
        """Start everything ahead of an invocation; a failure is kept for the first invocation to retry."""
        await self._listen()
        deadline = self._loop.time() + self._config.longest_init
        try:
            await self._init("init", deadline, self._config.longest_init)
        except Fault as fault:
            await self._reset("timeout" if isinstance(fault, TimedOut) else "failure")

    def rest(self) -> None:
        """Freeze an environment that was initialized ahead; its first invocation will not have waited for it."""
        self._init_seconds = None
        if self._generation is not None:
            self._generation.freeze()
            self.state = "frozen"

    async def invoke(self, invocation: Invocation) -> None:
        """Run one invocation from here to release; the caller's answer is given on the way."""
        self.state = "busy"
        self._invocation = invocation
        invocation.environment_id = self.id
        config = self._config
        watch = Stopwatch()
        deadline = self._loop.time() + config.timeout
        deadline_ms = epoch_ms(config.timeout)
        self._log(f"START RequestId: {invocation.request_id} Version: {config.version}")
        started = telemetry.start(invocation.request_id, config.version, invocation.trace_header)
        if self._generation is not None:
            self._generation.thaw()
        self._emit(started)
        init_ms = None
        try:
            if self._initialized:
                init_ms, self._init_ms = self._init_ms, None
            else:
                await self._init("invoke", deadline, config.timeout, started)
            self._take_init(invocation)
            await self._run(invocation, deadline, deadline_ms, watch, init_ms)
        except Fault as fault:
            await self._fail(invocation, fault, watch, init_ms)
        self._invocation = None
        invocation.release()

    def abandon(self) -> None:
        """Fail the invocation that runs."""
        if self._generation is not None:
            self._generation.abandon()

    async def shutdown(self) -> None:
        """Spin down: everything ends within the budget, and the port is closed."""
        if self._generation is not None:
            await self._reset("spindown")
        self.state = "gone"
        if self._server is not None:
            self._server.close()
        if self._web is not None:
            await self._web.shutdown(0)

    def info(self) -> EnvironmentInfo:
        """What it looks like now."""
        generation = self._generation
        runtime = None if generation is None else generation.runtime_process
        extensions = {} if generation is None else generation.extension_processes
        return EnvironmentInfo(
            id=self.id,
            run_dir=self.run_dir,
            tmp_dir=self.tmp_dir,
            runtime_pid=runtime.pid if runtime is not None and runtime.alive else None,
            extension_pids={name: process.pid for name, process in extensions.items() if process.alive},
            state=self.state,
        )

    def signal_runtime(self, number: int) -> None:
        """Send a signal to the runtime's process group (for tests of faults)."""
        if self._generation is not None and self._generation.runtime_process is not None:
            self._generation.runtime_process.signal_group(number)

    # -- init -----------------------------------------------------------------------------------------------------

    async def _init(self, phase: str, deadline: float, seconds: float, started: Event | None = None) -> None:
        watch = Stopwatch()
        config = self._config
        generation = self._generation = Generation(
            self._sandbox(), guardian=self._desk.guardian, session=self._desk.session, on_line=self._output
        )
        if started is not None:  # the new generation's extensions are told of the invocation that woke them
            generation.telemetry.emit(started)
        described = {
            "name": config.name,
            "version": config.version,
            "instance_id": self.log_stream,
            "memory_bytes": config.memory * 1024 * 1024,
            "runtime": f"python:{'.'.join(map(str, self._desk.interpreter.version[:2]))}",
        }
        init_type = config.initialization_type
        self._emit(telemetry.init_start(init_type=init_type, phase=phase, **described))  # type: ignore[arg-type]
        done = False
        try:
            generation.launch_extensions()
            await generation.until(generation.extensions.all_registered.future, deadline, seconds)
            generation.launch_runtime()
            reached = generation.runtime.at_restore if init_type == "snap-start" else generation.runtime.at_next
            await generation.until(reached.future, deadline, seconds)
            self._init_seconds = watch.ms() / 1000
            self._emit(telemetry.init_runtime_done(init_type, phase, "success", None))
            done = True
            generation.extensions.registration_open = False
            for agent in list(generation.extensions.agents.values()):
                await generation.until(agent.at_next.future, deadline, seconds)
                self._emit(telemetry.extension(agent.name, "Ready", agent.events))
            generation.telemetry.close_subscriptions()
        except Fault as fault:
            status = "timeout" if isinstance(fault, TimedOut) else "error"
            if not done:
                self._emit(telemetry.init_runtime_done(init_type, phase, status, fault.error_type))
            self._emit(telemetry.init_report(init_type, phase, status, fault.error_type, watch.ms()))
            self._log(
                f"INIT_REPORT Init Duration: {watch.ms():.2f} ms\tPhase: {phase}\tStatus: {status}"
                + ("" if status == "timeout" else f"\tError Type: {fault.error_type}")
            )
            raise
        self._emit(telemetry.init_report(init_type, phase, "success", None, watch.ms()))
        if init_type == "snap-start":
            await self._restore(generation, deadline, seconds, described)
        self._init_ms = watch.ms() if phase == "init" else None
        self._initialized = True

    async def _restore(
        self, generation: Generation, deadline: float, seconds: float, described: dict[str, object]
    ) -> None:
        watch = Stopwatch()
        self._emit(telemetry.restore_start(**described))  # type: ignore[arg-type]
        generation.runtime.restore()
        await generation.until(generation.runtime.at_next.future, deadline, seconds)
        self._emit(telemetry.init_runtime_done("snap-start", "restore", "success", None, restore=True))
        self._emit(telemetry.init_report("snap-start", "restore", "success", None, watch.ms(), restore=True))

    def _take_init(self, invocation: Invocation) -> None:
        if self._init_seconds is not None:
            invocation.cold_start = True
            invocation.init_seconds, self._init_seconds = self._init_seconds, None
            invocation.lines[:0] = self._init_lines
            self._init_lines = []

    # -- invoke ---------------------------------------------------------------------------------------------------

    async def _run(
        self, invocation: Invocation, deadline: float, deadline_ms: int, watch: Stopwatch, init_ms: float | None
    ) -> None:
        generation = self._generation
        assert generation is not None
        seconds = self._config.timeout
        agents = generation.extensions.subscribers("INVOKE")
        event = self._invoke_event(invocation, deadline_ms)
        for agent in agents:
            agent.deliver(event)
        generation.runtime.deliver(invocation, deadline_ms)
        await generation.until(invocation.responded.future, deadline, seconds)
        responded = self._loop.time()
        await generation.until(generation.runtime.at_next.future, deadline, seconds)
        done = self._loop.time()
        if generation.runtime_process is not None:
            generation.runtime_process.hear()  # what it said before it asked for more belongs to this invocation
        spans = [
            telemetry.span("responseLatency", watch.at(watch.monotonic), watch.ms(responded)),
            telemetry.span("responseDuration", watch.at(responded), 0.0),
            telemetry.span("runtimeOverhead", watch.at(responded), (done - responded) * 1000),
        ]
        self._emit(self._runtime_done(invocation, "success", None, watch.ms(done), spans))
        for agent in agents:
            await generation.until(agent.at_next.future, deadline, seconds)
        self._report(invocation, "success", None, watch, init_ms, done)
        generation.freeze()
        self.state = "frozen"

    async def _fail(self, invocation: Invocation, fault: Fault, watch: Stopwatch, init_ms: float | None) -> None:
        generation = self._generation
        assert generation is not None
        timed_out = isinstance(fault, TimedOut)
        status = "timeout" if timed_out else "failure" if fault.error_type.startswith("Sandbox.") else "error"
        invocation.fault_type = fault.error_type
        generation.kill_runtime()
        self._take_init(invocation)
        invocation.respond(fault.payload_for(invocation.request_id), "Unhandled")
        self._log(f"RequestId: {invocation.request_id} Error: {fault.message}")
        error_type = None if timed_out else fault.error_type
        self._emit(self._runtime_done(invocation, status, error_type, watch.ms(), []))
        memory = generation.peak_memory_mib()
        await self._reset("timeout" if timed_out else "failure")
        self._report(invocation, status, error_type, watch, init_ms, self._loop.time(), memory)

    def _runtime_done(
        self,
        invocation: Invocation,
        status: str,
        error_type: str | None,
        duration_ms: float,
        spans: list[dict[str, object]],
    ) -> Event:
        return telemetry.runtime_done(
            invocation.request_id,
            status,
            error_type,
            duration_ms=duration_ms,
            produced_bytes=len(invocation.answer) if status == "success" else None,
            spans=spans,
            trace_header=invocation.trace_header,
        )

    def _report(
        self,
        invocation: Invocation,
        status: str,
        error_type: str | None,
        watch: Stopwatch,
        init_ms: float | None,
        done: float,
        memory: int | None = None,
    ) -> None:
        if memory is None:
            memory = self._generation.peak_memory_mib() if self._generation is not None else 0
        overhead = (self._loop.time() - done) * 1000
        duration = watch.ms()
        self._emit(
            telemetry.report(
                invocation.request_id,
                status,
                error_type,
                duration_ms=duration,
                memory_size=self._config.memory,
                memory_used=memory,
                init_ms=init_ms,
                spans=[telemetry.span("extensionOverhead", watch.at(done), overhead)],
                trace_header=invocation.trace_header,
            )
        )
        self._log(f"END RequestId: {invocation.request_id}")
        init = "" if init_ms is None else f"\tInit Duration: {init_ms:.2f} ms"
        self._log(
            f"REPORT RequestId: {invocation.request_id}\tDuration: {duration:.2f} ms\t"
            f"Memory Size: {self._config.memory} MB\tMax Memory Used: {memory} MB{init}"
        )

    def _invoke_event(self, invocation: Invocation, deadline_ms: int) -> dict[str, object]:
        event: dict[str, object] = {
            "eventType": "INVOKE",
            "deadlineMs": deadline_ms,
            "requestId": invocation.request_id,
            "invokedFunctionArn": invocation.function_arn,
        }
        if invocation.trace_header:
            event["tracing"] = {"type": "X-Amzn-Trace-Id", "value": invocation.trace_header}
        return event

    # -- reset ----------------------------------------------------------------------------------------------------

    async def _reset(self, reason: str) -> None:
        generation = self._generation
        assert generation is not None
        external = any(agent.external for agent in generation.extensions.agents.values())
        budget = self._config.shutdown_timeout if external else 0.0
        await generation.end(reason, budget, epoch_ms(budget))
        self._generation = None
        self._initialized = False
        self._init_ms = None
        self.state = "idle"

    # -- the port -------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        if self._server is not None:
            return
        self._web = web.Server(self._serve, request_factory=unlimited, access_log=None, keepalive_timeout=3600.0)
        self._server = await self._loop.create_server(self._web, "127.0.0.1", 0)
        self._api = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        generation = self._generation
        path = request.path
        if generation is None:
            return answers.error(410, "InvalidStateTransition", "the environment was reset")
        if path.startswith(_RUNTIME_PATH):
            return await generation.runtime.handle(request, path.removeprefix(_RUNTIME_PATH))
        if path.startswith(_EXTENSION_PATH):
            return await generation.extensions.handle(request, path.removeprefix(_EXTENSION_PATH))
        if path == _TELEMETRY_PATHS[0] and request.method == "PUT":
            agent = generation.extensions.find(request)
            if not isinstance(agent, Agent):
                return agent
            return await generation.telemetry.handle(request, agent)
        return answers.error(404, "NotFound", f"{request.method} {path}")

    # -- output ---------------------------------------------------------------------------------------------------

    def _output(self, category: str, name: str, line: str) -> None:
        record: object = line
        if category == "function" and self._config.environment.get("AWS_LAMBDA_LOG_FORMAT") == "JSON":
            try:
                decoded = json.loads(line)
                record = decoded if isinstance(decoded, dict) else line
            except ValueError:
                pass
        self._emit(telemetry.event(category, record))
        self._log(line if category == "function" else f"[{name}] {line}")

    def _emit(self, made: Event) -> None:
        self._desk.on_event(made)
        if self._generation is not None:
            self._generation.telemetry.emit(made)

    def _log(self, line: str) -> None:
        (self._init_lines if self._invocation is None else self._invocation.lines).append(line)
        self._desk.on_log(line)

    def _sandbox(self) -> Sandbox:
        desk = self._desk
        return Sandbox(
            config=self._config,
            interpreter=desk.interpreter,
            opt=desk.opt,
            var_runtime=desk.var_runtime,
            lang_bin=desk.lang_bin,
            home=self._folder / "home",
            tmp_dir=self.tmp_dir,
            run_dir=self.run_dir,
            telemetry_port=self._telemetry_port,
            log_stream=self.log_stream,
            api=self._api,
        )
