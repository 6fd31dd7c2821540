"""Reads what the function has measured and logged through OpenTelemetry's API, as its tracer has written it down.

Total and bounded, like all of `decode`: a point without a usable number is counted and left out.
"""

from collections.abc import Iterator
from math import isfinite
from typing import Any

from hoptrace_collector.fit import INT64_MAX, attributes, clean, text
from hoptrace_collector.model import Histogram, LogRecord, Measured, Number, Origin

__all__ = ["read_log", "read_metrics"]

_MOST_POINTS = 25_000
_MOST_BUCKETS = 1_024
_LATEST = INT64_MAX  # a time beyond it is none


def read_metrics(record: dict[str, Any]) -> Measured:
    """Return the points of a record."""
    window = (_time(record.get("start")), _time(record.get("end")))
    points: list[tuple[tuple[str, str], Number | Histogram]] = []
    unfit = 0
    for scope in _dicts(record.get("scopes")):
        made_by = (text(scope.get("name")), text(scope.get("version")))
        for metric in _dicts(scope.get("metrics")):
            for point in _points(metric, window):
                if point is None or len(points) >= _MOST_POINTS:
                    unfit += 1
                else:
                    points.append((made_by, point))
    return Measured(points, unfit)


def _points(metric: dict[str, Any], window: tuple[int, int]) -> Iterator[Number | Histogram | None]:
    name, kind = text(metric.get("name")), metric.get("kind")
    about = (name, text(metric.get("unit")), text(metric.get("description")))
    for point in _dicts(metric.get("points")):
        told = Origin.of(attributes(point.get("attributes")), ("", "")).resource
        if not name:
            yield None
        elif kind == "histogram":
            yield _histogram(metric, point, about, told, window)
        else:
            yield _number(metric, point, about, told, window)


def _number(
    metric: dict[str, Any],
    point: dict[str, Any],
    about: tuple[str, str, str],
    told: tuple[tuple[str, Any], ...],
    window: tuple[int, int],
) -> Number | None:
    value, kind = _amount(point.get("value")), metric.get("kind")
    if value is None or kind not in ("sum", "gauge"):
        return None
    monotonic, cumulative = metric.get("monotonic") is True, metric.get("cumulative") is True
    start = _time(point.get("start")) if cumulative else window[0]
    return Number(kind, *about, told, value, start, window[1], monotonic, cumulative)


def _histogram(
    metric: dict[str, Any],
    point: dict[str, Any],
    about: tuple[str, str, str],
    told: tuple[tuple[str, Any], ...],
    window: tuple[int, int],
) -> Histogram | None:
    total, least, most = _amount(point.get("sum")), _amount(point.get("min")), _amount(point.get("max"))
    bounds = tuple(map(_amount, _list(metric.get("bounds"))))
    counts = [count for count in _list(point.get("counts")) if _is_count(count)]
    if total is None or least is None or most is None or len(counts) != len(bounds) + 1 or None in bounds:
        return None
    known = tuple(float(bound) for bound in bounds if bound is not None)
    return Histogram(*about, told, known, counts, float(total), float(least), float(most), *window)


def read_log(record: dict[str, Any]) -> LogRecord | None:
    """Return the log record; None for one that says nothing."""
    log = record.get("log")
    if not isinstance(log, dict):
        return None
    scope = record.get("scope")
    logger, version = (text(scope[0]), text(scope[1])) if isinstance(scope, list) and len(scope) > 1 else ("", "")
    body, found, event = clean(log.get("body")), attributes(log.get("attributes")), text(log.get("event"))
    if body is None and not found and not event:
        return None
    request_id = text(record.get("request_id"))
    if request_id:
        found.setdefault("faas.invocation_id", request_id)
    trace_id = _id(log.get("trace_id"), 16)
    severity = _time(log.get("severity"))
    return LogRecord(
        _time(log.get("time")),
        _time(log.get("observed")),
        severity if severity <= 24 else 0,
        text(log.get("level")),
        logger,
        body,
        found,
        request_id,
        trace_id,
        _id(log.get("span_id"), 8) if trace_id else b"",
        _time(log.get("flags")) & 0xFF,
        version=version,
        event=event,
    )


def _amount(value: object) -> int | float | None:
    """Return a finite number; whole ones beyond 64 bits as floats."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int):
        if -INT64_MAX - 1 <= value <= INT64_MAX:
            return value
        try:
            value = float(value)
        except OverflowError:
            return None
    return value if isfinite(value) else None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= INT64_MAX


def _time(value: object) -> int:
    """Return a whole number that is no less than 0; 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LATEST else 0


def _id(value: object, size: int) -> bytes:
    if not isinstance(value, str) or len(value) != 2 * size or not value.isalnum():
        return b""
    try:
        found = bytes.fromhex(value)
    except ValueError:
        return b""
    return found if any(found) else b""


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) and len(value) <= _MOST_BUCKETS else []
