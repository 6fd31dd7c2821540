"""Waits for the tracer's ring: the byte `i` in a named pipe each time an invocation is over.

The byte `s` asks for everything to be sent, because a snapshot is about to be taken. Other bytes are none: `o` wants
the port for OTLP, which is open when this process runs.

No clock ticks while waiting. End of file is as good as a ring: nobody holds the writing end, so there is no function
process that could still write.
"""

import os
import select
import stat
import time

__all__ = ["Bell", "prepare"]

RUNG, GONE, LATE = "rung", "gone", "late"


def prepare(run_dir: str) -> str:
    """Make the run directory (mode 0700) and the pipe unless they are there; return the pipe's path. Raises OSError."""
    os.makedirs(run_dir, mode=0o700, exist_ok=True)
    path = os.path.join(run_dir, "bell")
    try:
        os.mkfifo(path, 0o600)
    except FileExistsError:
        if not stat.S_ISFIFO(os.lstat(path).st_mode):
            raise
    return path


class Bell:
    """The reading end. Raises OSError when `path` cannot be opened.

    `descriptor` is the pipe as the shell opened it: the path may name it no longer.
    """

    def __init__(self, path: str, descriptor: int | None = None) -> None:
        self._path = path
        self._snapshot = False
        if descriptor is not None and stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            os.set_blocking(descriptor, False)
            os.set_inheritable(descriptor, False)
            self._descriptor = descriptor
        else:
            self._descriptor = self._open()

    def _open(self) -> int:
        return os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)

    def wait(self, seconds: float) -> str:
        """Wait at most `seconds`; return `rung`, `gone` (nobody could ring) or `late`.

        Rings that were waiting are all taken at once.
        """
        self._follow()
        heard = self._take()
        if heard:
            return heard
        end = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while (left := end - time.monotonic()) > 0:
            poll.poll(left * 1000)
            heard = self._take()
            if heard:
                return heard
        return LATE

    def clear(self) -> None:
        """Forget rings that nobody waited for."""
        self._take()

    def snapshot_wanted(self) -> bool:
        """Whether it has been asked, since the last call, to get ready for a snapshot."""
        self._follow()
        self._take()
        wanted, self._snapshot = self._snapshot, False
        return wanted

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._descriptor)

    def _take(self) -> str:
        heard = ""
        while True:
            try:
                data = os.read(self._descriptor, 4096)
            except BlockingIOError:
                return heard
            if not data:
                return heard or GONE
            if b"i" in data:
                heard = RUNG
            if b"s" in data:
                self._snapshot = True

    def _follow(self) -> None:
        """Open the pipe anew when the path names another one: the tracer makes it again when `/tmp` was wiped."""
        try:
            there = os.stat(self._path)
        except OSError:
            return
        if stat.S_ISFIFO(there.st_mode) and there.st_ino != os.fstat(self._descriptor).st_ino:
            descriptor = self._open()
            os.close(self._descriptor)
            self._descriptor = descriptor
