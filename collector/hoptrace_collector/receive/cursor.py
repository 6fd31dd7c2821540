"""Remembers on disk what has been sent, for the generation of the collector that follows a reset.

Lambda kills the extension with the function when an invocation times out or crashes, and starts both anew; `/tmp`
stays. What the next generation needs is more than an offset: the invocations that were open, since their beginnings
lie before the offset, and the spans that were finished here but not sent, since they are in no file.
"""

import binascii
import json
import os
from collections.abc import Iterable
from typing import Any, NamedTuple

from hoptrace_collector.model import Attributes, Origin, attributes, text
from hoptrace_collector.receive.records import HELD, RULE, SHARE, Position

__all__ = ["Cursor", "Unsent", "load", "save", "write_atomically"]

UNSENT_LIMIT = 512 * 1024
CLOSED_LIMIT = 64


class Unsent(NamedTuple):
    """Something encoded that is in no file: by its signal, and with an origin when it is a span of ours.

    A span that is not decided yet has the signal `held`, and the request id of its invocation.
    """

    signal: str
    origin: Origin | None
    amount: int
    data: bytes
    request_id: str = ""


class Cursor(NamedTuple):
    """What one generation leaves to the next.

    `position` is where reading goes on, `seen_to` up to where metrics and alerts have taken notice, `origin` the last
    resource and scope, `opened` the begin records without an end, `closed` the ids (hex) of spans that were closed in
    the function's stead, `unsent` what is not in the file, as many bytes of it as there is room for. Where somebody
    samples, `pending` has what waits in the file: the offset of each line, and what was decided about it.
    """

    position: Position = Position(0, 0)
    seen_to: int = 0
    origin: Origin | None = None
    opened: tuple[dict[str, Any], ...] = ()
    closed: tuple[str, ...] = ()
    unsent: tuple[Unsent, ...] = ()
    pending: tuple[tuple[int, str], ...] | None = None


def load(path: str) -> Cursor:
    """Read what `save` wrote; a missing or damaged file gives an empty cursor. Never raises."""
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read())
        return _parsed(value) if isinstance(value, dict) else Cursor()
    except (OSError, ValueError, RecursionError):
        return Cursor()


def save(path: str, cursor: Cursor) -> None:
    """Write the cursor so that a reader finds the old one or the new one, never half. Raises OSError."""
    unsent, size = [], 0
    # Metrics first: they are small, and of a minute there is only one.
    for signal, origin, count, data, request_id in sorted(cursor.unsent, key=lambda each: each.signal != "metrics"):
        size += len(data)
        if size > UNSENT_LIMIT:
            break
        who = _origin_json(origin) if origin is not None else None
        unsent.append([signal, who, count, _to_text(data), *([request_id] if request_id else ())])
    value = {
        "inode": cursor.position.inode,
        "offset": cursor.position.offset,
        "fingerprint": cursor.position.fingerprint,
        "seen_to": cursor.seen_to,
        "origin": _origin_json(cursor.origin) if cursor.origin is not None else None,
        "open": cursor.opened,
        "closed": cursor.closed[-CLOSED_LIMIT:],
        "unsent": unsent,
        "pending": _pending_json(cursor.pending),
    }
    write_atomically(path, json.dumps(value).encode())


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
        origin=_origin(value.get("origin")),
        opened=tuple(item for item in _list(value.get("open")) if isinstance(item, dict)),
        closed=tuple(item for item in _list(value.get("closed")) if isinstance(item, str)),
        unsent=tuple(_unsent(_list(value.get("unsent")))),
        pending=_pending(value.get("pending")),
    )


def _pending_json(pending: tuple[tuple[int, str], ...] | None) -> dict[str, list[int]] | None:
    """By what was decided, each offset as the distance from the one before: there may be ten thousand."""
    if pending is None:
        return None
    out: dict[str, list[int]] = {}
    for decided in (HELD, RULE, SHARE):
        offsets = sorted(offset for offset, each in pending if each == decided)
        out[decided] = [offset - before for before, offset in zip([0, *offsets], offsets, strict=False)]
    return out


def _pending(value: Any) -> tuple[tuple[int, str], ...] | None:
    if not isinstance(value, dict):
        return None
    found = []
    for decided in (HELD, RULE, SHARE):
        offset = 0
        for distance in _list(value.get(decided)):
            if isinstance(distance, int):
                offset += distance
                found.append((offset, decided))
    return tuple(sorted(found))


def _unsent(items: list[Any]) -> Iterable[Unsent]:
    for item in items:
        match item:
            case [str(signal), origin, int(count), str(data), *rest]:
                known = _origin(origin)
                if known is not None or origin is None:
                    request_id = text(rest[0]) if rest else ""
                    yield Unsent(signal, known, count, binascii.a2b_base64(data), request_id)


def _origin_json(origin: Origin) -> list[Any]:
    return [origin.resource, origin.scope]


def _origin(value: Any) -> Origin | None:
    if not (isinstance(value, list) and len(value) == 2 and isinstance(value[0], list) and isinstance(value[1], list)):
        return None
    scope = (text(value[1][0]), text(value[1][1])) if len(value[1]) == 2 else ("hoptrace", "")
    pairs: Attributes = {}
    for pair in value[0]:
        if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str):
            pairs.update(attributes({pair[0]: pair[1]}))
    return Origin.of(pairs, scope)


def _to_text(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: dict[str, Any], key: str) -> int:
    number = value.get(key)
    return number if isinstance(number, int) and not isinstance(number, bool) else 0
