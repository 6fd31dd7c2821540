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

_MAX_LINE = 256 * 1024


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
    ) -> None:
        """Start it; raises `OSError` when it cannot be executed."""
        self._loop = asyncio.get_running_loop()
        self._on_line = on_line
        self._on_exit = on_exit
        self._guardian = guardian
        self._rest = b""
        self.exited = Signal()
        self.returncode: int | None = None
        read_end, write_end = os.pipe()
        try:
            self._popen = subprocess.Popen(
                argv,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                process_group=0,
            )
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        self.pid = self._popen.pid
        guardian.watch(self.pid)
        os.set_blocking(read_end, False)
        self._output: int | None = read_end
        self._pidfd = os.pidfd_open(self.pid)
        self._loop.add_reader(read_end, self._read)
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
        """Send a signal to the whole process group."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            pass

    def signal(self, number: int) -> None:
        """Send a signal to the process alone."""
        if self.alive:
            self._popen.send_signal(number)

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

    def _read(self) -> bool:
        """Take what the pipe holds; false when it holds nothing now."""
        if self._output is None:
            return False
        try:
            data = os.read(self._output, 65536)
        except BlockingIOError:
            return False
        if not data:
            self._close_output()
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._on_line(line.decode("utf-8", "replace"))
        if len(self._rest) > _MAX_LINE:
            self._on_line(self._rest.decode("utf-8", "replace"))
            self._rest = b""
        return True

    def _close_output(self) -> None:
        if self._output is None:
            return
        self._loop.remove_reader(self._output)
        os.close(self._output)
        self._output = None
        if self._rest:
            self._on_line(self._rest.decode("utf-8", "replace"))
            self._rest = b""

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.returncode = self._popen.wait()
        while self._read():  # its last words are in the pipe already
            pass
        self.signal_group(signal.SIGKILL)
        self._close_output()
        self._guardian.forget(self.pid)
        self.exited.set()
        self._on_exit(self)
