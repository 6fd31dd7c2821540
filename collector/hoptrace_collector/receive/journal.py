"""Keeps on disk what waits to be sent and stands in no records file, for the generation that follows a reset.

Spans that were made here, metrics, what others have sent, and what is left of a records file that has been rotated.
Appended to and never changed, entry by entry, each with a checksum: a put has the bytes and the destinations that they
are for, a done says which of them have had it. What is damaged is passed over, what follows it is found again. Once
nothing waits the file is emptied, and when half of it is of no use any more it is written anew.
"""

import json
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from hoptrace_collector.counters import Counters
from hoptrace_collector.model import Origin
from hoptrace_collector.receive.origins import origin_json, origin_of

__all__ = ["Journal", "Kept", "framed", "whole"]

_MAGIC = b"hopj"
_HEAD = struct.Struct(">4sIII")  # magic, checksum of what follows it, lengths of the two parts
_SLACK = 64 * 1024
_LONGEST_HEAD = 1024 * 1024


class Kept(NamedTuple):
    """Something encoded that waits, and the `destinations` that have not had it.

    A span that is not decided yet has the signal `held`, and the request id of its invocation.
    """

    signal: str
    origin: Origin | None
    amount: int
    data: bytes
    destinations: frozenset[str]
    request_id: str = ""


class Journal:
    """The file at `path`; of what waits it keeps `limit` bytes."""

    def __init__(self, path: str, limit: int, counters: Counters) -> None:
        self._path = path
        self._limit = limit
        self._counters = counters
        self._size = 0
        self._live = 0
        self._number = 0
        self._entries: dict[int, Kept] = {}
        self._pending: list[bytes] = []
        self._torn = False

    def load(self) -> dict[int, Kept]:
        """Read what waits, by number, in the order in which it was put. Never raises."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(descriptor, "rb") as file:
                data = file.read(4 * self._limit + _SLACK)
        except FileNotFoundError:
            return {}
        except OSError as error:
            self._counters.failed("journal", error)
            return {}
        entries: dict[int, Kept] = {}
        for head, body in whole(data, self._counters):
            match head:
                case ["put", int(number), str(signal), origin, int(amount), list(names), str(request_id)] if (
                    amount >= 0
                ):
                    known = origin_of(origin)
                    if known is not None or origin is None:
                        wanted = frozenset(name for name in names if isinstance(name, str))
                        entries[number] = Kept(signal, known, amount, body, wanted, request_id)
                        self._number = max(self._number, number)
                case ["done", int(number), list(names)] if number in entries:
                    left = entries[number].destinations.difference(name for name in names if isinstance(name, str))
                    entries[number] = entries[number]._replace(destinations=left)
                case _:
                    self._counters.add("records_skipped", "journal")
        self._size = len(data)
        self._entries = {number: kept for number, kept in entries.items() if kept.destinations}
        self._live = sum(_length(kept) for kept in self._entries.values())
        return dict(self._entries)

    def put(self, kept: Kept) -> int:
        """Note something that waits, to be written by `write`; returns its number, 0 when there is no room."""
        if self._live + _length(kept) > self._limit:
            return 0
        self._number += 1
        self._entries[self._number] = kept
        self._live += _length(kept)
        self._pending.append(_put(self._number, kept))
        return self._number

    def left(self, number: int, destinations: frozenset[str]) -> None:
        """Note which destinations something still waits for."""
        kept = self._entries.get(number)
        if kept is None or destinations == kept.destinations:
            return
        if destinations:
            self._entries[number] = kept._replace(destinations=destinations)
        else:
            del self._entries[number]
            self._live -= _length(kept)
        self._pending.append(framed(["done", number, sorted(kept.destinations - destinations)]))

    def had(self, name: str, numbers: Iterable[int]) -> bool:
        """Note that destination `name` has had these; tells whether there is anything to write."""
        for number in numbers:
            if (kept := self._entries.get(number)) is not None:
                self.left(number, kept.destinations - {name})
        return bool(self._pending)

    def write(self) -> None:
        """Write down what has been noted. Raises OSError."""
        if not self._entries:
            self._pending.clear()
            if self._size:
                os.truncate(self._path, 0)
                self._size = 0
            return
        data, whole = b"".join(self._pending), False
        self._pending.clear()
        if self._torn or self._size + len(data) > 2 * self._live + _SLACK:
            data, whole = b"".join(_put(number, kept) for number, kept in self._entries.items()), True
        if data:
            # Until it is written: what found no room on the disk is to be written with the next.
            self._torn = True
            self._append(data, whole=whole)
            self._torn = False

    def _append(self, data: bytes, *, whole: bool) -> None:
        path = self._path + ".new" if whole else self._path
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_TRUNC if whole else os.O_APPEND)
        descriptor = os.open(path, flags, 0o600)
        try:
            self._size = len(data) + (0 if whole else self._size)
            while data:
                data = data[os.write(descriptor, data) :]
        finally:
            os.close(descriptor)
        if whole:
            os.replace(path, self._path)


def whole(data: bytes, counters: Counters) -> Iterator[tuple[Any, bytes]]:
    """Hand out the head and the body of each entry that is whole; of what is not, the next beginning is looked for."""
    at = 0
    while at < len(data):
        found = _read(data, at)
        if found is not None:
            head, body, at = found
            yield head, body
            continue
        counters.add("records_skipped", "journal")
        at = data.find(_MAGIC, at + 1)
        if at < 0:
            return


def _read(data: bytes, at: int) -> tuple[Any, bytes, int] | None:
    if len(data) - at < _HEAD.size:
        return None
    magic, checksum, head_length, length = _HEAD.unpack_from(data, at)
    start = at + _HEAD.size
    end = start + head_length + length
    if magic != _MAGIC or head_length > _LONGEST_HEAD or end > len(data):
        return None
    if zlib.crc32(memoryview(data)[at + 8 : end]) != checksum:
        return None
    try:
        head = json.loads(data[start : start + head_length])
    except (ValueError, RecursionError):
        return None
    return head, data[start + head_length : end], end


def _put(number: int, kept: Kept) -> bytes:
    origin = origin_json(kept.origin) if kept.origin is not None else None
    head = ["put", number, kept.signal, origin, kept.amount, sorted(kept.destinations), kept.request_id]
    return framed(head, kept.data)


def framed(head: Iterable[Any], body: bytes = b"") -> bytes:
    """One entry with its checksum, of which `whole` finds the parts."""
    text = json.dumps(head).encode()
    rest = struct.pack(">II", len(text), len(body)) + text + body
    return _MAGIC + struct.pack(">I", zlib.crc32(rest)) + rest


def _length(kept: Kept) -> int:
    return len(kept.data) + 256
