"""One generation of an environment: the processes between two resets, their APIs, and the first fault among them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from .extensions_api import ExtensionsApi
from .faults import Fault, TimedOut, extension_crash, extension_launch, out_of_memory, runtime_exit
from .guardian import Guardian
from .memory_watch import MemoryWatch
from .processes import ChildProcess
from .runtime_api import RuntimeApi
from .sandbox_env import Sandbox, extension_environment, runtime_environment
from .telemetry_api import TelemetryApi

#: Seconds that a runtime which said why it cannot begin is given to end by itself, as clients do.
_LEAVE = 0.2
#: Seconds between an exit and the fault it means: what the process said last is still on its way through a socket.
_LAST_WORDS = 0.003


class Generation:
    """Starts, freezes, thaws and ends the processes; `until` is how the life cycle waits for them."""

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        guardian: Guardian,
        session: aiohttp.ClientSession,
        on_line: Callable[[str, str, str], None],
        confine: Callable[[int], None] | None = None,
    ) -> None:
        """`on_line(category, name, line)` hears the output: category is `function` or `extension`.

        `confine` is told of each process that was started.
        """
        config = sandbox.config
        self._sandbox = sandbox
        self._guardian = guardian
        self._on_line = on_line
        self._confine = confine
        self._loop = asyncio.get_running_loop()
        self._fault: asyncio.Future[Fault] = self._loop.create_future()
        self._given_up: Fault | None = None
        self._ending = False
        self.runtime_process: ChildProcess | None = None
        self.extension_processes: dict[str, ChildProcess] = {}
        described = {"functionName": config.name, "functionVersion": config.version, "handler": config.handler}
        self.runtime = RuntimeApi(self._gave_up)
        self.extensions = ExtensionsApi(self.fail, described, config.account_id)
        self.telemetry = TelemetryApi(session)
        self._memory = MemoryWatch(
            config.memory * 1024 * 1024, lambda: (process.pid for process in self.processes), self._out_of_memory
        )

    @property
    def processes(self) -> list[ChildProcess]:
        """All processes that still run."""
        runtime = [] if self.runtime_process is None else [self.runtime_process]
        return [process for process in (*runtime, *self.extension_processes.values()) if process.alive]

    def fail(self, fault: Fault) -> None:
        """Something went wrong; the first fault is the one that counts."""
        if not self._fault.done():
            self._fault.set_result(fault)

    async def until(self, awaited: asyncio.Future[None], deadline: float, seconds: float) -> None:
        """Wait for something before the monotonic `deadline`; raises the first `Fault`, or `TimedOut(seconds)`."""
        if awaited.done():
            return
        limit = max(0.0, deadline - self._loop.time())
        either: set[asyncio.Future[Any]] = {awaited, self._fault}
        await asyncio.wait(either, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        if awaited.done():
            return
        if self._fault.done():
            raise self._fault.result()
        raise TimedOut(seconds)

    def launch_extensions(self) -> None:
        """Execute every file of `/opt/extensions`; raises `Fault` for one that cannot be executed."""
        folder = self._sandbox.opt / "extensions"
        files = sorted(path for path in folder.iterdir() if not path.is_dir()) if folder.is_dir() else []
        self.extensions.expect(frozenset(path.name for path in files))
        environment = extension_environment(self._sandbox)
        for path in files:
            try:
                self.extension_processes[path.name] = ChildProcess(
                    [str(path)],
                    env=environment,
                    cwd=Path("/"),
                    guardian=self._guardian,
                    on_line=partial(self._on_line, "extension", path.name),
                    on_exit=self._extension_exited,
                )
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise extension_launch(f"/opt/extensions/{path.name}", reason) from error
            if self._confine is not None:
                self._confine(self.extension_processes[path.name].pid)
        self._memory.on()

    def launch_runtime(self) -> None:
        """Start the runtime."""
        sandbox = self._sandbox
        command = [str(sandbox.interpreter.executable), "-S", str(sandbox.var_runtime / "bootstrap.py")]
        wrapper = sandbox.config.environment.get("AWS_LAMBDA_EXEC_WRAPPER")
        if wrapper:
            command.insert(
                0, str(sandbox.opt / wrapper.removeprefix("/opt/")) if wrapper.startswith("/opt/") else wrapper
            )
        try:
            self.runtime_process = ChildProcess(
                command,
                env=runtime_environment(sandbox),
                cwd=sandbox.config.code,
                guardian=self._guardian,
                on_line=partial(self._on_line, "function", sandbox.config.name),
                on_exit=self._runtime_exited,
                log_descriptor="_LAMBDA_TELEMETRY_LOG_FD",
            )
        except OSError as error:
            raise Fault("Runtime.InvalidEntrypoint", f"{command[0]}: {error.strerror}") from error
        if self._confine is not None:
            self._confine(self.runtime_process.pid)

    def freeze(self) -> None:
        """Stop everything, as Lambda does between invocations."""
        self.telemetry.freeze()
        self._memory.off()
        for process in self.processes:
            process.signal_group(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let everything go on."""
        for process in self.processes:
            process.signal_group(signal.SIGCONT)
        self._memory.on()
        self.telemetry.thaw()

    def hear_runtime(self) -> None:
        """Take what the runtime said before it asked for more: it belongs to the invocation that is over."""
        if self.runtime_process is not None:
            self.runtime_process.hear()

    def abandon(self) -> None:
        """The host is shut down while an invocation runs."""
        self.fail(Fault("Sandbox.Failure", "the local Lambda was shut down"))

    def peak_memory_mib(self) -> int:
        """MiB that all processes held at most, never more than the function may."""
        largest_sets = sum(process.peak_memory() for process in self.processes)
        return min(max(largest_sets, self._memory.peak) // (1024 * 1024), self._sandbox.config.memory)

    def kill_runtime(self) -> None:
        """End the runtime at once; its exit is no fault any more."""
        self._ending = True
        if self.runtime_process is not None:
            self.runtime_process.signal_group(signal.SIGKILL)

    async def end(self, reason: str, budget: float, deadline_ms: int) -> None:
        """Tell the extensions to shut down, give them until the budget (seconds) is over, and kill what is left."""
        self._ending = True
        deadline = self._loop.time() + budget
        self.thaw()
        self._memory.off()
        self.telemetry.flush()
        if reason == "spindown" and self.extensions.agents:
            await self._terminate_runtime(budget)
        self.kill_runtime()
        event = {"eventType": "SHUTDOWN", "shutdownReason": reason, "deadlineMs": deadline_ms}
        told = {agent.name for agent in self.extensions.subscribers("SHUTDOWN")}
        for agent in self.extensions.subscribers("SHUTDOWN"):
            agent.deliver(event)
        for name, process in self.extension_processes.items():
            if name not in told:
                process.signal_group(signal.SIGKILL)
        await self._gone(deadline)
        for process in self.processes:
            process.signal_group(signal.SIGKILL)
        await self._gone(self._loop.time() + 10)
        self.runtime.close()
        self.extensions.close()
        self.telemetry.close()

    async def _terminate_runtime(self, budget: float) -> None:
        if self.runtime_process is not None and self.runtime_process.alive:
            self.runtime_process.signal(signal.SIGTERM)
            await asyncio.wait({self.runtime_process.exited.future}, timeout=0.3 * budget)

    async def _gone(self, deadline: float) -> None:
        exits = {process.exited.future for process in self.processes}
        if exits:
            await asyncio.wait(exits, timeout=max(0.0, deadline - self._loop.time()))

    def _out_of_memory(self, root: int) -> None:
        if self.runtime_process is not None and root == self.runtime_process.pid:
            self.fail(out_of_memory())
        for process in self.processes:
            if process.pid == root:  # an extension's end is a crash like any other
                process.signal_group(signal.SIGKILL)

    def _gave_up(self, fault: Fault) -> None:
        self._given_up = self._given_up or fault
        self._loop.call_later(_LEAVE, self.fail, fault)

    def _runtime_exited(self, process: ChildProcess) -> None:
        if self._given_up is not None:
            self.fail(self._given_up)
        elif not self._ending:
            self._loop.call_later(_LAST_WORDS, self.fail, runtime_exit(process.exit_text))

    def _extension_exited(self, process: ChildProcess) -> None:
        if not self._ending:
            self._loop.call_later(_LAST_WORDS, self.fail, extension_crash(process.exit_text))


def make_run_folders(folder: Path) -> tuple[Path, Path]:
    """The environment's `/tmp` and the run directory's path in it, which is left for others to make."""
    tmp_dir = folder / "tmp"
    tmp_dir.mkdir(parents=True, exist_ok=True)
    os.chmod(tmp_dir, 0o700)
    return tmp_dir, tmp_dir / ".hoptrace"
