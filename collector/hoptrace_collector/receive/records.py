"""Reads the tracer's records file as it grows, is rotated, wiped, truncated or torn.

The reader owns three things: which file the path names now, how far each open file has been read, and the order of
what it hands out. It never raises for what stands in the file; a line that is no JSON object is counted and skipped.
"""

import json
import os
import stat
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from hoptrace_collector.counters import Counters

__all__ = ["HELD", "ROTATE_AT", "ROTATE_BEHIND", "RULE", "SHARE", "Line", "Mark", "Position", "RecordReader"]

PROTOCOL = 1
ROTATE_AT = 1024 * 1024
ROTATE_BEHIND = 4 * 1024 * 1024
LONGEST_LINE = 4 * 1024 * 1024
OLD_FILES = 4
_MOST_FILES = 64
_CHUNK = 256 * 1024
_FINGERPRINT = 128


# What has been decided about a span that waits: nothing yet, or that it is kept, by a rule or by its chance.
HELD, RULE, SHARE = "held", "rule", "share"


class Mark(NamedTuple):
    """Where something stands: the number of the file since this process began, the line's first byte, and which of
    the things that the line holds it is.

    `decided` is for what is sampled: how it came to be kept.
    """

    file: int
    offset: int
    decided: str = RULE
    part: int = 0


class Position(NamedTuple):
    """How far a file has been read, so that another process can go on there.

    `fingerprint` is a checksum of the file's first bytes: an inode number is given out again as soon as its file is
    gone. `inode` 0 stands for a file that no longer has a name.
    """

    inode: int
    offset: int
    fingerprint: int = 0


class Line(NamedTuple):
    """One record as written. `seen` says that an earlier generation has already counted it."""

    mark: Mark
    record: dict[str, Any]
    seen: bool


