"""What a function measures and logs through the API, with no provider of its own, reaches the backend."""

from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

import hoptrace
from tests.collector.support import Backend, free_port, unpacked
from tests.logs.logs import logs_of, pairs
from tests.otel.support import pinned, shipping
from tests.support.functions import Desk

VERSIONS = ("1.20.0", "1.30.0", "")
NAMES = ("1.20.0", "1.30.0", "newest")

MEASURES = """
import sys
from opentelemetry import metrics, trace
from opentelemetry._logs import LogRecord, SeverityNumber, get_logger

meter = metrics.get_meter("mine", "7")
orders = meter.create_counter("orders", "{order}", "Orders that were taken.")
open_ = meter.create_up_down_counter("open")
took = meter.create_histogram("took", "ms")
meter.create_observable_counter("seen", [lambda _: [metrics.Observation(seen, {"of": "it"})]])
orders.add(100, {"shop": "at import"})
logger = get_logger("mine", "7")
seen = 0

class Record(LogRecord):
    pass

def handler(event, _):
    global seen
    seen += event["n"] * 10
    orders.add(event["n"], {"shop": "a"})
    open_.add(event["n"])
    took.record(event["n"] * 3)
    with trace.get_tracer("mine").start_as_current_span("work") as span:
        logger.emit(Record(body={"n": event["n"], "list": [1, "x"]}, severity_number=SeverityNumber.WARN,
                           severity_text="WARN", attributes={"k": "v", "password": "hunter2"}))
    logger.emit(Record(body="plain"))
    return sorted(m for m in sys.modules if m.startswith("opentelemetry.sdk"))
"""


def environment(backend: Backend, **more: str) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{backend.port}",
        "HOPTRACE_OTLP_PORT": str(free_port()),
        **more,
    }


def metrics_of(backend: Backend) -> list[Any]:
    """Every point that has come: scope, metric, point."""
    posted = [unpacked(each) for each in backend.requests if each.path == "/v1/metrics"]
    return [
        (scope.scope, metric, point)
        for body in posted
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in resource.scope_metrics
        if scope.scope.name != "hoptrace_collector"
        for metric in scope.metrics
        for point in getattr(metric, metric.WhichOneof("data")).data_points
    ]


def numbers(backend: Backend, name: str) -> list[tuple[dict[str, Any], float]]:
    found = [(metric, point) for _, metric, point in metrics_of(backend) if metric.name == name]
    return [(pairs(p.attributes), p.sum if m.HasField("histogram") else p.as_int or p.as_double) for m, p in found]


def written(desk: Desk, kind: str) -> list[dict[str, Any]]:
    return [record for record in desk.records() if record["type"] == kind]


@pytest.mark.parametrize("version", VERSIONS, ids=NAMES)
def test_points_and_log_records_made_with_the_api_alone_arrive_after_each_invocation(
    version: str, tmp_path: Path
) -> None:
    with Backend() as backend:
        api = pinned("opentelemetry-api", version)
        with shipping(tmp_path, MEASURES, api, environment=environment(backend, HOPTRACE_REDACT="true")) as desk:
            assert [desk.invoke({"n": n}) for n in (1, 2)] == [[], []]
            records = desk.records()
    at_import, a = {"shop": "at import"}, {"shop": "a"}
    assert numbers(backend, "orders") == [(at_import, 100), (a, 1), (a, 2)]
    assert numbers(backend, "open") == [({}, 1), ({}, 3)]
    assert numbers(backend, "took") == [({}, 3), ({}, 6)]
    assert numbers(backend, "seen") == [({"of": "it"}, 10), ({"of": "it"}, 20)]
    scope, metric, _ = next(each for each in metrics_of(backend) if each[1].name == "orders")
    assert (scope.name, scope.version, metric.unit, metric.description) == (
        "mine",
        "7",
        "{order}",
        "Orders that were taken.",
    )
    assert (metric.sum.aggregation_temporality, metric.sum.is_monotonic) == (1, True)
    windows = [(p.start_time_unix_nano, p.time_unix_nano) for _, m, p in metrics_of(backend) if m.name == "took"]
    assert windows[0][0] < windows[0][1] == windows[1][0] < windows[1][1]

    spans = [r["span"] for r in records if r["type"] == "span" and r["span"]["name"] == "work"]
    roots = [r["span"] for r in records if r["type"] == "end"]
    found = logs_of(backend)
    assert [log.body for log in found] == [{"n": 1, "list": [1, "x"]}, "plain", {"n": 2, "list": [1, "x"]}, "plain"]
    assert [log.span_id for log in found] == [s["span_id"] for pair in zip(spans, roots, strict=True) for s in pair]
    assert [log.trace_id for log in found[::2]] == [span["trace_id"] for span in spans]
    first = found[0]
    assert (first.severity, first.level, first.logger, first.attributes["k"]) == (13, "WARN", "mine", "v")
    assert first.attributes["faas.invocation_id"] == roots[0]["attributes"]["faas.invocation_id"]
    assert "hunter2" not in repr(found)
    assert first.resource["faas.name"] == "f"


