"""Handing records to the collector: one append to a file each, and a bell that only wakes.

A file in `/tmp` has no reader to wait for, no `SIGPIPE`, no `EAGAIN`, and survives the reset after a timeout or crash.
Nothing here raises or blocks; what cannot be written is counted and said in a record of its own as soon as there is
room.
"""

from __future__ import annotations

import stat

# Bound here and now: a user's patch of `os.write` is not meant for our records, and not ours to suffer from.
from os import (
    O_APPEND,
    O_CLOEXEC,
    O_CREAT,
    O_NOFOLLOW,
    O_NONBLOCK,
    O_RDWR,
    close,
    dup2,
    fstat,
    ftruncate,
    makedirs,
    mkfifo,
    pread,
    write,
)
from os import open as open_file
from os import stat as stat_path

from . import encode
from .guard import swallowed

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Callable
    from os import stat_result

RECORDS = "records.jsonl"
BELL = "bell"


class Descriptor:
    """An open file that is still the one that was opened.

    The user's code may close every descriptor (a daemonised child does) and get the number for a file of its own: a
    number is used and closed only while device and inode are those that it was opened for.
    """

    __slots__ = ("number", "identity")

    def __init__(self) -> None:
        self.number = -1
        self.identity = (0, 0)

    def holds(self) -> bool:
        """Whether it is open and ours."""
        if self.number < 0:
            return False
        try:
            status = fstat(self.number)
        except OSError:
            self.number = -1
            return False
        if (status.st_dev, status.st_ino) == self.identity:
            return True
        self.number = -1
        return False

    def take(self, number: int, status: stat_result) -> None:
        """Hold another file from now on; a thread that writes meanwhile has the old one or the new one, none else."""
        if self.holds():
            dup2(number, self.number, inheritable=False)
            close(number)
        else:
            self.number = number
        self.identity = (status.st_dev, status.st_ino)

    def close(self) -> None:
        """Give it back."""
        if self.holds():
            close(self.number)
        self.number = -1


def _opened(path: str, run_dir: str, flags: int, wanted: Callable[[int], bool]) -> tuple[int, stat_result]:
    """Open without ever waiting (a pipe in a file's place would), and make sure of the kind; raises OSError."""
    flags |= O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW
    try:
        number = open_file(path, flags, 0o600)
    except FileNotFoundError:
        makedirs(run_dir, 0o700, exist_ok=True)
        number = open_file(path, flags, 0o600)
    status = fstat(number)
    if not wanted(status.st_mode):
        close(number)
        raise OSError(f"{path} is of another kind than ours")
    return number, status


