"""Metrics and log records as records of ours: the lines that `docs/architecture.md` describes."""

from collections.abc import Iterable, Iterator
from typing import Any

from ..encode import PROTOCOL, _line

_MOST = 400_000
"""Bytes of points in one line, so that it fits the bound on records with its head."""

Scope = tuple[str, str]


def metrics_lines(start: int, end: int, found: Iterable[tuple[Scope, dict[str, Any]]]) -> Iterator[bytes]:
    """What was measured from `start` to `end`: one line, unless it would be too long for a record.

    Args:
        found: the scope and the points of each instrument.
    """
    scopes: dict[Scope, list[dict[str, Any]]] = {}
    size = 0
    for scope, metric in found:
        for part in _parts(metric):
            length = len(_line(part))
            if scopes and size + length > _MOST:
                yield _metrics(start, end, scopes)
                scopes, size = {}, 0
            scopes.setdefault(scope, []).append(part)
            size += length
    if scopes:
        yield _metrics(start, end, scopes)


def _parts(metric: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One metric in pieces of so many points that each fits a line."""
    points = metric["points"]
    if len(points) <= 256:
        yield metric
        return
    for first in range(0, len(points), 256):
        yield {**metric, "points": points[first : first + 256]}


def _metrics(start: int, end: int, scopes: dict[Scope, list[dict[str, Any]]]) -> bytes:
    told = [{"name": name, "version": version, "metrics": found} for (name, version), found in scopes.items()]
    return _line({"v": PROTOCOL, "type": "metrics", "start": start, "end": end, "scopes": told})


def log_line(request_id: str, scope: Scope, log: dict[str, Any]) -> bytes:
    """A log record, made in the course of this invocation."""
    return _line({"v": PROTOCOL, "type": "log", "request_id": request_id, "scope": scope, "log": log})
