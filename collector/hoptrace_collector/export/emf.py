"""Writes metrics as lines of CloudWatch's embedded metric format, for users without a metrics backend.

By "Specification: Embedded metric format" (Amazon CloudWatch user guide): a line is one JSON object; `_aws` says which
of its members are metrics and which are dimensions; at most 100 metrics a line, and 100 values a metric. A histogram
goes out as its very values, of which CloudWatch makes its own statistics and percentiles.

Lambda puts an extension's standard output into the function's log group.
"""

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from hoptrace_collector.counters import DROPPED, Counters
from hoptrace_collector.metrics_table import TABLE
from hoptrace_collector.model import Number

__all__ = ["Emf"]

MOST_METRICS = 100
MOST_VALUES = 100
_MOST_SERIES = 200
_LONGEST_VALUE = 1024
_STDOUT = 1
_UNITS = {"s": "Seconds", "By": "Bytes", "1": "None", "{USD}": "None"}

Attributes = tuple[tuple[str, str], ...]


class Emf:
    """Collects the values of histograms, and writes lines.

    `wanted` are names of metrics, or beginnings of names with `*` at the end. `resource` says who the function is,
    `now` gives nanoseconds since the epoch, `write` takes some of the bytes and says how many.
    """

    def __init__(
        self,
        wanted: Iterable[str],
        namespace: str,
        function: str,
        counters: Counters,
        resource: Callable[[], tuple[tuple[str, Any], ...]],
        now: Callable[[], int],
        write: Callable[[memoryview], int] = lambda data: os.write(_STDOUT, data),
    ) -> None:
        self._wanted = tuple(wanted)
        self._namespace = namespace
        self._function = function or "unknown"
        self._counters = counters
        self._resource = resource
        self._now = now
        self._write = write
        self._values: dict[tuple[str, Attributes], list[float]] = {}

    def seen(self, name: str, attributes: Attributes, value: float) -> None:
        """Take a value of a histogram; a full array is written at once."""
        if not self._wants(name):
            return
        key = (name, attributes)
        values = self._values.get(key)
        if values is None:
            if len(self._values) >= _MOST_SERIES:
                self._counters.add("metrics_" + DROPPED, "emf_series")
                return
            values = self._values[key] = []
        values.append(value)
        if len(values) >= MOST_VALUES:
            del self._values[key]
            self._line(attributes, {name: values})

    def written(self, points: Iterable[object]) -> None:
        """Write sums, gauges, and what has come of histograms: a line for each set of attributes."""
        lines: dict[Attributes, dict[str, Any]] = {}
        for point in points:
            if isinstance(point, Number) and self._wants(point.name):
                lines.setdefault(point.attributes, {})[point.name] = point.value
        for (name, attributes), values in self._values.items():
            lines.setdefault(attributes, {})[name] = values
        self._values = {}
        for attributes, metrics in lines.items():
            names = list(metrics)
            for first in range(0, len(names), MOST_METRICS):
                self._line(attributes, {name: metrics[name] for name in names[first : first + MOST_METRICS]})

    def _line(self, attributes: Attributes, metrics: dict[str, Any]) -> None:
        told = {name: _dimension(value) for name, value in attributes}
        dimensions = [["FunctionName"], ["FunctionName", *told]] if told else [["FunctionName"]]
        directive = {
            "Namespace": self._namespace,
            "Dimensions": dimensions,
            "Metrics": [{"Name": name, "Unit": _unit(name)} for name in metrics],
        }
        known = {key: value for key, value in self._resource() if key in ("faas.version", "faas.instance")}
        line = {
            "_aws": {"Timestamp": self._now() // 1_000_000, "CloudWatchMetrics": [directive]},
            "FunctionName": self._function,
            **known,
            **told,
            **metrics,
        }
        view = memoryview(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        try:
            while view:
                view = view[self._write(view) :]
        except OSError as error:
            self._counters.failed("writing metrics to the log", error)

    def _wants(self, name: str) -> bool:
        return any(name == wanted or (wanted.endswith("*") and name.startswith(wanted[:-1])) for wanted in self._wanted)


def _unit(name: str) -> str:
    row = TABLE.get(name)
    return _UNITS.get(row.unit, "Count") if row is not None else "Count"


def _dimension(value: str) -> str:
    """Return what CloudWatch takes as a dimension's value: printable ASCII, not only spaces."""
    fit = "".join(c if " " <= c <= "~" else "?" for c in value[:_LONGEST_VALUE])
    return fit if fit.strip() else "_"
