"""Metrics and logs of the user's own providers arrive with the invocation that made them."""

from pathlib import Path

import pytest

from hoptrace_local.sink import OtlpSink
from tests.otel.support import shipping

METRICS = """
import os
os.environ.pop("OTEL_EXPORTER_OTLP_ENDPOINT", None)  # the loopback, where the collector listens
os.environ["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"] = "delta"
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
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}
        with shipping(tmp_path, METRICS, *wanted, environment=variables) as desk:
            for n in (1, 2, 4):
                desk.invoke({"n": n})
        points = [point for point in sink.metrics if point.name == "orders"]
    assert [point.value for point in points] == [1, 2, 4]
    assert all(point.attributes == {"shop": "a"} for point in points)
