"""A process of an environment: started in its own group, heard line by line, stopped, continued and reaped.

Reaping goes by pidfd on the host's loop, so that an exit is known at once and no thread waits for it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .guardian import Guardian
from .output import Frames, Lines, OutputPipe
from .signals import Signal

#: How Go's os package, and with it Lambda's messages, name the signals that end processes.
_SIGNAL_NAMES = {
    signal.SIGABRT: "aborted",
    signal.SIGBUS: "bus error",
    signal.SIGFPE: "floating point exception",
    signal.SIGHUP: "hangup",
    signal.SIGILL: "illegal instruction",
    signal.SIGINT: "interrupt",
    signal.SIGKILL: "killed",
    signal.SIGPIPE: "broken pipe",
    signal.SIGQUIT: "quit",
    signal.SIGSEGV: "segmentation fault",
    signal.SIGTERM: "terminated",
}


class ChildProcess:
    """One running process and everything in its process group."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        guardian: Guardian,
        on_line: Callable[[str], None],
        on_exit: Callable[[ChildProcess], None],
        log_descriptor: str | None = None,
    ) -> None:
        """Start it; raises `OSError` when it cannot be executed.

        `log_descriptor` names the variable that tells the runtime client where to write its framed log.
        """
        self._loop = asyncio.get_running_loop()
        self._on_exit = on_exit
        self._guardian = guardian
        self.exited = Signal()
        self.returncode: int | None = None
        environment = dict(env)
        output = OutputPipe(Lines(), on_line)
        self._pipes = [output]
        handed_down = []
        if log_descriptor is not None:
            log = OutputPipe(Frames(), on_line)
            self._pipes.append(log)
            handed_down.append(log.write_end)
            environment[log_descriptor] = str(log.write_end)
        try:
            self._popen = subprocess.Popen(
                argv,
                env=environment,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output.write_end,
                stderr=output.write_end,
                pass_fds=handed_down,
                process_group=0,
            )
        except BaseException:
            for pipe in self._pipes:
                pipe.finish()
            raise
        finally:
            for pipe in self._pipes:
                pipe.started()
        self.pid = self._popen.pid
        guardian.watch(self.pid)
        self._pidfd = os.pidfd_open(self.pid)
        self._loop.add_reader(self._pidfd, self._reap)

    @property
    def alive(self) -> bool:
        """Whether it still runs (or is stopped)."""
        return self.returncode is None

    @property
    def exit_text(self) -> str:
        """How it ended in Lambda's words, empty for a clean exit: `exit status 1`, `signal: killed`."""
        if not self.returncode:
            return ""
        if self.returncode > 0:
            return f"exit status {self.returncode}"
        number = -self.returncode
        try:
            return f"signal: {_SIGNAL_NAMES.get(signal.Signals(number), f'signal {number}')}"
        except ValueError:
            return f"signal: signal {number}"

    def signal_group(self, number: int) -> None:
        """Send a signal to the whole process group, unless the process was reaped: its number may be another's."""
        if self.alive:
            try:
                os.killpg(self.pid, number)
            except (ProcessLookupError, PermissionError):
                pass

    def signal(self, number: int) -> None:
        """Send a signal to the process alone."""
        if self.alive:
            os.kill(self.pid, number)

    def hear(self) -> None:
        """Take all that it has said so far."""
        for pipe in self._pipes:
            pipe.hear()

    def peak_memory(self) -> int:
        """Bytes of its largest resident set so far, 0 when it is gone."""
        try:
            with open(f"/proc/{self.pid}/status", "rb") as status:
                for line in status:
                    if line.startswith(b"VmHWM:"):
                        return int(line.split()[1]) * 1024
        except OSError:
            pass
        return 0

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.signal_group(signal.SIGKILL)  # whoever is left in the group ends with its leader
        self.returncode = self._popen.wait()
        for pipe in self._pipes:
            pipe.finish()
        self._guardian.forget(self.pid)
        self.exited.set()
        self._on_exit(self)
