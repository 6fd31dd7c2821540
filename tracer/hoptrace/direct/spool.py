"""The records that wait for the backend, in files that outlive this process.

A function that times out is killed with whatever it holds in memory; its records are in a file by then, and the next
process of the environment sends them. Whose file is whose tells a lock that dies with its process, and how much of one
is sent stands in its name, since a rename is whole or not at all. Outside Lambda the file has no name: what a process
of the desk leaves is not for another's backend.
"""

from __future__ import annotations

import os
import stat

from ..guard import guard, swallowed
from ..send import Outbox

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "direct-"
_SUFFIX = ".jsonl"
_ROTATE = 1 << 20  # bytes that are sent and still in the file, from which it is worth a new one
_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


class Source:
    """One file of records, and how far it has been sent.

    Attributes:
        offset: bytes of it that are sent.
        finished: whether nobody writes to it any more.
        orphan: whether the process that wrote it is dead, so that what it began never came back.
    """

    __slots__ = ("_path", "finished", "fd", "offset", "orphan")

    def __init__(self, fd: int, path: str, offset: int = 0, *, orphan: bool = False) -> None:
        self.fd = fd
        self._path = path
        self.offset = offset
        self.finished = orphan
        self.orphan = orphan

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return os.fstat(self.fd).st_size

    def read(self, limit: int) -> bytes:
        """Whole lines that are not sent yet, about `limit` bytes of them; of a finished file also a torn last one."""
        text = os.pread(self.fd, limit, self.offset)
        end = text.rfind(b"\n") + 1
        if not end and len(text) == limit:  # one line is longer than that
            return self.read(limit * 2)
        return text if self.finished and len(text) < limit else text[:end]

    def sent(self, count: int) -> None:
        """So many more bytes need not be read again."""
        self.offset += count
        if self._path:
            path = _named(self._path, self.offset)
            try:
                os.rename(self._path, path)
            except OSError:  # the user wiped `/tmp`: the file lives on without a name
                path = ""
            self._path = path

    def remove(self) -> None:
        """Everything is sent: the file goes."""
        if self._path:
            try:
                os.unlink(self._path)
            except OSError:
                pass
        os.close(self.fd)


class Spool(Outbox):
    """An outbox whose records are read back by this process, or by the next one of the environment.

    Args:
        max_bytes: of records that wait; beyond that they are dropped and counted.
        keep: whether the next process may find them.
    """

    __slots__ = ("_keep", "_left", "_pid", "_place", "_waiting", "current")

    def __init__(self, run_dir: str, max_bytes: int, max_record: int = 1 << 20, *, keep: bool) -> None:
        self._keep = keep
        self._place = run_dir
        self._waiting = max_bytes
        self._pid = 0
        self._left: list[Source] = []
        self.current: Source | None = None
        super().__init__(run_dir, max_bytes, max_record)

    def _open(self) -> bool:
        """A new file, of a name that nobody else has."""
        self._pid = os.getpid()
        self.current = None
        try:
            os.makedirs(self._place, 0o700, exist_ok=True)
            path = _named(f"{self._place}/{_PREFIX}{os.urandom(6).hex()}.0{_SUFFIX}", 0)
            number = os.open(path, _FLAGS | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
            if not self._keep:
                os.unlink(path)
                path = ""
            self._file.take(number, os.fstat(number))
            if self._keep:
                # After `take`, which may have moved it: closing any descriptor of a file gives the lock up.
                os.lockf(self._file.number, os.F_TLOCK, 0)
        except OSError as error:
            swallowed("direct.spool", error)
            return False
        self._size = 0
        self.current = Source(self._file.number, path)
        return True

    def follow(self) -> None:
        """A forked child that serves invocations gets a file of its own; and what is sent makes room."""
        if self._pid != os.getpid():
            self._file.close()  # the parent's, whose records stay its own
            self._left = []
            self._open()
        if self.current is not None and self._file.holds():
            self._size = self.current.size - self.current.offset

    def empty(self) -> int:
        """Throw away what has not been sent, and count it; returns how many records that were."""
        lost = 0
        for source in self.sources():
            lost += sum(1 for line in os.pread(source.fd, source.size, source.offset).split(b"\n") if line)
            if source is not self.current:
                source.remove()
        self._left = []
        if self.current is not None and self._file.holds():
            self.current.remove()
            self._file.number = -1
            self._open()
        if lost:
            self.dropped["snapshot"] = self.dropped.get("snapshot", 0) + lost
        return lost

    def sources(self) -> Iterator[Source]:
        """What is to be sent, the oldest first."""
        yield from list(self._left)
        if self.current is not None and self._file.holds():
            yield self.current

    def done(self, source: Source) -> None:
        """Everything of a source is sent."""
        if source is not self.current:
            self._left.remove(source)
            source.remove()
        elif source.offset >= _ROTATE:
            self._rotate(source)
        else:
            self._size = source.size - source.offset

    def _rotate(self, source: Source) -> None:
        """Go on in a new file; what a thread may have put into the old one meanwhile is read from there."""
        source.fd = os.dup(source.fd)
        source.finished = True
        if self._open():
            self._left.append(source)
        else:
            os.close(source.fd)

    def adopt(self) -> int:
        """Take over what processes have left that are dead; returns how many files were over the bound and removed."""
        found = []
        for entry in os.scandir(self._place):
            offset = _offset(entry.name)
            if offset < 0 or (self.current is not None and entry.inode() == self._file.identity[1]):
                continue
            with guard("direct.adopt"):
                source = _adopted(entry.path, offset)
                if source is not None:
                    found.append((os.fstat(source.fd).st_mtime_ns, source))
        found.sort(key=lambda pair: pair[0], reverse=True)
        room, removed = self._waiting, 0
        for _, source in found:
            room -= source.size - source.offset
            if room < 0:
                source.remove()
                removed += 1
            else:
                self._left.insert(0, source)
        return removed

    def close(self) -> None:
        """Give the descriptors back, and leave no empty file behind."""
        current = self.current
        self.current = None
        if current is not None and self._file.holds():
            if current.offset >= current.size:
                current.remove()
                self._file.number = -1
            else:
                super().close()


def _adopted(path: str, offset: int) -> Source | None:
    """A dead process's file; `None` for one whose owner lives, or that is none of ours."""
    try:
        fd = os.open(path, _FLAGS | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid():
            raise OSError
        os.lockf(fd, os.F_TLOCK, 0)
    except OSError:
        os.close(fd)
        return None
    return Source(fd, path, min(offset, status.st_size), orphan=True)


def _named(path: str, offset: int) -> str:
    """The path with another offset: `direct-0123456789ab.42.jsonl`."""
    stem = path[: -len(_SUFFIX)].rpartition(".")[0]
    return f"{stem}.{offset}{_SUFFIX}"


def _offset(name: str) -> int:
    """What stands in a name; -1 when it is none of ours."""
    if not name.startswith(_PREFIX) or not name.endswith(_SUFFIX):
        return -1
    digits = name[: -len(_SUFFIX)].rpartition(".")[2]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else -1
