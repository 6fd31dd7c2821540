"""Sends in a thread, for who must not wait: while a function works, or beside another destination."""

import threading
import time
from collections import deque
from collections.abc import Callable

__all__ = ["Courier"]


class Courier:
    """Does one thing after the other in a thread of its own, which begins with the first.

    `failed` hears of an error that something ended with.
    """

    def __init__(self, name: str, failed: Callable[[Exception], None]) -> None:
        self.name = name
        self.failed = failed
        self._jobs: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._busy = False

    @property
    def busy(self) -> bool:
        """Whether something is still to be done."""
        return self._busy or bool(self._jobs)

    def start(self, job: Callable[[], None]) -> bool:
        """Do `job` as soon as all before it is done; false, and it is not done, where no thread is to be had.

        The function and its extensions share the threads of an environment.
        """
        with self._changed:
            if self._thread is None:
                thread = threading.Thread(target=self._run, daemon=True, name=self.name)
                try:
                    thread.start()
                except RuntimeError:
                    return False
                self._thread = thread
            self._jobs.append(job)
            self._changed.notify_all()
        return True

    def wait(self, until: float) -> bool:
        """Wait until all is done, at most to `until` (a time of `time.monotonic`); tell whether it is."""
        with self._changed:
            while self.busy:
                left = until - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._jobs:
                    self._changed.wait()
                job = self._jobs.popleft()
                self._busy = True
            try:
                job()
            except Exception as error:  # the next one is still to be done
                self.failed(error)
            with self._changed:
                self._busy = False
                self._changed.notify_all()
