"""Metrics: aggregated here, delta temporality, encoded as the protocol says."""

from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics

from hoptrace_collector.concurrency import peak_concurrency
from hoptrace_collector.export.encode import encode_metrics
from hoptrace_collector.metrics import SECONDS, Metrics
from hoptrace_collector.model import Invocation, Origin, Span

SECOND = 10**9


def invocation(outcome: str = "ok", *, start: int = 0, seconds: float = 0.2, cold: bool = False) -> Invocation:
    span = Span(b"\1" * 16, b"\2" * 8, "f", 2, start, start + int(seconds * SECOND))
    span.attributes.update({"faas.trigger": "http", "faas.coldstart": cold})
    return Invocation("r", outcome, "", "", span, Origin((), ("", "")), 0)


def taken(metrics: Metrics, own: dict | None = None) -> dict:
    """What is exported, read back with the protocol's own types, by metric name."""
    body = encode_metrics((("service.name", "f"),), metrics.take(own or {}))
    resource = ResourceMetrics.FromString(body)
    assert resource.resource.attributes[0].value.string_value == "f"
    return {metric.name: metric for metric in resource.scope_metrics[0].metrics}


def make(now: list[int]) -> Metrics:
    return Metrics("on-demand", peak_concurrency, lambda: now[0])


def test_outcomes_are_counted_apart_and_an_unknown_end_not_at_all() -> None:
    metrics = make([1])
    for outcome in ("ok", "ok", "error", "crash", "init_error", "timeout", "unknown"):
        metrics.ended(invocation(outcome))
    got = taken(metrics)
    counts = {
        name: got[name].sum.data_points[0].as_int for name in ("faas.invocations", "faas.errors", "faas.timeouts")
    }
    assert counts == {"faas.invocations": 2, "faas.errors": 3, "faas.timeouts": 1}
    point = got["faas.invocations"].sum.data_points[0]
    assert [(pair.key, pair.value.string_value) for pair in point.attributes] == [("faas.trigger", "http")]
    assert got["faas.invocations"].sum.is_monotonic
    assert got["faas.invocations"].sum.aggregation_temporality == 1


def test_durations_fall_into_the_conventions_buckets() -> None:
    metrics = make([1])
    for seconds in (0.001, 0.005, 0.2, 30.0):
        metrics.ended(invocation(seconds=seconds))
    point = taken(metrics)["faas.invoke_duration"].histogram.data_points[0]
    assert tuple(point.explicit_bounds) == SECONDS
    assert (point.bucket_counts[0], point.bucket_counts[6], point.bucket_counts[-1]) == (2, 1, 1)
    assert len(point.bucket_counts) == len(SECONDS) + 1
    assert (point.count, point.min, point.max) == (4, 0.001, 30.0)


def test_each_interval_begins_where_the_last_one_ended_and_holds_only_its_own() -> None:
    now = [10]
    metrics = make(now)
    metrics.ended(invocation())
    now[0] = 20
    first = taken(metrics)["faas.invocations"].sum.data_points[0]
    metrics.ended(invocation())
    now[0] = 30
    second = taken(metrics)["faas.invocations"].sum.data_points[0]
    assert (first.start_time_unix_nano, first.time_unix_nano, first.as_int) == (10, 20, 1)
    assert (second.start_time_unix_nano, second.time_unix_nano, second.as_int) == (20, 30, 1)
    assert metrics.take({}) == [], "nothing happened, nothing is sent"


def test_concurrency_from_the_inside() -> None:
    metrics = make([1])
    metrics.ended(invocation(start=0, seconds=2))
    metrics.ended(invocation(start=SECOND, seconds=2))
    got = taken(metrics)
    busy = got["hoptrace.environment.busy_time"].sum.data_points[0]
    assert busy.as_double == 4.0
    assert busy.attributes[0].value.string_value == "on-demand"
    assert got["hoptrace.environment.in_flight.max"].gauge.data_points[0].as_int == 2


def test_a_cold_start_and_its_duration_are_counted_once() -> None:
    metrics = make([1])
    metrics.ended(invocation(cold=True))
    metrics.ended(invocation())
    metrics.initialized(0.3)
    metrics.initialized(0.9)
    metrics.memory("r", 64 * 1024 * 1024)
    got = taken(metrics)
    assert got["faas.coldstarts"].sum.data_points[0].as_int == 1
    assert (got["faas.init_duration"].histogram.data_points[0].sum, got["faas.init_duration"].unit) == (0.3, "s")
    assert got["faas.mem_usage"].histogram.data_points[0].max == 64 * 1024 * 1024


def test_the_collectors_own_numbers_go_along_with_their_reasons() -> None:
    got = taken(make([1]), {("dropped", "queue_full"): 3, ("dropped", "refused"): 1, ("sent", ""): 9})
    points = got["hoptrace.collector.dropped"].sum.data_points
    assert {(p.attributes[0].key, p.attributes[0].value.string_value): p.as_int for p in points} == {
        ("reason", "queue_full"): 3,
        ("reason", "refused"): 1,
    }
    assert got["hoptrace.collector.sent"].sum.data_points[0].as_int == 9
