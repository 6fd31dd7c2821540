"""One execution environment and the order of its life: init, invoke, freeze, reset, shutdown.

The order is that of AWS Lambda's "Execution environment lifecycle" and "Extensions API" pages, and of the open runtime
interface emulator where the pages are silent.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from pathlib import Path

from .api_port import ApiPort
from .chronicle import Chronicle
from .config import EnvironmentInfo
from .cpu_group import CpuGroup
from .desk import Desk
from .faults import Fault, TimedOut
from .generation import Generation, make_run_folders
from .invocation import Invocation, epoch_ms
from .sandbox_env import Sandbox
from .telemetry_events import Event, Stopwatch

#: Seconds for the end of an environment whose only extensions are internal ("Lambda execution environment lifecycle").
_INTERNAL_SHUTDOWN = 0.5


class Environment:
    """An environment lives on the host's loop; one invocation at a time.

    Moments and deadlines are on the monotonic clock, which is the loop's.
    """

    def __init__(self, desk: Desk, folder: Path) -> None:
        self._desk = desk
        self._config = desk.config
        self._loop = asyncio.get_running_loop()
        self.id = uuid.uuid4().hex
        self._log_stream = f"{time.strftime('%Y/%m/%d', time.gmtime())}/[{desk.config.version}]{self.id}"
        self._folder = folder / self.id
        self._tmp_dir, self._run_dir = make_run_folders(self._folder)
        self._telemetry_port = desk.take_port()
        self._port = ApiPort(lambda: self._generation)
        self._chronicle = Chronicle(desk, self._log_stream)
        self._cpu = CpuGroup(self.id, desk.config.memory) if desk.config.cpu_quota else None
        if self._cpu is not None and self._cpu.unavailable:
            self._chronicle.log(self._cpu.unavailable)
        self._generation: Generation | None = None
        self._initialized = False
        #: Whether a snapshot has been taken that no invocation has needed yet.
        self._snapshot_waits = False
        #: How long the init phase took, until an invocation has reported it.
        self._init_ms: float | None = None
        #: First process to first `/next`, until an invocation has waited for it.
        self._init_seconds: float | None = None
        self.state = "starting"
        #: Whose environment it is (tenant isolation); None until somebody has used it.
        self.tenant_id: str | None = None

    # -- for the pool ---------------------------------------------------------------------------------------------

    async def initialize(self) -> None:
        """Start everything ahead of an invocation; a failed initialisation is run again by the first invocation."""
        await self._port.open()
        longest = self._config.longest_init
        try:
            await self._init("init", self._loop.time() + longest, longest)
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
        invocation.environment_id = self.id
        watch = Stopwatch()
        timeout = self._config.timeout
        deadline, deadline_ms = self._loop.time() + timeout, epoch_ms(timeout)
        if self._generation is not None:
            self._generation.thaw()
        init_ms = None
        try:
            if self._snapshot_waits:  # before anything is said of the invocation
                await self._restore(deadline, timeout)
            started = self._chronicle.started(invocation)
            if self._initialized:
                init_ms, self._init_ms = self._init_ms, None
            else:
                await self._init("invoke", deadline, timeout, started)
            self._tell_cold_start(invocation)
            await self._run(invocation, deadline, deadline_ms, watch, init_ms)
        except Fault as fault:
            await self._fail(invocation, fault, watch, init_ms)
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
        await self._port.close()
        if self._cpu is not None:
            self._cpu.close()

    def info(self) -> EnvironmentInfo:
        """What it looks like now."""
        generation = self._generation
        runtime = None if generation is None else generation.runtime_process
        extensions = {} if generation is None else generation.extension_processes
        return EnvironmentInfo(
            id=self.id,
            run_dir=self._run_dir,
            tmp_dir=self._tmp_dir,
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
        chronicle = self._chronicle
        generation = self._generation = Generation(
            self._sandbox(),
            guardian=self._desk.guardian,
            session=self._desk.session,
            on_line=chronicle.output,
            confine=self._cpu.add if self._cpu is not None else None,
        )
        chronicle.listeners = generation.telemetry
        if started is not None:  # the new generation's extensions hear of the invocation that woke them
            generation.telemetry.emit(started)
        chronicle.init_started(phase)
        snapshot = self._config.initialization_type == "snap-start"
        runtime_done = False
        try:
            generation.launch_extensions()
            await generation.until(generation.extensions.all_registered.future, deadline, seconds)
            generation.launch_runtime()
            reached = generation.runtime.at_restore if snapshot else generation.runtime.at_next
            await generation.until(reached.future, deadline, seconds)
            self._init_seconds = watch.ms() / 1000
            chronicle.init_runtime_done(phase)
            runtime_done = True
            generation.extensions.registration_open = False
            for agent in list(generation.extensions.agents.values()):
                await generation.until(agent.at_next.future, deadline, seconds)
                chronicle.extension_ready(agent)
            generation.telemetry.close_subscriptions()
            chronicle.init_done(phase, watch)
        except Fault as fault:
            chronicle.init_failed(phase, fault, watch, runtime_was_done=runtime_done)
            raise
        self._initialized = True
        if snapshot:
            # Who restores it waits for that, and not for the initialisation of the version.
            self._init_seconds = None
            self._snapshot_waits = True
            if phase == "invoke":  # nobody published a version: one is made while the first invocation waits
                await self._restore(deadline, seconds)
            return
        self._init_ms = watch.ms() if phase == "init" else None

    async def _restore(self, deadline: float, seconds: float) -> None:
        """Have the snapshot run on; here it is the very process that was stopped when it was taken."""
        generation = self._generation
        assert generation is not None
        self._snapshot_waits = False
        watch = Stopwatch()
        self._chronicle.restore_started()
        generation.runtime.restore()
        try:
            await generation.until(generation.runtime.at_next.future, deadline, seconds)
        except Fault as fault:
            self._chronicle.restore_failed(fault, watch)
            raise
        self._chronicle.restore_done(watch)
        self._init_seconds = watch.ms() / 1000

    def _tell_cold_start(self, invocation: Invocation) -> None:
        if self._init_seconds is not None:
            invocation.cold_start = True
            invocation.init_seconds, self._init_seconds = self._init_seconds, None

    # -- invoke ---------------------------------------------------------------------------------------------------

    async def _run(
        self, invocation: Invocation, deadline: float, deadline_ms: int, watch: Stopwatch, init_ms: float | None
    ) -> None:
        generation = self._generation
        assert generation is not None
        seconds = self._config.timeout
        agents = generation.extensions.subscribers("INVOKE")
        event = _invoke_event(invocation, deadline_ms)
        for agent in agents:
            agent.deliver(event)
        generation.runtime.deliver(invocation, deadline_ms)
        await generation.until(invocation.responded.future, deadline, seconds)
        responded = self._loop.time()
        await generation.until(generation.runtime.at_next.future, deadline, seconds)
        done = self._loop.time()
        generation.hear_runtime()
        self._chronicle.answered(invocation, watch, responded, done)
        for agent in agents:
            await generation.until(agent.at_next.future, deadline, seconds)
        memory = generation.peak_memory_mib()
        self._chronicle.reported(invocation, None, watch, init_ms=init_ms, runtime_done=done, memory=memory)
        generation.freeze()
        self.state = "frozen"

    async def _fail(self, invocation: Invocation, fault: Fault, watch: Stopwatch, init_ms: float | None) -> None:
        generation = self._generation
        assert generation is not None
        invocation.fault_type = fault.error_type
        memory = generation.peak_memory_mib()
        generation.kill_runtime()
        self._tell_cold_start(invocation)
        invocation.respond(fault.payload_for(invocation.request_id), "Unhandled")
        done = self._loop.time()
        self._chronicle.failed(invocation, fault, watch)
        await self._reset("timeout" if isinstance(fault, TimedOut) else "failure")
        self._chronicle.reported(invocation, fault, watch, init_ms=init_ms, runtime_done=done, memory=memory)

    async def _reset(self, reason: str) -> None:
        generation = self._generation
        assert generation is not None
        agents = generation.extensions.agents.values()
        budget = self._config.shutdown_timeout if any(agent.external for agent in agents) else 0.0
        if agents and not budget:
            budget = min(_INTERNAL_SHUTDOWN, self._config.shutdown_timeout)
        await generation.end(reason, budget, epoch_ms(budget))
        self._chronicle.listeners = None
        self._generation = None
        self._initialized = self._snapshot_waits = False
        self._init_ms = None
        self.state = "idle"

    def _sandbox(self) -> Sandbox:
        desk = self._desk
        return Sandbox(
            config=self._config,
            interpreter=desk.interpreter,
            opt=desk.opt,
            var_runtime=desk.var_runtime,
            lang_bin=desk.lang_bin,
            home=self._folder / "home",
            tmp_dir=self._tmp_dir,
            run_dir=self._run_dir,
            telemetry_port=self._telemetry_port,
            log_stream=self._log_stream,
            api=self._port.address,
            credentials_token=self._port.token,
        )


def _invoke_event(invocation: Invocation, deadline_ms: int) -> dict[str, object]:
    event: dict[str, object] = {
        "eventType": "INVOKE",
        "deadlineMs": deadline_ms,
        "requestId": invocation.request_id,
        "invokedFunctionArn": invocation.function_arn,
    }
    if invocation.trace_header:
        event["tracing"] = {"type": "X-Amzn-Trace-Id", "value": invocation.trace_header}
    return event
