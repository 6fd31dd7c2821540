"""Metrics and logs of the user's own providers arrive with the invocation that made them."""

from pathlib import Path

import pytest

from hoptrace_local.sink import OtlpSink
from tests.otel.support import shipping, to_the_collector

METRICS = """
from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

reader = PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=3_600_000)
metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))
counter = metrics.get_meter("mine").create_counter("orders")

def handler(event, _):
    counter.add(event["n"], {"shop": "a"})
"""


@pytest.mark.parametrize("version", ["==1.30.0", ""], ids=["1.30.0", "newest"])
def test_points_of_the_users_own_provider_arrive_after_each_invocation(version: str, tmp_path: Path) -> None:
    wanted = (f"opentelemetry-sdk{version}", f"opentelemetry-exporter-otlp-proto-http{version}")
    with OtlpSink() as sink:
        variables = {**to_the_collector(sink), "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"}
        with shipping(tmp_path, METRICS, *wanted, environment=variables) as desk:
            for n in (1, 2, 4):
                desk.invoke({"n": n})
        points = [point for point in sink.metrics if point.name == "orders"]
    assert [point.value for point in points] == [1, 2, 4]
    assert all(point.attributes == {"shop": "a"} for point in points)


STUCK = """
from opentelemetry import metrics

class Stuck:
    def get_meter(self, *a, **k):
        return metrics.NoOpMeter("x")
    def force_flush(self, timeout_millis=0):
        import time
        time.sleep(60)

metrics.set_meter_provider(Stuck())

def handler(event, _):
    return event
"""


def test_a_provider_that_never_comes_back_from_its_flush_does_not_hold_the_function(tmp_path: Path) -> None:
    with shipping(tmp_path, STUCK, "opentelemetry-api", timeout=3.0) as desk:
        assert [desk.invoke(n) for n in (1, 2, 3)] == [1, 2, 3]
        assert not [line for line in desk.lines if "timed out" in line]
