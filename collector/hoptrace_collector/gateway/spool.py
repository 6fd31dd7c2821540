"""Keeps in files what could not be sent before the end, for the next start: whole, or not at all.

A file holds items of one signal after their checksum. It is there before the process ends, and goes when the
next process has taken it in.
"""

import os
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import count

from hoptrace_collector.counters import Counters
from hoptrace_collector.otlp_request import Part
from hoptrace_collector.pipeline.queue import Item
from hoptrace_collector.receive.cursor import write_atomically
from hoptrace_collector.receive.otlp import PATHS, Batch

__all__ = ["Spool"]

_HEAD = struct.Struct(">II")  # of an item: how many spans, points or records, and bytes
_FILE_BYTES = 4 * 1024 * 1024
_ENDING = ".hoptrace"


class Spool:
    """The files in `folder`; none where it is empty."""

    def __init__(self, folder: str, counters: Counters) -> None:
        self._folder = folder
        self._counters = counters
        self._numbers = count()

    def prepare(self) -> None:
        """Make the folder; raises OSError when it cannot be written to."""
        if self._folder:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            path = os.path.join(self._folder, ".writable")
            write_atomically(path, b"")
            os.unlink(path)

    def keep(self, signal: str, items: Iterable[Item]) -> list[Item]:
        """Write items of a signal; returns those that could not be."""
        left = list(items)
        while left and self._folder:
            some: list[Item] = []
            size = 0
            for item in left:
                if some and size + len(item.data) > _FILE_BYTES:
                    break
                some.append(item)
                size += len(item.data)
            data = b"".join(_HEAD.pack(item.amount, len(item.data)) + item.data for item in some)
            name = f"{time.time_ns():020}-{next(self._numbers):06}-{signal}{_ENDING}"
            try:
                write_atomically(os.path.join(self._folder, name), zlib.crc32(data).to_bytes(4, "big") + data)
            except OSError as error:
                self._counters.failed("spool", error)
                break
            del left[: len(some)]
        return left

    def give_back(self, put: Callable[[Batch], bool]) -> int:
        """Give what is kept to `put`, the oldest first, while it takes it; returns how many items that were."""
        given, full = 0, set()
        for path in self._files():
            if _signal(path) in full:
                continue
            batch = self._read(path)
            if batch is None:
                os.replace(path, path + ".unreadable")
                continue
            if not put(batch):
                full.add(batch.signal)
                continue
            given += len(batch.parts)
            os.unlink(path)
        return given

    def _files(self) -> list[str]:
        if not self._folder:
            return []
        names = sorted(name for name in os.listdir(self._folder) if name.endswith(_ENDING))
        return [os.path.join(self._folder, name) for name in names]

    def _read(self, path: str) -> Batch | None:
        signal = _signal(path)
        try:
            with open(path, "rb") as file:
                checksum, data = file.read(4), file.read()
            if signal in PATHS.values() and zlib.crc32(data).to_bytes(4, "big") == checksum:
                return Batch(signal, list(_parts(data)))
        except (OSError, struct.error) as error:
            self._counters.failed("spool", error)
            return None
        self._counters.say("spool", f"{path} is not what was written there; it is put aside and not sent")
        return None


def _signal(path: str) -> str:
    return path.removesuffix(_ENDING).rpartition("-")[2]


def _parts(data: bytes) -> Iterator[Part]:
    at = 0
    while at < len(data):
        amount, size = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        yield Part(data[at : at + size], amount)
        at += size
