"""A demo's steps: each has a name, a spinner, a limit of time, and says so when it fails.

A failure names its step and brings the last lines of every log that was registered, because the process whose log it is
will be gone a moment later.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

TAIL = 15


class StepFailed(Exception):
    """A step did not work out; `step` is its name, `reason` one line, `tail` the last log lines."""

    def __init__(self, step: str, reason: str, tail: dict[str, list[str]]) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason
        self.tail = tail


class _OutOfTime(BaseException):
    """Not an Exception, because what it interrupts may retry on those."""


class Steps:
    """Runs steps one after the other and shows them on `console`."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.taken: list[tuple[str, float]] = []
        """Name and seconds of every step that was done."""
        self._console = console
        self._clock = clock
        self._logs: dict[str, Callable[[], str]] = {}

    def watch(self, name: str, read: Callable[[], str]) -> None:
        """Register a log that a failure shows the end of; `read` answers its text so far."""
        self._logs[name] = read

    @contextmanager
    def step(self, name: str, timeout: float) -> Iterator[None]:
        """Run the block as a step.

        Args:
            name: shown beside the spinner and in a failure.
            timeout: seconds; only enforced in the main thread, where a signal can interrupt whatever blocks.

        Raises:
            StepFailed: the block raised, or was not done in time.
        """
        begin = self._clock()
        try:
            with self._console.status(f"{name} …"), _limit(timeout):
                yield
        except _OutOfTime:
            self._fail(name, f"not done within {timeout:.0f} s", None)
        except Exception as error:
            self._fail(name, f"{error}" or type(error).__name__, error)
        seconds = self._clock() - begin
        self.taken.append((name, seconds))
        self._console.print(f"[green]✓[/] {name} [dim]{seconds:.1f} s[/]", highlight=False)

    def _fail(self, name: str, reason: str, cause: Exception | None) -> None:
        tail = {}
        for log, read in self._logs.items():
            try:
                lines = read().splitlines()[-TAIL:]
            except OSError as error:
                lines = [f"(cannot be read: {error})"]
            if lines:
                tail[log] = lines
        raise StepFailed(name, reason, tail) from cause


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise _OutOfTime

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
