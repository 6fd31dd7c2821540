"""What a function measures and logs through OpenTelemetry's API: hostile records, merging, encoding."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from hoptrace_collector.counters import Counters
from hoptrace_collector.export.encode import encode_foreign
from hoptrace_collector.measures import Measures
from hoptrace_collector.model import LogRecord, Measured
from hoptrace_collector.pipeline.queue import Queue, Room
from hoptrace_collector.receive.decode import decode

WINDOW = {"v": 1, "type": "metrics", "start": 10, "end": 20}


class Rig:
    def __init__(self) -> None:
        self.dropped: list[tuple[int, str]] = []
        room = Room(8 << 20)
        self.queues = [Queue(room, lambda count, why: self.dropped.append((count, why))) for _ in "ab"]
        self.counters = Counters(lambda _: None)
        self.measures = Measures(*self.queues, self.counters, lambda: (("service.name", "f"),))

    def take(self, record: Any) -> None:
        found = decode(json.loads(json.dumps(record)))
        assert found is None or isinstance(found, Measured | LogRecord)
        if found is not None:
            self.measures.take(found)

    def sent(self) -> tuple[list[Any], list[Any]]:
        """Metrics with their scopes, and log records with theirs."""
        self.measures.queue()
        metrics, logs = (encode_foreign(item.data for item in queue.items()) for queue in self.queues)
        amounts = [sum(item.amount for item in queue.items()) for queue in self.queues]
        found = [
            (scope.scope, metric)
            for resource in ExportMetricsServiceRequest.FromString(metrics).resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]
        records = [
            (scope.scope, record)
            for resource in ExportLogsServiceRequest.FromString(logs).resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]
        points = [len(getattr(metric, metric.WhichOneof("data")).data_points) for _, metric in found]
        assert amounts == [sum(points), len(records)]
        return found, records


def measured(start: int, end: int, *metrics: dict[str, Any]) -> dict[str, Any]:
    scopes = [{"name": "mine", "version": "1", "metrics": list(metrics)}]
    return {"v": 1, "type": "metrics", "start": start, "end": end, "scopes": scopes}


def counter(*points: tuple[dict[str, Any], float], **more: Any) -> dict[str, Any]:
    told = [{"attributes": attributes, "value": value} for attributes, value in points]
    return {"name": "c", "kind": "sum", "monotonic": True, "points": told, **more}


def test_deltas_of_several_invocations_become_one_point_over_all_their_time() -> None:
    rig = Rig()
    rig.take(measured(10, 20, counter(({"a": 1}, 1), ({"a": True}, 5))))
    rig.take(measured(20, 30, counter(({"a": 1}, 2), ({}, 7))))
    ((scope, metric),), _ = rig.sent()
    points = [(len(p.attributes), p.as_int, p.start_time_unix_nano, p.time_unix_nano) for p in metric.sum.data_points]
    assert points == [(1, 3, 10, 30), (1, 5, 10, 20), (0, 7, 20, 30)]
    assert (scope.name, scope.version, metric.sum.is_monotonic, metric.sum.aggregation_temporality) == (
        "mine",
        "1",
        True,
        1,
    )
    assert rig.sent()[0] == [(scope, metric)], "nothing is queued twice"
    assert rig.counters.total("metrics_received") == 4


def test_histograms_are_added_and_of_what_is_told_whole_the_latest_counts() -> None:
    rig = Rig()
    for start, counts, total, least, most in ((10, [1, 0], 1, 1, 1), (20, [0, 2], 9, 4, 5)):
        told = {"sum": total, "counts": counts, "min": least, "max": most}
        histogram = {"name": "h", "kind": "histogram", "bounds": [2], "points": [told]}
        up_down = {"name": "u", "kind": "sum", "cumulative": True, "points": [{"value": total, "start": 5}]}
        gauge = {"name": "g", "kind": "gauge", "points": [{"value": total}]}
        rig.take(measured(start, start + 10, histogram, up_down, gauge))
    found, _ = rig.sent()
    by_name = {metric.name: metric for _, metric in found}
    (h,) = by_name["h"].histogram.data_points
    assert (list(h.bucket_counts), h.sum, h.min, h.max, h.count, h.start_time_unix_nano) == ([1, 2], 10, 1, 5, 3, 10)
    (u,) = by_name["u"].sum.data_points
    assert (u.as_int, u.start_time_unix_nano, u.time_unix_nano) == (9, 5, 30)
    assert (by_name["u"].sum.aggregation_temporality, by_name["u"].sum.is_monotonic) == (2, False)
    assert [p.as_int for p in by_name["g"].gauge.data_points] == [9]


def test_a_point_without_a_usable_number_is_counted_and_the_others_go_on() -> None:
    rig = Rig()
    bad: list[Any] = [None, "1", True, float("nan"), float("inf"), [], 10**400]
    rig.take(measured(10, 20, counter(*(({"n": n}, value) for n, value in enumerate([*bad, 1])))))
    lame = {"name": "h", "kind": "histogram", "bounds": [1], "points": [{"sum": 1, "counts": [1], "min": 1, "max": 1}]}
    rig.take(measured(10, 20, lame, {"name": "x", "kind": "summary", "points": [{"value": 1}]}))
    ((_, metric),), _ = rig.sent()
    assert [p.as_int for p in metric.sum.data_points] == [1]
    assert rig.counters.total("metrics_dropped", "unfit") == len(bad) + 2


def test_a_log_record_keeps_all_that_it_says() -> None:
    rig = Rig()
    log = {
        "time": 1, "observed": 2, "severity": 13, "level": "WARN", "body": {"a": [1, None, "x"]}, "event": "e",
        "attributes": {"k": {"deep": 1}}, "trace_id": "0a" * 16, "span_id": "0b" * 8, "flags": 1,
    }  # fmt: skip
    rig.take({"v": 1, "type": "log", "request_id": "r", "scope": ["mine", "2"], "log": log})
    _, ((scope, record),) = rig.sent()
    assert (scope.name, scope.version, record.event_name, record.severity_number) == ("mine", "2", "e", 13)
    assert (record.trace_id.hex(), record.span_id.hex(), record.flags) == ("0a" * 16, "0b" * 8, 1)
    assert {pair.key for pair in record.attributes} == {"k", "faas.invocation_id"}
    assert record.body.HasField("kvlist_value")


def test_an_event_without_a_body_is_one() -> None:
    rig = Rig()
    rig.take({"type": "log", "log": {"event": "e"}})
    _, ((_, record),) = rig.sent()
    assert (record.event_name, record.HasField("body")) == ("e", False)


def test_more_log_records_than_may_wait_are_queued_at_once() -> None:
    rig = Rig()
    for _ in range(40):
        rig.take({"type": "log", "log": {"body": "x" * 100_000}})
    assert len(rig.queues[1]) > 10
    assert len(rig.sent()[1]) == 40


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
KEYS = ("name", "version", "kind", "points", "metrics", "bounds", "monotonic", "cumulative", "attributes", "value",
        "counts", "sum", "min", "max", "start")  # fmt: skip


def _hostile(inner: Callable[..., Any]) -> Any:
    some = st.sampled_from(["sum", "gauge", "histogram", "c"]) | JSON | inner()
    return st.dictionaries(st.sampled_from(KEYS), some | st.lists(some, max_size=3), max_size=6)


POINT = _hostile(st.nothing)
METRIC = st.fixed_dictionaries(
    {"name": st.just("m") | JSON, "kind": st.sampled_from(["sum", "gauge", "histogram"]) | JSON},
    optional={
        "points": st.lists(POINT | JSON, max_size=3) | JSON,
        "bounds": st.lists(st.integers(), max_size=3) | JSON,
        "cumulative": JSON,
    },
)
SCOPES = st.lists(st.fixed_dictionaries({"metrics": st.lists(METRIC | JSON, max_size=3) | JSON}) | JSON, max_size=3)
LOG = st.dictionaries(
    st.sampled_from(
        ["time", "observed", "severity", "level", "body", "attributes", "event", "trace_id", "span_id", "flags"]
    ),
    JSON,
)


@settings(max_examples=500, deadline=None)
@given(SCOPES | JSON, LOG | JSON, JSON, JSON)
def test_whatever_stands_in_a_record_becomes_otlp_or_nothing(scopes: Any, log: Any, start: Any, scope: Any) -> None:
    rig = Rig()
    for _ in range(2):
        rig.take({"v": 1, "type": "metrics", "start": start, "end": start, "scopes": scopes})
        rig.take({"v": 1, "type": "log", "request_id": start, "scope": scope, "log": log})
    rig.sent()
    assert rig.dropped == []