class Outbox:
    """The append-only file of records in the run directory.

    Args:
        run_dir: the directory; made (mode 0700) when missing.
        max_bytes: the file's size from which records are dropped and counted, until the collector rotates it.
        max_record: a record larger than this many bytes is dropped and counted.
    """

    __slots__ = ("_path", "_run_dir", "_file", "_size", "_max_bytes", "_torn", "max_record", "dropped")

    def __init__(self, run_dir: str, max_bytes: int = 16 << 20, max_record: int = 1 << 20) -> None:
        self._run_dir = run_dir
        self._path = run_dir + "/" + RECORDS
        self._file = Descriptor()
        self._size = 0  # as far as we know: the beginning and what we wrote
        self._max_bytes = max_bytes
        self._torn = False
        self.max_record = max_record
        self.dropped: dict[str, int] = {}
        self._open()

    def _open(self) -> bool:
        try:
            number, status = _opened(self._path, self._run_dir, O_RDWR | O_APPEND | O_CREAT, stat.S_ISREG)
            unread = self._unread()
            self._file.take(number, status)
            self._size = status.st_size
            if unread:
                self._size += write(self._file.number, unread)
        except OSError as error:
            swallowed("send.open", error)
            return False
        return True

    def _unread(self) -> bytes:
        """What stands in a file that was wiped before anybody read it: a reader leaves an empty line as its mark."""
        if not self._file.holds():
            return b""
        status = fstat(self._file.number)
        if status.st_nlink or status.st_size != self._size:
            return b""
        return pread(self._file.number, self._size, 0)

    def follow(self) -> None:
        """Go on with the file that the path names: the collector has put another one there.

        A path that names nothing is a `/tmp` that the user wiped: the file that is open is the one that the collector
        reads.
        """
        try:
            status = stat_path(self._path)
        except OSError:
            if not self._file.holds():
                self._open()
            return
        if self._file.holds() and (status.st_dev, status.st_ino) == self._file.identity:
            self._size = status.st_size
            return
        self._open()

    def waits_for_reader(self) -> bool:
        """Whether something stands in the file that nobody need have read."""
        return self._file.holds() and fstat(self._file.number).st_size > 0

    def is_current(self) -> bool:
        """Whether the path still names the file that is open: the collector has put no other one there."""
        try:
            status = stat_path(self._path)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._file.identity

    def empty(self) -> int:
        """Throw away what stands in the file, and count it; returns how many records that were."""
        if not self._file.holds():
            return 0
        try:
            text = pread(self._file.number, fstat(self._file.number).st_size, 0)
            ftruncate(self._file.number, 0)
        except OSError:
            return 0
        self._size = 0
        lost = sum(1 for line in text.split(b"\n") if line)
        if lost:
            self.dropped["snapshot"] = self.dropped.get("snapshot", 0) + lost
        return lost

    def write(self, lines: bytes) -> bool:
        """Append one record, or several that belong together; whether they are in the kernel's hands whole."""
        size = len(lines)
        if size > self.max_record:
            return self._drop("record_too_large")
        if self._size + size > self._max_bytes:
            return self._drop("file_full")
        refused = self._append(lines)
        return self._drop(refused) if refused else True

    def note(self, line: bytes) -> None:
        """Append what may be missing: never counted, and never in the room that ended spans are going to need."""
        if len(line) <= self.max_record and (self._size + len(line)) * 2 <= self._max_bytes:
            self._append(line)

    def _append(self, lines: bytes) -> str:
        """Why it could not be written; empty when it was."""
        if not self._file.holds() and not self._open():
            return "no_file"
        if self._torn:
            lines = b"\n" + lines
        try:
            written = write(self._file.number, lines)
        except OSError:
            return "write_failed"
        self._size += written
        self._torn = written < len(lines)
        return "disk_full" if self._torn else ""

    def confess(self) -> None:
        """Write down what was dropped since the last time, as far as there is room."""
        dropped, self.dropped = self.dropped, {}
        for reason, count in dropped.items():
            before = dict(self.dropped)
            if not self.write(encode.dropped_record(reason, count)):
                self.dropped = before
                self.dropped[reason] = self.dropped.get(reason, 0) + count

    def _drop(self, reason: str) -> bool:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        return False

    def close(self) -> None:
        """Give the descriptor back."""
        self._file.close()


_outbox: Outbox | None = None


def use(outbox: Outbox | None) -> None:
    """Name the outbox of this process."""
    global _outbox
    _outbox = outbox


def append(line: bytes) -> bool:
    """Write one record to the outbox of this process; whether it is in the kernel's hands."""
    return _outbox is not None and _outbox.write(line)


class Bell:
    """The writing end of the pipe that wakes the collector; held open for the life of this process.

    Its end of file tells the collector that no function process is alive, so it is opened as early as possible and
    closed by the kernel alone, or in a forked child, which is not the function.
    """

    __slots__ = ("_file", "_path", "_run_dir")

    def __init__(self, run_dir: str) -> None:
        self._run_dir = run_dir
        self._path = run_dir + "/" + BELL
        self._file = Descriptor()
        try:
            self._make()
        except OSError as error:
            swallowed("send.bell", error)

    def _make(self) -> None:
        try:
            mkfifo(self._path, 0o600)
        except FileNotFoundError:
            makedirs(self._run_dir, 0o700, exist_ok=True)
            mkfifo(self._path, 0o600)
        except FileExistsError:
            pass
        # Reading and writing: such an open never waits for the other side, and a ring without a reader is no SIGPIPE.
        self._file.take(*_opened(self._path, self._run_dir, O_RDWR, stat.S_ISFIFO))

    def _replaced(self) -> bool:
        """Whether the path names another pipe: `/tmp` was wiped, and the collector has made a new one."""
        try:
            status = stat_path(self._path)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) != self._file.identity

    def ring(self, sound: bytes = b"i") -> None:
        """Wake the collector: an invocation is over. Never waits: a full pipe wakes it just as well."""
        try:
            if not self._file.holds() or self._replaced():
                self._make()
            write(self._file.number, sound)
        except OSError:
            return

    def close(self) -> None:
        """Give the descriptor back."""
        self._file.close()
