"""Makes metrics of invocations and of what Lambda says about them; `metrics_table` has them all.

Metrics are made before anything is sampled, so that they count every invocation. Concurrency can only be seen from
inside this environment: the rate of `hoptrace.environment.busy_time`, summed over environments, is the mean
concurrency (Little's law).
"""

from collections.abc import Callable, Iterable
from math import ceil

from hoptrace_collector.aggregate import Aggregate, Attributes, Few
from hoptrace_collector.metrics_table import own_row
from hoptrace_collector.model import Denied, Histogram, Invocation, Number, Span
from hoptrace_collector.price import Price
from hoptrace_collector.told import Report, RuntimeDone

__all__ = ["Metrics"]

_MOST_INTERVALS = 10_000
_MOST_REMEMBERED = 64
_OUT_OF_MEMORY = "Runtime.OutOfMemory"
_REPORTED: Attributes = (("hoptrace.source", "report"),)
_MEASURED: Attributes = (("hoptrace.source", "clock"),)


class _Ended:
    """What is known of an invocation while Lambda's word about it may still come.

    `billed` by our clock, and `init`, an initialisation that is billed with it, in seconds.
    """

    __slots__ = ("billed", "init", "start", "trigger")

    def __init__(self, trigger: Attributes, start: int, billed: float, init: float) -> None:
        self.trigger = trigger
        self.start = start
        self.billed = billed
        self.init = init


