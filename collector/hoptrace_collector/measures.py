"""Keeps what the function has measured and logged through OpenTelemetry's API until the next flush.

Points of several invocations become one: deltas are added, and of what is told whole the latest counts. Loaded only
where a function uses that API.
"""

from collections.abc import Callable
from typing import Any

from hoptrace_collector.counters import DROPPED, RECEIVED, Counters
from hoptrace_collector.export.encode import encode_metrics
from hoptrace_collector.export.logs import encode_logs
from hoptrace_collector.fit import INT64_MAX
from hoptrace_collector.model import Histogram, LogRecord, Measured, Number
from hoptrace_collector.pipeline.queue import Inlet, Item

__all__ = ["Measures"]

_MOST_POINTS = 50_000
_MOST_BYTES = 2 * 1024 * 1024
_TOGETHER = 500  # points that a queue drops together

Scope = tuple[str, str]
Resource = tuple[tuple[str, Any], ...]


class Measures:
    """Merges points, and queues them and log records when asked to."""

    def __init__(self, metrics: Inlet, logs: Inlet, counters: Counters, resource: Callable[[], Resource]) -> None:
        """`resource`: who has made what is queued now."""
        self._metrics = metrics
        self._logs = logs
        self._counters = counters
        self._resource = resource
        self._points: dict[Any, tuple[Scope, Number | Histogram]] = {}
        self._records: list[LogRecord] = []
        self._size = 0

    def take(self, record: Measured | LogRecord) -> None:
        """Take in what was read."""
        if isinstance(record, LogRecord):
            self._log(record)
            return
        if record.points:
            self._counters.add("metrics_" + RECEIVED, "", len(record.points))
        if record.unfit:
            self._counters.add("metrics_" + DROPPED, "unfit", record.unfit)
        for scope, point in record.points:
            key = (scope, _key(point))
            known = self._points.get(key)
            self._points[key] = (scope, point if known is None else merge(known[1], point))
        if len(self._points) > _MOST_POINTS:
            self.queue()

    def _log(self, record: LogRecord) -> None:
        self._counters.add("logs_" + RECEIVED)
        self._records.append(record)
        self._size += 200 + (len(record.body) if isinstance(record.body, str) else 0)
        if self._size > _MOST_BYTES:
            self.queue()

    def queue(self) -> None:
        """Queue everything."""
        resource = self._resource()
        points, self._points = self._points, {}
        by_scope: dict[Scope, list[Number | Histogram]] = {}
        for scope, point in points.values():
            by_scope.setdefault(scope, []).append(point)
        for scope, found in by_scope.items():
            for first in range(0, len(found), _TOGETHER):
                some = found[first : first + _TOGETHER]
                self._metrics.put(Item(None, encode_metrics(resource, some, scope), amount=len(some)))
        records, self._records, self._size = self._records, [], 0
        for data, amount in encode_logs(resource, records):
            self._logs.put(Item(None, data, amount=amount))


def _key(point: Number | Histogram) -> Any:
    """What two points have in common that can be one; `True`, `1` and `1.0` are three values."""
    told = tuple((name, value.__class__, value) for name, value in sorted(point.attributes))
    if isinstance(point, Histogram):
        return (point.name, point.unit, point.description, point.bounds, told)
    kind = (point.kind, point.monotonic, point.cumulative, point.start if point.cumulative else 0)
    return (*kind, point.name, point.unit, point.description, told)


def merge(known: Number | Histogram, later: Number | Histogram) -> Number | Histogram:
    """Make one point of two with the same key."""
    if isinstance(known, Histogram) and isinstance(later, Histogram):
        return known._replace(
            counts=[min(a + b, INT64_MAX) for a, b in zip(known.counts, later.counts, strict=True)],
            total=known.total + later.total,
            least=min(known.least, later.least),
            most=max(known.most, later.most),
            start=min(known.start, later.start),
            end=max(known.end, later.end),
        )
    if isinstance(known, Number) and isinstance(later, Number) and known.kind == "sum" and not known.cumulative:
        return known._replace(
            value=known.value + later.value, start=min(known.start, later.start), end=max(known.end, later.end)
        )
    return later if later.end >= known.end else known
