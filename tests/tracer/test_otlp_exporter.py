"""A function with OpenTelemetry's own SDK and exporter, pointed at the collector: nothing is lost, nothing waits."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.collector.support import Backend, free_port, spans_of
from tests.support import exporters
from tests.support.functions import Desk, function

TRACES = """
import sys
sys.path.insert(0, {packages!r})
import time
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

provider = TracerProvider()
provider.add_span_processor({processor}(OTLPSpanExporter({arguments})))
tracer = provider.get_tracer("mine")
count = 0

def handler(event, context):
    global count
    count += 1
    started = time.monotonic()
    with tracer.start_as_current_span("mine %d" % count) as span:
        span.set_attribute("pad", "x" * event.get("pad", 0))
    flushed = provider.force_flush()
    return {{"flushed": flushed, "took": time.monotonic() - started}}
"""


@contextmanager
def desk(folder: Path, source: str, backend: str, **more: str) -> Iterator[Desk]:
    port = free_port()
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://localhost:{port}",
        "HOPTRACE_OTLP_PORT": str(port),
        "HOPTRACE_EXPORTER_OTLP_ENDPOINT": backend,
        **more,
    }
    with function(folder, source, environment=environment, timeout=20.0) as running:
        yield running


def app(version: str, processor: str = "SimpleSpanProcessor", arguments: str = "") -> str:
    packages = str(exporters.otlp_http(version))
    return TRACES.format(packages=packages, processor=processor, arguments=arguments)


def mine(backend: Backend) -> list[str]:
    return sorted(span.name for span in spans_of(backend) if span.name.startswith("mine"))


@pytest.mark.parametrize("processor", ["SimpleSpanProcessor", "BatchSpanProcessor"])
@pytest.mark.parametrize("version", [exporters.OLD, exporters.NEW])
def test_the_first_batch_is_not_lost_and_the_function_does_not_wait_for_it(
    tmp_path: Path, version: str, processor: str
) -> None:
    with Backend() as backend, desk(tmp_path, app(version, processor), backend.url) as running:
        answers = []
        for number in range(1, 4):
            answers.append(running.invoke({}))
            assert mine(backend) == [f"mine {n}" for n in range(1, number + 1)], running.lines
        assert all(answer["flushed"] for answer in answers)
        assert answers[0]["took"] < 0.5
        (record,) = [each for each in running.records() if each["type"] == "otlp"]
        assert record["path"] == "/v1/traces", "the first one came through the file, the others through the port"
    assert not [line for line in running.lines if "Exception" in line or "Transient" in line or "Failed" in line]


def test_packed_requests_are_handed_over_as_they_are(tmp_path: Path) -> None:
    source = app(exporters.NEW)
    with Backend() as backend, desk(tmp_path, source, backend.url, OTEL_EXPORTER_OTLP_COMPRESSION="gzip") as running:
        running.invoke({})
        running.invoke({})
        assert mine(backend) == ["mine 1", "mine 2"]


def test_what_is_too_large_to_be_written_down_opens_the_port_for_the_second_attempt(tmp_path: Path) -> None:
    with Backend() as backend, desk(tmp_path, app(exporters.NEW), backend.url) as running:
        answer = running.invoke({"pad": 900_000})
        assert answer["flushed"]
        assert 0.5 < answer["took"] < 10, "the exporter's own pause"
        assert mine(backend) == ["mine 1"]
        assert not [each for each in running.records() if each["type"] == "otlp"]


SIGNALS = """
import sys
sys.path.insert(0, {packages!r})
import logging
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=3_600_000)])
counter = meters.get_meter("mine").create_counter("orders")
loggers = LoggerProvider()
loggers.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter()))
logger = logging.getLogger("mine")
logger.addHandler(LoggingHandler(logger_provider=loggers))

def handler(event, context):
    counter.add(1)
    logger.warning("out of stock")
    return meters.force_flush()
"""


def test_metrics_and_logs_of_the_users_own_go_the_same_way(tmp_path: Path) -> None:
    source = SIGNALS.format(packages=str(exporters.otlp_http(exporters.OLD)))
    with Backend() as backend:
        with desk(tmp_path, source, backend.url) as running:
            assert running.invoke({}) is True
            assert running.invoke({}) is True
        assert counted(backend) == [1, 2], running.lines
        assert logged(backend) == ["out of stock"] * 2


def counted(backend: Backend) -> list[int]:
    return [
        point.as_int
        for posted in backend.requests
        if posted.path == "/v1/metrics"
        for resource in ExportMetricsServiceRequest.FromString(posted.body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "orders"
        for point in metric.sum.data_points
    ]


def logged(backend: Backend) -> list[str]:
    return [
        record.body.string_value
        for posted in backend.requests
        if posted.path == "/v1/logs"
        for resource in ExportLogsServiceRequest.FromString(posted.body).resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]


@pytest.mark.parametrize(
    ("layer", "elsewhere"),
    [(False, False), (True, True)],
    ids=["without the collector", "at another address"],
)
def test_nothing_is_answered_for_anybody_else(tmp_path: Path, layer: bool, elsewhere: bool) -> None:
    port = free_port()
    environment: Mapping[str, str] = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://localhost:{free_port() if elsewhere else port}",
        "HOPTRACE_OTLP_PORT": str(port),
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        "OTEL_TRACES_EXPORTER": "none",
    }
    source = app(exporters.NEW)
    with function(tmp_path, source, layer=layer, environment=environment, timeout=20.0) as running:
        running.invoke({})
        assert [each for each in running.records() if each["type"] == "otlp"] == []
    assert [line for line in running.lines if "Failed to export" in line or "Transient" in line]


def test_an_endpoint_that_is_the_collectors_own_port_is_refused_with_what_to_set_instead(tmp_path: Path) -> None:
    port = free_port()
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://localhost:{port}", "HOPTRACE_OTLP_PORT": str(port)}
    with function(tmp_path, "def handler(event, context): return 1", environment=environment) as running:
        for _ in range(3):
            running.invoke({})
    said = [line for line in running.lines if "hoptrace: " in line]
    assert len(said) == 1, said
    assert "OTEL_EXPORTER_OTLP_ENDPOINT names the collector's own receiver" in said[0]
    assert "Set HOPTRACE_EXPORTER_OTLP_ENDPOINT" in said[0]


def test_a_collector_of_the_users_own_on_that_port_is_exported_to(tmp_path: Path) -> None:
    with Backend() as backend:
        environment: dict[str, Any] = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://localhost:{backend.port}",
            "HOPTRACE_OTLP_PORT": str(backend.port),
        }
        with function(tmp_path, "def handler(event, context): return 1", environment=environment) as running:
            running.invoke({})
            assert len(spans_of(backend)) == 2
            (environment_of,) = running.host.environments("f")
            port = int((Path(environment_of.run_dir) / "otlp_port").read_text())
            with socket.create_connection(("127.0.0.1", port), 1):
                pass
    (said,) = [line for line in running.lines if "hoptrace: " in line]
    assert f"port {backend.port} is taken" in said