class RecordReader:
    """Follows the file at `path`, beginning at `start` when that is the file which `start` speaks of."""

    def __init__(
        self,
        path: str,
        counters: Counters,
        start: Position | None = None,
        seen_to: int = 0,
        descriptor: int | None = None,
    ) -> None:
        """`seen_to`: lines of that first file that begin before this offset are handed out as seen.

        `descriptor`: the file as the shell opened it; the path may name it no longer.
        """
        self._path = path
        self._counters = counters
        self._start = start
        self._seen_to = seen_to
        self._files: list[_File] = []
        self._number = 0
        # The oldest file that somebody may still write to, as far as that is known: until then it stays open.
        self.needed = 0
        # Whether the first file is the one that an earlier generation has read.
        self.resumed = False
        if descriptor is not None:
            self._adopt(descriptor)

    @property
    def position(self) -> Position:
        """How far the file that the path names has been read."""
        if not self._files or not self._files[-1].named or not self._is_there():
            return Position(0, 0)
        return self._files[-1].position

    def _is_there(self) -> bool:
        """Whether the path still names the last file: the user's code may have wiped it."""
        try:
            return os.lstat(self._path).st_ino == self._files[-1].inode
        except OSError:
            return False

    def position_at(self, offset: int) -> Position:
        """The position in the file that the path names, were it read up to `offset` only."""
        return self._files[-1].position_at(offset)

    @property
    def seen_to(self) -> int:
        """Up to where this or an earlier generation has read the file that the path names."""
        earlier = self._seen_to if self.file == 1 else 0
        return max(self.position.offset, earlier if self.position.inode else 0)

    @property
    def file(self) -> int:
        """The number of the file that the path names, as it stands in its lines' marks."""
        return self._files[-1].number if self._files else 0

    def lines(self) -> Iterator[Line]:
        """Hand out every whole line that has not been handed out, oldest file first.

        What was handed out is done: leaving the loop early loses nothing, the next call goes on after it.
        """
        self._follow()
        self._let_go()
        for file in list(self._files):
            try:
                for offset, data in file.lines(self._counters):
                    record = _parse(data)
                    if record is None:
                        self._counters.add("records_skipped", "malformed")
                        continue
                    if record.get("v", PROTOCOL) != PROTOCOL:
                        self._counters.add("records_skipped", "version")
                        self._counters.say(
                            "protocol", "the function's hoptrace writes a newer protocol; use a layer of its version"
                        )
                        continue
                    yield Line(Mark(file.number, offset), record, file.number == 1 and offset < self._seen_to)
            except OSError as error:
                self._counters.failed("reading records", error)

    def rotate(self, *, at: int = ROTATE_AT) -> None:
        """Put an empty file in the place of one of which more than `at` bytes have been read to its end.

        The tracer sees at the next invocation that the path names another file and opens that; what it still writes
        until then is read by the descriptor that stays open here. What waits to be sent is in no file then. The marks
        tell it that the old one has a reader: else it would carry over all that stands there, as from a wiped file. The
        first mark may be known to it by its last look at the path, the second cannot.
        """
        if not self._files or not (file := self._files[-1]).named:
            return
        if file.offset > at and file.read_to_end():
            fresh = self._path + ".new"
            try:
                descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
                os.close(descriptor)
                descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
                try:
                    os.write(descriptor, b"\n")
                    os.rename(fresh, self._path)
                    os.write(descriptor, b"\n")
                finally:
                    os.close(descriptor)
            except OSError:
                return
            file.named = False

    def close(self) -> None:
        """Close every descriptor."""
        for file in self._files:
            os.close(file.descriptor)
        self._files = []

    def _follow(self) -> None:
        """Open the file that the path names, unless it is the one that is open."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            if self._files:
                self._files[-1].named = False  # wiped: read on, but nobody else will find it
            return
        except OSError as error:
            self._counters.failed("opening records", error)
            return
        self._adopt(descriptor, mark=True)

    def _adopt(self, descriptor: int, *, mark: bool = False) -> None:
        """Read this file from now on, unless it is the one that is being read, or none."""
        try:
            status = os.fstat(descriptor)
        except OSError:
            return
        current = self._files[-1] if self._files else None
        if not stat.S_ISREG(status.st_mode) or (current is not None and current.inode == status.st_ino):
            os.close(descriptor)
            return
        os.set_inheritable(descriptor, False)
        if mark:
            try:
                os.write(descriptor, b"\n")  # a writer whose file is wiped sees by it that the file has a reader
            except OSError:
                pass  # a full disk can still be read
        if current is not None:
            current.named = False
        self._number += 1
        file = _File(descriptor, status.st_ino, self._number)
        if self._number == 1 and self._start is not None:
            self.resumed = file.resume(self._start)
        if not self.resumed:
            self._seen_to = 0
            # What an earlier generation has left is said of file 1, and this is another.
            self._number = file.number = max(2, self._number)
        self._files.append(file)

    def _let_go(self) -> None:
        """Close the oldest files, of which nobody is known to write to any more."""
        while len(self._files) > OLD_FILES + 1:
            needed = self.needed and self._files[0].number >= self.needed
            if needed and len(self._files) <= _MOST_FILES:
                return
            os.close(self._files.pop(0).descriptor)


class _File:
    """One open file: `offset` is the first byte that has not been handed out."""

    __slots__ = ("descriptor", "inode", "named", "number", "offset", "skipping")

    def __init__(self, descriptor: int, inode: int, number: int) -> None:
        self.descriptor = descriptor
        self.inode = inode
        self.number = number
        self.offset = 0
        self.named = True
        self.skipping = False

    @property
    def position(self) -> Position:
        return self.position_at(self.offset)

    def position_at(self, offset: int) -> Position:
        return Position(self.inode, offset, self._fingerprint(offset))

    def resume(self, start: Position) -> bool:
        """Go on at `start` if this is the file it speaks of."""
        size = os.fstat(self.descriptor).st_size
        if start.inode != self.inode or not 0 <= start.offset <= size:
            return False
        if start.fingerprint != self._fingerprint(start.offset):
            return False
        self.offset = start.offset
        return True

    def read_to_end(self) -> bool:
        return os.fstat(self.descriptor).st_size <= self.offset

    def _fingerprint(self, offset: int) -> int:
        return zlib.crc32(os.pread(self.descriptor, min(_FINGERPRINT, offset), 0)) if offset else 0

    def lines(self, counters: Counters) -> Iterator[tuple[int, bytes]]:
        """Hand out (offset, line) of each line that is whole and not empty."""
        if os.fstat(self.descriptor).st_size < self.offset:
            counters.add("records_skipped", "truncated")
            self.offset, self.skipping = 0, False
        rest = b""
        while chunk := os.pread(self.descriptor, _CHUNK, self.offset + len(rest)):
            data, begin = rest + chunk, 0
            searched = len(rest)
            while (end := data.find(b"\n", max(begin, searched))) >= 0:
                at, self.offset = self.offset, self.offset + end + 1 - begin
                if self.skipping:
                    self.skipping = False
                elif end > begin:
                    yield at, data[begin:end]
                begin = end + 1
            rest = data[begin:]
            if len(rest) > LONGEST_LINE or self.skipping:
                if not self.skipping:
                    counters.add("records_skipped", "too_long")
                self.skipping = True
                self.offset += len(rest)
                rest = b""


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
