"""Metrics: aggregated here, delta temporality, encoded as the protocol says."""

from typing import Any

from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics

from hoptrace_collector.concurrency import peak_concurrency
from hoptrace_collector.export.encode import encode_metrics
from hoptrace_collector.metrics import Metrics
from hoptrace_collector.metrics_table import SECONDS
from hoptrace_collector.model import Invocation, Origin, Span
from hoptrace_collector.price import Price, list_price, price_of
from hoptrace_collector.settings import read
from hoptrace_collector.told import Report, RuntimeDone

SECOND = 10**9


def invocation(
    outcome: str = "ok",
    *,
    start: int = 0,
    seconds: float = 0.2,
    cold: bool = False,
    kind: str = "",
    request_id: str = "r",
    **attributes: Any,
) -> Invocation:
    span = Span(b"\1" * 16, b"\2" * 8, "f", 2, start, start + int(seconds * SECOND))
    span.attributes.update({"faas.trigger": "http", "faas.coldstart": cold, **attributes})
    return Invocation(request_id, outcome, kind, "", span, Origin((), ("", "")), 0)


def taken(metrics: Metrics, own: dict | None = None) -> dict:
    """What is exported, read back with the protocol's own types, by metric name."""
    body = encode_metrics((("service.name", "f"),), metrics.take(own or {}))
    resource = ResourceMetrics.FromString(body)
    assert resource.resource.attributes[0].value.string_value == "f"
    return {metric.name: metric for metric in resource.scope_metrics[0].metrics}


def make(now: list[int], initialization_type: str = "on-demand", price: Price | None = None) -> Metrics:
    return Metrics(initialization_type, peak_concurrency, lambda: now[0], price, 512 << 20)


def by_attributes(metric: Any) -> dict[tuple[str, ...], Any]:
    """The points of a metric, by the values of their attributes."""
    kind = metric.WhichOneof("data")
    return {tuple(p.value.string_value for p in point.attributes): point for point in getattr(metric, kind).data_points}


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
    metrics.told(Report("r", "success", "", 64 * 1024 * 1024, 1))
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


def test_errors_are_told_apart_by_type_and_of_very_many_types_the_rest_is_one() -> None:
    metrics = make([1])
    for kind in ("ValueError", "ValueError", "Runtime.ExitError", "", *(f"E{n}" for n in range(100))):
        metrics.ended(invocation("error", kind=kind))
    points = by_attributes(taken(metrics)["faas.errors"])
    assert points["http", "ValueError"].as_int == 2
    assert points["http", "Runtime.ExitError"].as_int == 1
    assert len(points) == 51, "50 types, and what stands for all others"
    assert sum(point.as_int for point in points.values()) == 104
    metrics.ended(invocation("error", kind="E99"))
    assert list(by_attributes(taken(metrics)["faas.errors"])) == [("http", "_OTHER")], "it stays that way"


def test_running_out_of_memory_is_an_error_with_a_number_of_its_own() -> None:
    metrics = make([1])
    metrics.ended(invocation("crash", kind="Runtime.OutOfMemory"))
    metrics.ended(invocation("error", kind="MemoryError"))
    got = taken(metrics)
    assert got["hoptrace.invocation.out_of_memory"].sum.data_points[0].as_int == 1
    assert sum(point.as_int for point in got["faas.errors"].sum.data_points) == 2


def test_what_lambda_reports_belongs_to_the_trigger_of_its_invocation() -> None:
    metrics = make([1])
    metrics.ended(invocation())
    metrics.told(RuntimeDone("r", "success", "", 1, latency=0.02, produced=2048))
    metrics.told(Report("r", "success", "", 128 << 20, 1, memory_size=512 << 20, billed=0.2, overhead=0.003))
    got = taken(metrics)
    for name, value in {
        "hoptrace.response.latency": 0.02,
        "hoptrace.response.size": 2048,
        "faas.mem_usage": 128 << 20,
        "hoptrace.invocation.memory_utilization": 0.25,
    }.items():
        assert by_attributes(got[name])[("http",)].sum == value, name
    assert by_attributes(got["hoptrace.environment.extension_overhead"])[("on-demand",)].sum == 0.003
    assert "hoptrace.invocation.billed_duration" not in got, "there is no price"


def test_what_is_billed_is_what_lambda_reports_and_at_the_end_what_our_clock_says_of_the_rest() -> None:
    now = [0]
    metrics = make(now, price=Price(0.00002, 0.0000002))
    for number in range(3):
        if number == 0:
            metrics.initialized(1.5)
        metrics.ended(invocation(start=number * SECOND, request_id=f"r{number}", cold=number == 0))
        now[0] = number * SECOND + 250_400_000
        metrics.released(f"r{number}")
    metrics.told(Report("r1", "success", "", 0, 1, memory_size=1024 << 20, billed=0.3))
    metrics.last()
    metrics.last()
    got = taken(metrics)
    billed = by_attributes(got["hoptrace.invocation.billed_duration"])
    assert billed[("report",)].as_double == 0.3
    assert round(billed[("clock",)].as_double, 6) == 1.751 + 0.251, "begun milliseconds, and the cold start's init"
    cost = by_attributes(got["hoptrace.invocation.estimated_cost"])
    assert round(cost[("report",)].as_double, 12) == round(0.3 * 1.0 * 0.00002 + 0.0000002, 12)
    assert round(cost[("clock",)].as_double, 12) == round(2.002 * 0.5 * 0.00002 + 2 * 0.0000002, 12)