KILLED = """
import time
from opentelemetry import metrics
from opentelemetry._logs import LogRecord, get_logger
counter = metrics.get_meter("mine").create_counter("c")
logger = get_logger("mine")

class Record(LogRecord):
    pass

def handler(event, _):
    counter.add(event)
    logger.emit(Record(body=f"emitted {event}"))
    if event == 2:
        import os
        os._exit(7)
    if event == 4:
        raise SystemExit(1)
"""


def test_a_crash_loses_what_its_own_invocation_has_counted_and_no_log_record(tmp_path: Path) -> None:
    with (
        Backend() as backend,
        shipping(tmp_path, KILLED, "opentelemetry-api", environment=environment(backend)) as desk,
    ):
        for event in (1, 2, 3, 4, 5):
            desk.invoke(event)
    assert sorted(value for _, value in numbers(backend, "c")) == [1, 3, 4, 5]
    assert sorted(log.body for log in logs_of(backend)) == [f"emitted {n}" for n in (1, 2, 3, 4, 5)]


TAKES_OVER = """
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

reader = InMemoryMetricReader()
BEFORE
meter = metrics.get_meter("mine")
counter = meter.create_counter("c")
meter.create_observable_gauge("g", [lambda _: [metrics.Observation(1)]])
AFTER

def handler(event, _):
    counter.add(event)
    if event == 2:
        INSIDE
        counter.add(10)
    data = reader.get_metrics_data()
    metrics_ = [m for r in (data.resource_metrics if data else ()) for s in r.scope_metrics for m in s.metrics]
    return sorted([m.name, m.data.data_points[0].value] for m in metrics_)
"""
SETS = "metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))"


@pytest.mark.parametrize("version", ["1.20.0", ""], ids=["1.20.0", "newest"])
@pytest.mark.parametrize("where", ["BEFORE", "AFTER", "INSIDE"])
def test_a_meter_provider_of_the_users_own_wins_whenever_it_is_set(version: str, where: str, tmp_path: Path) -> None:
    source = TAKES_OVER
    for place in ("BEFORE", "AFTER", "INSIDE"):
        source = source.replace(place, SETS if place == where else "pass")
    with (
        Backend() as backend,
        shipping(tmp_path, source, pinned("opentelemetry-sdk", version), environment=environment(backend)) as desk,
    ):
        seen = [desk.invoke(n) for n in (1, 2, 4)]
        told = [
            (metric["name"], point["value"])
            for line in written(desk, "metrics")
            for scope in line["scopes"]
            for metric in scope["metrics"]
            for point in metric["points"]
        ]
    if where == "INSIDE":
        assert seen == [[], [["c", 10], ["g", 1]], [["c", 14], ["g", 1]]]
        assert told == [("c", 1), ("g", 1), ("c", 2)]
    else:
        assert seen == [[["c", 1], ["g", 1]], [["c", 13], ["g", 1]], [["c", 17], ["g", 1]]]
        assert told == []


LOGS_TAKEN_OVER = """
from opentelemetry import _logs
from opentelemetry._logs import LogRecord, get_logger, set_logger_provider

class Record(LogRecord):
    resource = None

class Mine(_logs.Logger):
    def emit(self, record=None, **more):
        got.append(record.body)
    def enabled(self, **_):
        return True

class Provider(_logs.LoggerProvider):
    def get_logger(self, name, *more, **named):
        return Mine(name)

got = []
BEFORE
logger = get_logger("mine")
AFTER

def handler(event, _):
    logger.emit(Record(body=event))
    if event == 2:
        INSIDE
        logger.emit(Record(body=20))
    return got
"""


