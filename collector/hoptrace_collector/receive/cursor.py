"""Remembers on disk what has been sent, for the generation of the collector that follows a reset.

Lambda kills the extension with the function when an invocation times out or crashes, and starts both anew; `/tmp`
stays. What the next generation needs is more than an offset: how far each destination has been sent to, and the
invocations that were open, since their beginnings lie before the offset. What waits and is in no file has a file of its
own (`journal`).
"""

import json
import os
import zlib
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from hoptrace_collector.model import Origin
from hoptrace_collector.receive.origins import origin_json, origin_of
from hoptrace_collector.receive.records import HELD, RULE, SHARE, Position

__all__ = ["Cursor", "load", "save", "write_atomically"]

CLOSED_LIMIT = 600
_CHECKSUM = 8
_LARGEST = 64 * 1024 * 1024


class Cursor(NamedTuple):
    """What one generation leaves to the next.

    `position` is where reading goes on, `seen_to` up to where metrics and alerts have taken notice, `sent` up to which
    line, and which part of it, each destination has been sent to; `origin` the last resource and scope, `opened` the
    begin records without an end, `closed` the ids (hex) of spans that were closed in the function's stead. Where
    somebody samples, `pending` has what waits in the file: the offset of each line, and what was decided about it;
    `had` has those of them that one destination has been sent and another has not.
    """

    position: Position = Position(0, 0)
    seen_to: int = 0
    sent: tuple[tuple[str, int, int], ...] = ()
    origin: Origin | None = None
    opened: tuple[dict[str, Any], ...] = ()
    closed: tuple[str, ...] = ()
    pending: tuple[tuple[int, str], ...] | None = None
    had: tuple[tuple[str, tuple[int, ...]], ...] = ()


def load(path: str) -> Cursor:
    """Read what `save` wrote; a missing or damaged file gives an empty cursor. Never raises."""
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST)
        checksum, body = data[: _CHECKSUM + 1], data[_CHECKSUM + 1 :]
        if checksum != _checksum(body):
            return Cursor()
        value = json.loads(body)
        return _parsed(value) if isinstance(value, dict) else Cursor()
    except (OSError, ValueError, RecursionError):
        return Cursor()


def save(path: str, cursor: Cursor) -> None:
    """Write the cursor so that a reader finds the old one or the new one, never half. Raises OSError."""
    value = {
        "inode": cursor.position.inode,
        "offset": cursor.position.offset,
        "fingerprint": cursor.position.fingerprint,
        "seen_to": cursor.seen_to,
        "sent": cursor.sent,
        "origin": origin_json(cursor.origin) if cursor.origin is not None else None,
        "open": cursor.opened,
        "closed": cursor.closed[-CLOSED_LIMIT:],
        "pending": _pending_json(cursor.pending),
        "had": [(name, _distances(offsets)) for name, offsets in cursor.had],
    }
    body = json.dumps(value).encode()
    write_atomically(path, _checksum(body) + body)


def _checksum(body: bytes) -> bytes:
    return b"%08x\n" % zlib.crc32(body)


def write_atomically(path: str, data: bytes) -> None:
    """Replace the file at `path`, mode 0600. Raises OSError."""
    beside = f"{path}.new"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)
    os.replace(beside, path)


def _parsed(value: dict[str, Any]) -> Cursor:
    return Cursor(
        position=Position(_number(value, "inode"), _number(value, "offset"), _number(value, "fingerprint")),
        seen_to=_number(value, "seen_to"),
        sent=tuple((n, o, p) for n, o, p in map(_sent, _list(value.get("sent"))) if n is not None),
        origin=origin_of(value.get("origin")),
        opened=tuple(item for item in _list(value.get("open")) if isinstance(item, dict)),
        closed=tuple(item for item in _list(value.get("closed")) if isinstance(item, str)),
        pending=_pending(value.get("pending")),
        had=tuple(found for item in _list(value.get("had")) if (found := _had(item)) is not None),
    )


def _pending_json(pending: tuple[tuple[int, str], ...] | None) -> dict[str, list[int]] | None:
    """By what was decided, each offset as the distance from the one before: there may be ten thousand."""
    if pending is None:
        return None
    out: dict[str, list[int]] = {}
    for decided in (HELD, RULE, SHARE):
        out[decided] = _distances(sorted(offset for offset, each in pending if each == decided))
    return out


def _distances(offsets: Sequence[int]) -> list[int]:
    return [offset - before for before, offset in zip([0, *offsets], offsets, strict=False)]


def _offsets(distances: Any) -> tuple[int, ...]:
    return tuple(accumulate(each for each in _list(distances) if isinstance(each, int)))


def _had(item: Any) -> tuple[str, tuple[int, ...]] | None:
    match item:
        case [str(name), list(distances)]:
            return name, _offsets(distances)
    return None


def _pending(value: Any) -> tuple[tuple[int, str], ...] | None:
    if not isinstance(value, dict):
        return None
    return tuple(
        sorted((offset, decided) for decided in (HELD, RULE, SHARE) for offset in _offsets(value.get(decided)))
    )


def _sent(item: Any) -> tuple[str | None, int, int]:
    match item:
        case [str(name), int(offset), int(part)]:
            return name, offset, part
    return None, 0, 0


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: dict[str, Any], key: str) -> int:
    number = value.get(key)
    return number if isinstance(number, int) and not isinstance(number, bool) else 0
