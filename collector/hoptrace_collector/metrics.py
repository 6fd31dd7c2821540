"""Aggregates invocations into metrics, delta temporality, between two exports.

The names are those of OpenTelemetry's "Semantic conventions for FaaS metrics" where it has one. `faas.invocations`
counts successes only, as it says there: all invocations are the sum of it, `faas.errors` and `faas.timeouts`.
Concurrency can only be seen from inside this environment: the rate of `hoptrace.environment.busy_time`, summed over
environments, is the mean concurrency (Little's law); `in_flight.max` exceeds 1 on Managed Instances only.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable

from hoptrace_collector.model import Histogram, Invocation, Number

__all__ = ["Metrics"]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
BYTES = tuple(float(mebibytes * 1024 * 1024) for mebibytes in (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192))
TRANSFERS = tuple(float(1024 * 4**power) for power in range(10))

_MOST_INTERVALS = 10_000
_MOST_SERIES = 1_000
_MOST_TRIGGERS = 64

_COUNTERS = {
    "faas.invocations": ("{invocation}", "Number of successful invocations."),
    "faas.errors": ("{error}", "Number of invocation errors."),
    "faas.timeouts": ("{timeout}", "Number of invocation timeouts."),
    "faas.coldstarts": ("{coldstart}", "Number of invocation cold starts."),
    "hoptrace.environment.busy_time": ("s", "Time that this environment has spent on invocations."),
}
_HISTOGRAMS = {
    "faas.invoke_duration": ("s", "Measures the duration of the function's logic execution.", SECONDS),
    "faas.init_duration": ("s", "Measures the duration of the function's initialization.", SECONDS),
    "hoptrace.environment.post_response_time": (
        "s",
        "Time from the handler's return to the collector's asking for the next event.",
        SECONDS,
    ),
    "faas.cpu_usage": ("s", "Distribution of CPU usage per invocation.", SECONDS),
    "faas.net_io": ("By", "Distribution of net I/O usage per invocation.", TRANSFERS),
    "faas.mem_usage": ("By", "Distribution of max memory usage per invocation.", BYTES),
}

Key = tuple[str, tuple[tuple[str, str], ...]]


class _Distribution:
    __slots__ = ("counts", "least", "most", "total")

    def __init__(self, bounds: int) -> None:
        self.counts = [0] * (bounds + 1)
        self.total = 0.0
        self.least = float("inf")
        self.most = float("-inf")


class Metrics:
    """What happened since the last `take`.

    `initialization_type` becomes an attribute of the environment's own metrics, `peak` counts overlapping intervals,
    `now` gives nanoseconds since the epoch.
    """

    def __init__(
        self, initialization_type: str, peak: Callable[[Iterable[tuple[int, int]]], int], now: Callable[[], int]
    ) -> None:
        self._environment = (("aws.lambda.initialization_type", initialization_type),)
        self._peak = peak
        self._now = now
        self._begun = now()
        self._sums: dict[Key, int | float] = {}
        self._distributions: dict[Key, _Distribution] = {}
        self._intervals: list[tuple[int, int]] = []
        self._initialized = False
        self._triggers: dict[str, tuple[tuple[str, str], ...]] = {}

    def ended(self, invocation: Invocation) -> None:
        """Count an invocation that is over; one whose end is unknown counts for nothing."""
        if invocation.outcome == "unknown" or not invocation.request_id:
            return
        span = invocation.span
        trigger = (("faas.trigger", invocation.attribute("faas.trigger") or "other"),)
        name = {"ok": "faas.invocations", "timeout": "faas.timeouts"}.get(invocation.outcome, "faas.errors")
        self._add((name, trigger), 1)
        if span.attributes.get("faas.coldstart") is True:
            self._add(("faas.coldstarts", trigger), 1)
        self._triggers[invocation.request_id] = trigger
        while len(self._triggers) > _MOST_TRIGGERS:
            del self._triggers[next(iter(self._triggers))]
        if invocation.cpu:
            self._record(("faas.cpu_usage", trigger), invocation.cpu / 1e9)
        duration = max(0, span.end - span.start) / 1e9
        self._record(("faas.invoke_duration", trigger), duration)
        self._add(("hoptrace.environment.busy_time", self._environment), duration)
        if len(self._intervals) < _MOST_INTERVALS:
            self._intervals.append((span.start, span.end))

    def initialized(self, seconds: float) -> None:
        """Record the initialisation of this environment; of several reports of it the first counts."""
        if not self._initialized:
            self._initialized = True
            self._record(("faas.init_duration", self._environment), seconds)

    def held(self, seconds: float) -> None:
        """Record how long the environment was still held after an invocation had returned."""
        self._record(("hoptrace.environment.post_response_time", self._environment), seconds)

    def memory(self, request_id: str, used: int) -> None:
        """Record the memory in bytes that Lambda reports for an invocation."""
        self._record(("faas.mem_usage", self._triggers.get(request_id, ())), float(used))

    def network(self, request_id: str, transferred: int) -> None:
        """Record the bytes that the environment sent and received during an invocation."""
        self._record(("faas.net_io", self._triggers.get(request_id, ())), float(transferred))

    def take(self, own: dict[tuple[str, str], int]) -> list[Number | Histogram]:
        """Return what was aggregated, with the collector's `own` numbers by (kind, reason), and begin anew."""
        start, end = self._begun, max(self._now(), self._begun + 1)
        points: list[Number | Histogram] = []
        for (name, attributes), value in self._sums.items():
            unit, description = _COUNTERS[name]
            points.append(Number("sum", name, unit, description, attributes, value, start, end))
        for (name, attributes), d in self._distributions.items():
            unit, description, bounds = _HISTOGRAMS[name]
            points.append(
                Histogram(name, unit, description, attributes, bounds, d.counts, d.total, d.least, d.most, start, end)
            )
        if self._intervals:
            points.append(
                Number(
                    "gauge", "hoptrace.environment.in_flight.max", "{invocation}",
                    "Largest number of invocations at a time in this environment.",
                    self._environment, self._peak(self._intervals), start, end,
                )
            )  # fmt: skip
        for (kind, reason), count in own.items():
            attributes = (("reason", reason),) if reason else ()
            name, unit = f"hoptrace.collector.{kind}", "{item}"
            points.append(Number("sum", name, unit, "What became of the data.", attributes, count, start, end))
        self._begun, self._sums, self._distributions, self._intervals = end, {}, {}, []
        return points

    def _add(self, key: Key, value: float) -> None:
        if key in self._sums or len(self._sums) < _MOST_SERIES:
            self._sums[key] = self._sums.get(key, 0) + value

    def _record(self, key: Key, value: float) -> None:
        bounds = _HISTOGRAMS[key[0]][2]
        distribution = self._distributions.get(key)
        if distribution is None:
            if len(self._distributions) >= _MOST_SERIES:
                return
            distribution = self._distributions[key] = _Distribution(len(bounds))
        distribution.counts[bisect_left(bounds, value)] += 1
        distribution.total += value
        distribution.least = min(distribution.least, value)
        distribution.most = max(distribution.most, value)
