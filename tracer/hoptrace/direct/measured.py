"""What the function has measured and logged through OpenTelemetry's API, read back from its records, fit for OTLP.

Total: whatever stands in a file, a point without a usable number is left out, and nothing raises.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, NamedTuple

from .as_json import INT64, number, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

TIME = 2**64 - 1
DELTA, CUMULATIVE = 1, 2
"""OTLP's `AggregationTemporality`."""


class Metric(NamedTuple):
    """One instrument; `kind` is `sum`, `gauge` or `histogram`, whose points have `bounds`."""

    name: str
    unit: str
    description: str
    kind: str
    monotonic: bool
    temporality: int
    bounds: list[float]
    points: list[Point]


class Point(NamedTuple):
    """One point; times in nanoseconds since the epoch. Of a histogram `value` is the sum, and the rest is used."""

    attributes: Any
    start: int
    end: int
    value: int | float
    counts: list[int]
    least: float
    most: float


Scope = tuple[str, str]


def metrics(record: dict[str, Any]) -> Iterator[tuple[Scope, list[Metric]]]:
    """The scopes of a record of metrics."""
    for scope in _dicts(record.get("scopes")):
        found = [_metric(metric, record) for metric in _dicts(scope.get("metrics"))]
        kept = [metric for metric in found if metric.name and metric.points]
        if kept:
            yield (text(scope.get("name")), text(scope.get("version"))), kept


def amount(record: dict[str, Any]) -> int:
    """How many points a record of metrics has."""
    return sum(len(metric.points) for _, found in metrics(record) for metric in found)


def _metric(metric: dict[str, Any], record: dict[str, Any]) -> Metric:
    kind = metric.get("kind")
    kind = kind if kind in ("sum", "gauge", "histogram") else ""
    bounds = [float(bound) for bound in _list(metric.get("bounds")) if _is_number(bound)]
    cumulative = metric.get("cumulative") is True and kind == "sum"
    window = number(record.get("start"), TIME), number(record.get("end"), TIME)
    points = []
    for point in _dicts(metric.get("points")) if kind else ():
        counts = [number(count, TIME) for count in _list(point.get("counts"))]
        values = [point.get(name) for name in (("sum", "min", "max") if kind == "histogram" else ("value",))]
        if not all(map(_is_number, values)) or (kind == "histogram" and len(counts) != len(bounds) + 1):
            continue
        least, most = (float(values[1]), float(values[2])) if kind == "histogram" else (0.0, 0.0)  # type: ignore[arg-type]
        start = number(point.get("start"), TIME) if cumulative else window[0]
        value: Any = values[0] if isinstance(values[0], float) or values[0] in INT64 else float(values[0])  # type: ignore[arg-type]
        points.append(Point(point.get("attributes"), start, window[1], value, counts, least, most))
    return Metric(
        text(metric.get("name")),
        text(metric.get("unit")),
        text(metric.get("description")),
        kind,
        metric.get("monotonic") is True,
        CUMULATIVE if cumulative else DELTA,
        bounds,
        points,
    )


class Log(NamedTuple):
    """One log record; `body` is `None` where it has none."""

    time: int
    observed: int
    severity: int
    level: str
    body: Any
    attributes: dict[str, Any]
    flags: int
    trace_id: str
    span_id: str
    event: str


def log(record: dict[str, Any]) -> tuple[Scope, Log]:
    """The log record of a record, with the id of the invocation that it was made in."""
    found = record.get("log")
    found = found if isinstance(found, dict) else {}
    given = found.get("attributes")
    attributes = dict(given) if isinstance(given, dict) else {}
    if record.get("request_id"):
        attributes.setdefault("faas.invocation_id", text(record["request_id"]))
    made_by = [text(part) for part in [*_list(record.get("scope")), "", ""][:2]]
    trace_id = _id(found.get("trace_id"), 32)
    return (made_by[0], made_by[1]), Log(
        number(found.get("time"), TIME),
        number(found.get("observed"), TIME),
        number(found.get("severity"), 24),
        text(found.get("level")),
        found.get("body"),
        attributes,
        number(found.get("flags"), 0xFF),
        trace_id,
        _id(found.get("span_id"), 16) if trace_id else "",
        text(found.get("event")),
    )


def by_scope(records: list[dict[str, Any]]) -> dict[Scope, list[Log]]:
    """Log records by who made them."""
    found: dict[Scope, list[Log]] = {}
    for record in records:
        scope, each = log(record)
        found.setdefault(scope, []).append(each)
    return found


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return isfinite(value)
    except OverflowError:
        return False


def _id(value: object, digits: int) -> str:
    if not isinstance(value, str) or len(value) != digits or value.strip("0123456789abcdef") or not value.strip("0"):
        return ""
    return value


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
