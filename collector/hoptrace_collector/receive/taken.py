"""Remembers what a destination has taken the moment it has said so, until the cursor is written again.

The cursor is one file, written as a whole when somebody is done with sending. What is acknowledged before that would
be sent again by the generation that follows a kill. So each acknowledged batch is appended here, and once the cursor
knows of them the file is emptied. What stands here is true of a file of records for as long as that exists, so it does
no harm where the kill comes before the emptying.
"""

import os
from collections.abc import Sequence

from hoptrace_collector.counters import Counters
from hoptrace_collector.receive.journal import framed, whole
from hoptrace_collector.receive.records import Position

__all__ = ["Taken"]

_LARGEST = 16 * 1024 * 1024


class Taken:
    """The file at `path`. Places are an offset in the records file and a part of the line that begins there."""

    def __init__(self, path: str, counters: Counters) -> None:
        self._path = path
        self._counters = counters
        self._used = os.path.exists(path)

    def load(self, position: Position) -> list[tuple[str, tuple[int, int], tuple[int, ...]]]:
        """Return (destination, up to which place, which lines) of each batch of the file that `position` is in.

        Never raises: what is damaged is passed over, and sent again.
        """
        if not self._used:
            return []
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(descriptor, "rb") as file:
                data = file.read(_LARGEST)
        except OSError as error:
            self._counters.failed("taken", error)
            return []
        found = []
        for head, _ in whole(data, self._counters):
            match head:
                case [int(inode), int(fingerprint), str(name), int(offset), int(part), list(lines)]:
                    if (inode, fingerprint) == (position.inode, position.fingerprint):
                        found.append((name, (offset, part), tuple(line for line in lines if isinstance(line, int))))
                case _:
                    self._counters.add("records_skipped", "taken")
        return found

    def add(self, position: Position, name: str, place: tuple[int, int], lines: Sequence[int] = ()) -> None:
        """Note that destination `name` has had all up to `place`, and these lines. Raises OSError."""
        data = framed([position.inode, position.fingerprint, name, *place, list(lines)])
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._used = True
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)

    def clear(self) -> None:
        """Forget all: the cursor knows of it. Raises OSError."""
        if self._used:
            os.truncate(self._path, 0)
            self._used = False
