"""Writes down which invocations are held in open windows, and reads it: the state of a window of Lambda's, and what is
carried from one of them to the next.
"""

import base64
import binascii
import json
import zlib
from array import array
from collections.abc import Iterable, Iterator
from typing import Any

from hoptrace_collector.gateway.peaks import Function, Interval

__all__ = ["carried", "read_carried", "read_state", "state"]

_LONGEST = 64 * 1024 * 1024
_INT64 = 2**63


def state(intervals: Iterable[Interval]) -> dict[str, str]:
    """Return a value for JSON that holds them all."""
    return {"held": base64.b64encode(zlib.compress(_written(intervals), 6)).decode()}


def read_state(value: Any) -> list[Interval]:
    """Read what `state` has made; raises ValueError."""
    if not isinstance(value, dict) or not isinstance(value.get("held"), str):
        return []
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(base64.b64decode(value["held"], validate=True), _LONGEST)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"a state that cannot be read ({error})") from None
    return list(read_carried(data))


def carried(intervals: Iterable[Interval]) -> Iterator[tuple[Function, bytes]]:
    """Give what is held of each function, as `read_carried` takes it."""
    by_function: dict[Function, list[Interval]] = {}
    for interval in intervals:
        by_function.setdefault(interval.function, []).append(interval)
    for function, found in by_function.items():
        yield function, _written(found)


def read_carried(data: bytes) -> Iterator[Interval]:
    """Read it; raises ValueError."""
    try:
        for function, written in json.loads(data):
            account, region, name = map(str, function)
            numbers = array("q", base64.b64decode(written, validate=True))
            for start, end, ident in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True):
                yield Interval(Function(account, region, name), start, end, ident)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"what was carried cannot be read ({error})") from None


def _written(intervals: Iterable[Interval]) -> bytes:
    by_function: dict[Function, array[int]] = {}
    for function, start, end, ident in intervals:
        signed = (ident + _INT64) % (2 * _INT64) - _INT64
        by_function.setdefault(function, array("q")).extend((start, end, signed))
    return json.dumps([[list(f), base64.b64encode(n.tobytes()).decode()] for f, n in by_function.items()]).encode()
