"""What processes say: lines on stdout and stderr, and the runtime client's own log in frames with clear borders.

The frames are those of the managed runtimes' log descriptor: type, length, time in microseconds, message.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Callable
from typing import Protocol

_MAX_LINE = 256 * 1024
_HEADER = struct.Struct(">IIQ")


class Splitter(Protocol):
    """Cuts a stream into messages."""

    def feed(self, data: bytes) -> list[str]:
        """The messages that these bytes complete."""

    def rest(self) -> list[str]:
        """What is left when the stream ends."""


class Lines:
    """Messages are lines; one without an end is cut at 256 KiB, as Lambda cuts log events."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that these bytes complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _MAX_LINE:
            lines.append(self._rest)
            self._rest = b""
        return [line.decode("utf-8", "replace") for line in lines]

    def rest(self) -> list[str]:
        """The last line, when nothing ended it."""
        last, self._rest = self._rest, b""
        return [last.decode("utf-8", "replace")] if last else []


class Frames:
    """Messages are frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The messages of the frames that these bytes complete."""
        self._rest += data
        messages = []
        while len(self._rest) >= _HEADER.size:
            _, length, _ = _HEADER.unpack_from(self._rest)
            end = _HEADER.size + length
            if len(self._rest) < end:
                break
            messages.append(self._rest[_HEADER.size : end].decode("utf-8", "replace").removesuffix("\n"))
            self._rest = self._rest[end:]
        return messages

    def rest(self) -> list[str]:
        """A torn frame is dropped."""
        self._rest = b""
        return []


class OutputPipe:
    """A pipe whose read end is heard on the loop; `write_end` is for the child and closed after its start."""

    def __init__(self, splitter: Splitter, on_message: Callable[[str], None]) -> None:
        self._splitter = splitter
        self._on_message = on_message
        self._loop = asyncio.get_running_loop()
        read_end, self.write_end = os.pipe()
        os.set_blocking(read_end, False)
        self._read_end: int | None = read_end
        self._loop.add_reader(read_end, self._read)

    def started(self) -> None:
        """The child has its copy of the write end."""
        os.close(self.write_end)

    def hear(self) -> None:
        """Take what the pipe holds now."""
        while self._read():
            pass

    def finish(self) -> None:
        """The writer is gone: take what the pipe still holds and close it, even if a grandchild has it open."""
        self.hear()
        self._close()

    def _read(self) -> bool:
        if self._read_end is None:
            return False
        try:
            data = os.read(self._read_end, 65536)
        except BlockingIOError:
            return False
        if not data:
            self._close()
            return False
        for message in self._splitter.feed(data):
            self._on_message(message)
        return True

    def _close(self) -> None:
        if self._read_end is None:
            return
        self._loop.remove_reader(self._read_end)
        os.close(self._read_end)
        self._read_end = None
        for message in self._splitter.rest():
            self._on_message(message)