def test_the_price_is_the_list_price_of_the_machine_unless_it_is_set_and_instances_have_none() -> None:
    assert list_price("x86_64", "on-demand") == 0.0000166667
    assert list_price("aarch64", "snap-start") == 0.0000133334
    assert list_price("aarch64", "provisioned-concurrency") == 0.0000077778
    assert price_of(read({})[0], "x86_64") == Price(0.0000166667, 0.2 / 1e6)
    given = {"HOPTRACE_PRICE_PER_GB_SECOND": "0", "HOPTRACE_PRICE_PER_MILLION_REQUESTS": "0.25"}
    assert price_of(read(given)[0], "x86_64") == Price(0.0, 0.25 / 1e6)
    assert price_of(read({"AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances"})[0], "x86_64") is None
    for wrong in ("-1", "free", "1e3", "nan", "9" * 400):
        settings, complaints = read({"HOPTRACE_PRICE_PER_GB_SECOND": wrong})
        assert settings.measuring.gb_second is None
        assert len(complaints) == 1
        assert "HOPTRACE_PRICE_PER_GB_SECOND" in complaints[0]


def test_what_spans_say_of_messages_and_throttling_is_added_up() -> None:
    metrics = make([1])
    ages = {"hoptrace.message.age": 2.5, "hoptrace.iterator.age": 0.5, "hoptrace.batch.item_failures": 3}
    metrics.ended(invocation(**ages))
    metrics.ended(invocation(**{"hoptrace.message.age": "old", "hoptrace.batch.item_failures": True}))
    call = Span(b"\1" * 16, b"\3" * 8, "DynamoDB.GetItem", 3, 0, 1)
    call.attributes.update({"rpc.method": "GetItem", "hoptrace.aws.throttle_count": 2})
    metrics.called(call)
    metrics.called(call)
    got = taken(metrics)
    assert by_attributes(got["hoptrace.message.age"])[("http",)].sum == 2.5
    assert by_attributes(got["hoptrace.iterator.age"])[("http",)].count == 1
    assert by_attributes(got["hoptrace.batch.item_failures"])[("http",)].as_int == 3
    assert by_attributes(got["hoptrace.aws.throttles"])[("GetItem",)].as_int == 4


def test_environments_are_counted_by_how_they_were_initialised() -> None:
    for initialization_type in ("on-demand", "provisioned-concurrency"):
        metrics = make([1], initialization_type)
        metrics.ended(invocation("timeout"))
        metrics.ended(invocation())
        metrics.restored(0.4)
        got = taken(metrics)
        key = (initialization_type,)
        assert by_attributes(got["hoptrace.environment.invocations"])[key].as_int == 2
        assert by_attributes(got["hoptrace.environment.alive"])[key].as_int == 1
        assert by_attributes(got["hoptrace.environment.restore_duration"])[key].sum == 0.4


def test_the_peak_is_right_over_more_invocations_than_are_kept() -> None:
    metrics = make([1])
    for number in range(25_000):
        seconds = 0.0035 if number == 5_000 else 0.001
        metrics.ended(invocation(start=number * SECOND // 1000, seconds=seconds, request_id=f"r{number}"))
    got = taken(metrics)
    assert got["hoptrace.environment.in_flight.max"].gauge.data_points[0].as_int == 2
    assert got["hoptrace.environment.invocations"].sum.data_points[0].as_int == 25_000


def test_managed_instances_tell_the_latency_in_the_report_and_cost_nothing_by_time() -> None:
    metrics = Metrics("lambda-managed-instances", peak_concurrency, lambda: 1, None, 512 << 20)
    for number in range(3):
        metrics.ended(invocation(start=number, request_id=f"r{number}"))
        metrics.told(Report(f"r{number}", "success", "", 0, 1, billed=0.5, latency=0.1))
    metrics.last()
    got = taken(metrics)
    assert by_attributes(got["hoptrace.response.latency"])[("http",)].count == 3
    assert (
        not {"hoptrace.invocation.billed_duration", "hoptrace.invocation.estimated_cost", "faas.mem_usage"} & got.keys()
    )
    assert by_attributes(got["hoptrace.environment.in_flight.max"])[("lambda-managed-instances",)].as_int == 3


def test_series_without_end_are_bounded_and_what_has_no_room_is_counted() -> None:
    metrics = make([1])
    for number in range(3_000):
        metrics.ended(invocation(request_id=f"r{number}", **{"faas.trigger": f"t{number}"}))
    got = taken(metrics)
    kept = sum(len(by_attributes(metric)) for name, metric in got.items() if not name.startswith("hoptrace.collector."))
    assert kept <= 2 * 1_000 + 10
    (dropped,) = got["hoptrace.collector.metrics_dropped"].sum.data_points
    assert dropped.attributes[0].value.string_value == "too_many_series"
    assert dropped.as_int >= 3_000
    assert got["hoptrace.environment.invocations"].sum.data_points[0].as_int == 3_000, "what is ours alone is right"
    metrics.ended(invocation())
    assert "hoptrace.collector.metrics_dropped" not in taken(metrics)
