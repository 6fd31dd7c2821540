"""Handing records to the collector: one append to a file each, and a bell that only wakes.

A file in `/tmp` has no reader to wait for, no `SIGPIPE`, no `EAGAIN`, and survives the reset after a timeout or crash.
Nothing here raises or blocks; what cannot be written is counted and said in a record of its own as soon as there is
room.
"""

import os
import stat

from . import encode
from .guard import say, swallowed

RECORDS = "records.jsonl"
BELL = "bell"

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Outbox:
    """The append-only file of records in the run directory.

    Args:
        run_dir: the directory; made (mode 0700) when missing.
        max_bytes: the file's size from which records are dropped and counted, until the collector rotates it.
        max_record: a record larger than this many bytes is dropped and counted.
    """

    __slots__ = ("_fd", "_inode", "_max_bytes", "_max_record", "_path", "_run_dir", "_size", "_torn", "dropped")

    def __init__(self, run_dir: str, max_bytes: int = 64 << 20, max_record: int = 1 << 20) -> None:
        self._run_dir = run_dir
        self._path = run_dir + "/" + RECORDS
        self._fd = -1
        self._inode = (0, 0)
        self._size = 0
        self._max_bytes = max_bytes
        self._max_record = max_record
        self._torn = False
        self.dropped: dict[str, int] = {}
        self._open()

    def _open(self) -> None:
        try:
            try:
                fd = os.open(self._path, _FLAGS, 0o600)
            except FileNotFoundError:
                os.makedirs(self._run_dir, 0o700, exist_ok=True)
                fd = os.open(self._path, _FLAGS, 0o600)
            status = os.fstat(fd)
        except OSError as error:
            swallowed("send.open", error)
            return
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._inode, self._size = fd, (status.st_dev, status.st_ino), status.st_size

    def follow(self) -> None:
        """Open the file anew when the path no longer names it: the collector rotated, or `/tmp` was wiped."""
        try:
            status = os.stat(self._path)
            if (status.st_dev, status.st_ino) == self._inode:
                self._size = status.st_size
                return
        except OSError:
            pass
        self._open()

    def write(self, line: bytes) -> bool:
        """Append one record; whether it is in the kernel's hands whole."""
        size = len(line)
        if size > self._max_record:
            return self._drop("record_too_large")
        if self._size + size > self._max_bytes:
            return self._drop("file_full")
        if self._fd < 0:
            return self._drop("no_file")
        if self._torn:
            line = b"\n" + line
        try:
            written = os.write(self._fd, line)
        except OSError:
            return self._drop("write_failed")
        self._size += written
        self._torn = written < len(line)
        if self._torn:
            return self._drop("disk_full")
        return True

    def confess(self) -> None:
        """Write down what was dropped since the last time."""
        dropped, self.dropped = self.dropped, {}
        for reason, count in dropped.items():
            if not self.write(encode.dropped_record(reason, count)):
                self.dropped[reason] = self.dropped.get(reason, 0) + count - 1

    def _drop(self, reason: str) -> bool:
        count = self.dropped.get(reason, 0)
        self.dropped[reason] = count + 1
        return False

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Bell:
    """The writing end of the pipe that wakes the collector; held open for the life of this process.

    Its end of file tells the collector that no function process is alive, so it is opened as early as possible and
    closed by the kernel alone.
    """

    __slots__ = ("_fd",)

    def __init__(self, run_dir: str) -> None:
        self._fd = -1
        path = run_dir + "/" + BELL
        try:
            try:
                os.mkfifo(path, 0o600)
            except FileNotFoundError:
                os.makedirs(run_dir, 0o700, exist_ok=True)
                os.mkfifo(path, 0o600)
            except FileExistsError:
                pass
            # Reading and writing: such an open never waits for the other side, and a ring without a reader is no
            # SIGPIPE.
            fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
            if not stat.S_ISFIFO(os.fstat(fd).st_mode):
                os.close(fd)
                say(f"{path} is not a pipe; the collector wakes at each invocation's deadline only")
                return
        except OSError as error:
            swallowed("send.bell", error)
            return
        self._fd = fd

    def ring(self) -> None:
        """Wake the collector: an invocation is over. Never waits: a full pipe wakes it just as well."""
        if self._fd >= 0:
            try:
                os.write(self._fd, b"i")
            except OSError:
                return

    def close(self) -> None:
        """Give the descriptor back; for tests."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