@pytest.mark.parametrize("version", VERSIONS, ids=NAMES)
@pytest.mark.parametrize("where", ["BEFORE", "AFTER", "INSIDE"])
def test_a_logger_provider_of_the_users_own_wins_whenever_it_is_set(version: str, where: str, tmp_path: Path) -> None:
    source = LOGS_TAKEN_OVER
    for place in ("BEFORE", "AFTER", "INSIDE"):
        source = source.replace(place, "set_logger_provider(Provider())" if place == where else "pass")
    with (
        Backend() as backend,
        shipping(tmp_path, source, pinned("opentelemetry-api", version), environment=environment(backend)) as desk,
    ):
        seen = [desk.invoke(n) for n in (1, 2, 4)]
        told = [line["log"]["body"] for line in written(desk, "log")]
    if where == "INSIDE":
        assert (seen, told) == ([[], [20], [20, 4]], [1, 2])
    else:
        assert (seen, told) == ([[1], [1, 2, 20], [1, 2, 20, 4]], [])


def test_each_half_can_be_switched_off(tmp_path: Path) -> None:
    off = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    with (
        Backend() as backend,
        shipping(tmp_path, MEASURES, "opentelemetry-api", environment=environment(backend, **off)) as desk,
    ):
        assert desk.invoke({"n": 1}) == []
        assert written(desk, "metrics") == written(desk, "log") == []
    assert not [each for each in backend.requests if each.path != "/v1/traces"]


LATER = """
import sys
def handler(event, _):
    return sorted(m for m in sys.modules if m.startswith("hoptrace.otel") and m[14:] in ("meters", "loggers", "points"))
from opentelemetry import trace
"""


def test_a_function_that_only_traces_loads_nothing_of_metrics_and_logs(tmp_path: Path) -> None:
    with shipping(tmp_path, LATER, "opentelemetry-api") as desk:
        assert desk.invoke({}) == []


DIRECT = """
import hoptrace
from opentelemetry import metrics
from opentelemetry._logs import LogRecord, get_logger
counter = metrics.get_meter("mine").create_counter("c")

@hoptrace.trace
def handler(event, _):
    counter.add(event)
    get_logger("mine").emit(LogRecord(body=f"got {event}"))
    return event
"""


def test_without_a_collector_they_are_sent_by_the_function_itself(tmp_path: Path) -> None:
    package = Path(hoptrace.__file__).parent
    sources = {"app.py": DIRECT}
    for file in package.rglob("*.py"):
        sources[f"hoptrace/{file.relative_to(package)}"] = file.read_text("utf-8")
    with Backend() as backend:
        variables = environment(backend)
        with shipping(tmp_path, sources, "opentelemetry-api", layer=False, environment=variables) as desk:
            assert [desk.invoke(n) for n in (1, 2)] == [1, 2]
        sent = [
            ExportMetricsServiceRequest.FromString(each.body) for each in backend.requests if "metrics" in each.path
        ]
        logs = [ExportLogsServiceRequest.FromString(each.body) for each in backend.requests if "logs" in each.path]
        assert "lost" not in "".join(desk.lines)
    points = [m.sum.data_points[0].as_int for one in sent for m in one.resource_metrics[0].scope_metrics[0].metrics]
    assert points == [1, 2]
    bodies = [r.body.string_value for one in logs for r in one.resource_logs[0].scope_logs[0].log_records]
    assert bodies == ["got 1", "got 2"]
    assert sent[0].resource_metrics[0].resource.attributes == logs[0].resource_logs[0].resource.attributes


HANDLED = """
import logging
from opentelemetry.sdk._logs import LoggingHandler

logging.getLogger("shop").addHandler(LoggingHandler())

def handler(event, _):
    try:
        raise ValueError("no such shop")
    except ValueError:
        logging.getLogger("shop").exception("order %s", event, extra={"shop": "a"})
    return event
"""


# In between, such as in 1.30, the SDK's handler raises without a provider, with hoptrace or without.
@pytest.mark.parametrize("version", ["1.20.0", ""], ids=["1.20.0", "newest"])
def test_the_sdks_logging_handler_needs_no_provider(version: str, tmp_path: Path) -> None:
    with Backend() as backend:
        sdk = pinned("opentelemetry-sdk", version)
        with shipping(tmp_path, HANDLED, sdk, environment=environment(backend)) as desk:
            assert [desk.invoke(n) for n in (1, 2)] == [1, 2]
    found = logs_of(backend)
    assert [log.body for log in found] == ["order 1", "order 2"]
    assert all(log.attributes["shop"] == "a" and log.severity == 17 and log.trace_id for log in found)
    assert all(log.attributes["exception.type"] == "ValueError" for log in found)