class Metrics:
    """What happened since the last `take`.

    `initialization_type` becomes an attribute of the environment's own metrics, `peak` counts overlapping intervals,
    `now` gives nanoseconds since the epoch, `price` is None where there is none by time, `memory` the function's in
    bytes, `seen` as in `Aggregate`.
    """

    def __init__(
        self,
        initialization_type: str,
        peak: Callable[[Iterable[tuple[int, int]]], int],
        now: Callable[[], int],
        price: Price | None = None,
        memory: int = 0,
        seen: Callable[[str, Attributes, float], None] | None = None,
    ) -> None:
        self._environment = (("aws.lambda.initialization_type", initialization_type),)
        self._peak = peak
        self._now = now
        self._price = price
        self._memory = memory
        self._begun = now()
        self._all = Aggregate(seen)
        self._intervals: list[tuple[int, int]] = []
        self._peak_before = 0
        self._initialized = False
        self._unbilled = 0.0
        self._ended: dict[str, _Ended] = {}
        self._error_types, self._methods, self._operations = Few(), Few(), Few()

    # What the tracer recorded, and what was made of it.

    def ended(self, invocation: Invocation) -> None:
        """Count an invocation that is over; one whose end is unknown counts for nothing."""
        if invocation.outcome == "unknown" or not invocation.request_id:
            return
        span = invocation.span
        trigger = (("faas.trigger", invocation.attribute("faas.trigger") or "other"),)
        self._outcome(invocation, trigger)
        if invocation.cpu:
            self._all.record("faas.cpu_usage", trigger, invocation.cpu / 1e9)
        duration = max(0, span.end - span.start) / 1e9
        init, self._unbilled = self._unbilled, 0.0
        self._remember(invocation.request_id, _Ended(trigger, span.start, duration, init))
        self._all.record("faas.invoke_duration", trigger, duration)
        self._all.add("hoptrace.environment.invocations", self._environment, 1)
        self._all.add("hoptrace.environment.busy_time", self._environment, duration)
        for name in ("hoptrace.message.age", "hoptrace.iterator.age"):
            if (age := _number(span, name)) is not None:
                self._all.record(name, trigger, max(0.0, age))
        if failures := _number(span, "hoptrace.batch.item_failures"):
            self._all.add("hoptrace.batch.item_failures", trigger, failures)
        self._during(span.start, span.end)

    def _outcome(self, invocation: Invocation, trigger: Attributes) -> None:
        if invocation.outcome == "ok":
            self._all.add("faas.invocations", trigger, 1)
        elif invocation.outcome == "timeout":
            self._all.add("faas.timeouts", trigger, 1)
        else:
            kind = ("error.type", self._error_types(invocation.error_type))
            self._all.add("faas.errors", (*trigger, kind), 1)
        if invocation.error_type == _OUT_OF_MEMORY:
            self._all.add("hoptrace.invocation.out_of_memory", trigger, 1)
        if invocation.span.attributes.get("faas.coldstart") is True:
            self._all.add("faas.coldstarts", trigger, 1)

    def called(self, span: Span) -> None:
        """Take notice of a span inside an invocation: how often AWS throttled the call."""
        if throttles := _number(span, "hoptrace.aws.throttle_count"):
            method = span.attributes.get("rpc.method", "")
            called = (("rpc.method", self._methods(method if isinstance(method, str) else "")),)
            self._all.add("hoptrace.aws.throttles", called, throttles)

    def denied(self, record: Denied) -> None:
        """Count a call that the function's policy does not allow."""
        told = (
            ("hoptrace.policy.mode", record.mode),
            ("hoptrace.policy.operation", self._operations(record.operation)),
        )
        self._all.add("hoptrace.policy.denied", told, 1)

    def held(self, seconds: float) -> None:
        """Record how long the environment was still held after an invocation had returned."""
        self._all.record("hoptrace.environment.post_response_time", self._environment, seconds)

    def released(self, request_id: str) -> None:
        """Note that the environment is given back now: until here its invocation is billed."""
        if (ended := self._ended.get(request_id)) is not None:
            ended.billed = max(0, self._now() - ended.start) / 1e9

    def network(self, request_id: str, transferred: int) -> None:
        """Record the bytes that the environment sent and received during an invocation."""
        self._all.record("faas.net_io", self._trigger(request_id), float(transferred))

    # What Lambda says.

    def initialized(self, seconds: float) -> None:
        """Record the initialisation of this environment; of several reports of it the first counts."""
        if not self._initialized:
            self._initialized = True
            # What is initialised ahead of demand is not billed with an invocation.
            self._unbilled = seconds if self._environment[0][1] == "on-demand" else 0.0
            self._all.record("faas.init_duration", self._environment, seconds)

    def restored(self, seconds: float) -> None:
        """Record how long the snapshot took to be restored."""
        self._all.record("hoptrace.environment.restore_duration", self._environment, seconds)

    def renew(self) -> None:
        """Forget what was aggregated, and begin anew: this process runs on from a snapshot, which others do as well."""
        self._begun = self._now()
        self._all.take(self._begun, self._begun + 1)
        self._intervals, self._peak_before = [], 0

    def told(self, event: RuntimeDone | Report) -> None:
        """Record what Lambda says of an invocation after its end."""
        trigger = self._trigger(event.request_id)
        if event.latency is not None:
            self._all.record("hoptrace.response.latency", trigger, event.latency)
        if isinstance(event, RuntimeDone):
            if event.produced is not None:
                self._all.record("hoptrace.response.size", trigger, float(event.produced))
            return
        size = event.memory_size or self._memory
        if event.memory:
            self._all.record("faas.mem_usage", trigger, float(event.memory))
            if size:
                self._all.record("hoptrace.invocation.memory_utilization", trigger, event.memory / size)
        if event.overhead is not None:
            self._all.record("hoptrace.environment.extension_overhead", self._environment, event.overhead)
        if event.billed:
            self._bill(event.billed, size, _REPORTED)
        self._ended.pop(event.request_id, None)

    def last(self) -> None:
        """Bill what was never reported, by our own clock; nothing more will be."""
        for ended in self._ended.values():
            self._bill(ceil((ended.billed + ended.init) * 1000) / 1000, self._memory, _MEASURED)
        self._ended.clear()

    def _bill(self, seconds: float, memory: int, source: Attributes) -> None:
        if self._price is not None:
            self._all.add("hoptrace.invocation.billed_duration", source, seconds)
            self._all.add("hoptrace.invocation.estimated_cost", source, self._price.of(seconds, memory))

    # What leaves.

    def take(self, own: dict[tuple[str, str], int]) -> list[Number | Histogram]:
        """Return what was aggregated, with the collector's `own` numbers by (kind, reason), and begin anew."""
        start, end = self._begun, max(self._now(), self._begun + 1)
        if self._intervals:
            peak = max(self._peak_before, self._peak(self._intervals))
            self._all.set("hoptrace.environment.in_flight.max", self._environment, peak)
        if self._all or own:
            self._all.set("hoptrace.environment.alive", self._environment, 1)
        if self._all.left_out:
            own = {**own, ("metrics_dropped", "too_many_series"): self._all.left_out}
        points = self._all.take(start, end)
        for (kind, reason), count in own.items():
            row, attributes = own_row(kind), (("reason", reason),) if reason else ()
            points.append(Number("sum", row.name, row.unit, row.description, attributes, count, start, end))
        self._begun, self._intervals, self._peak_before = end, [], 0
        return points

    def _during(self, start: int, end: int) -> None:
        if len(self._intervals) >= _MOST_INTERVALS:
            # The next ones overlap the latest, if any.
            self._peak_before = max(self._peak_before, self._peak(self._intervals))
            self._intervals = sorted(self._intervals, key=lambda interval: interval[1])[-_MOST_INTERVALS // 10 :]
        self._intervals.append((start, end))

    def _trigger(self, request_id: str) -> Attributes:
        ended = self._ended.get(request_id)
        return ended.trigger if ended is not None else ()

    def _remember(self, request_id: str, ended: _Ended) -> None:
        self._ended.pop(request_id, None)
        self._ended[request_id] = ended
        while len(self._ended) > _MOST_REMEMBERED:
            del self._ended[next(iter(self._ended))]


def _number(span: Span, name: str) -> float | None:
    value = span.attributes.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
