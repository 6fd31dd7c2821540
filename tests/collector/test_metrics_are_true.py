"""Each number that the collector reports, against what the Lambda on the desk itself has counted and measured."""

import json
import os
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.support.functions import function

from .support import Backend

APP = """
import os, time

def handler(event, context):
    what = event["what"]
    if what == "error":
        raise ValueError("no")
    if what == "timeout":
        time.sleep(60)
    if what == "crash":
        os._exit(3)
    if what == "memory":
        held = bytearray(600 << 20)
        held[::4096] = b"x" * len(held[::4096])
        time.sleep(60)
    if what == "work":
        end = time.process_time() + 0.06
        while time.process_time() < end:
            pass
    if what == "wait":
        time.sleep(0.06)
    return what
"""


class Points:
    """Everything that was exported, summed over all of it."""

    def __init__(self, backend: Backend) -> None:
        self.sums: dict[str, float] = {}
        self.parts: dict[tuple[str, ...], float] = {}
        self.gauges: dict[str, list[float]] = {}
        self.triggers: dict[str, Counter[str]] = {}
        self.distributions: dict[str, list[Any]] = {}
        for posted in backend.requests:
            if posted.path != "/v1/metrics":
                continue
            for resource in ExportMetricsServiceRequest.FromString(posted.body).resource_metrics:
                for metric in resource.scope_metrics[0].metrics:
                    self._add(metric)

    def _add(self, metric: Any) -> None:
        for point in (*metric.sum.data_points, *metric.histogram.data_points):
            assert point.start_time_unix_nano < point.time_unix_nano
            for pair in point.attributes:
                if pair.key == "faas.trigger":
                    self.triggers.setdefault(metric.name, Counter())[pair.value.string_value] += 1
        for point in metric.sum.data_points:
            assert metric.sum.aggregation_temporality == 1, "delta"
            value = point.as_int or point.as_double
            self.sums[metric.name] = self.sums.get(metric.name, 0) + value
            part = (metric.name, *(pair.value.string_value for pair in point.attributes))
            self.parts[part] = self.parts.get(part, 0) + value
        for point in metric.gauge.data_points:
            self.gauges.setdefault(metric.name, []).append(point.as_int)
        for point in metric.histogram.data_points:
            assert metric.histogram.aggregation_temporality == 1
            assert sum(point.bucket_counts) == point.count
            self.distributions.setdefault(metric.name, []).append(point)

    def count(self, name: str) -> int:
        return sum(point.count for point in self.distributions.get(name, []))

    def sizes(self) -> list[float]:
        return [point.sum for point in self.distributions.get("hoptrace.response.size", [])]

    def total(self, name: str) -> float:
        return sum(point.sum for point in self.distributions.get(name, []))


def test_forty_invocations_of_all_kinds_add_up(tmp_path: Path) -> None:
    whats = ["ok"] * 16 + ["work"] * 5 + ["wait"] * 5 + ["error"] * 7 + ["crash"] * 3 + ["timeout"] * 2 + ["memory"] * 2
    random.Random(7).shuffle(whats)
    with Backend() as backend:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": backend.url}
        with function(tmp_path, APP, environment=environment, timeout=4.0, memory=512) as desk:
            results = [(what, desk.host.invoke("f", json.dumps({"what": what}).encode())) for what in whats]
            stats = desk.host.stats("f")
            telemetry = desk.host.telemetry("f")
        points = Points(backend)
    sums = points.sums
    assert stats.invocations == len(whats) == 40

    # How each ended.
    assert sums["faas.timeouts"] == stats.timeouts == 2
    assert sums["faas.errors"] == stats.errors - stats.timeouts == 7 + 3 + 2
    assert sums["faas.invocations"] == 40 - stats.errors == 26
    cold = [result for _, result in results if result.cold_start]
    assert points.parts["faas.errors", "other", "ValueError"] == 7
    assert points.parts["faas.errors", "other", "Runtime.ExitError"] == 3
    assert points.parts["faas.errors", "other", "Runtime.OutOfMemory"] == 2
    assert sums["hoptrace.invocation.out_of_memory"] == 2
    assert sums["hoptrace.environment.invocations"] == 40
    assert set(points.gauges["hoptrace.environment.in_flight.max"]) == {stats.peak_concurrency} == {1}
    assert set(points.gauges["hoptrace.environment.alive"]) == {1}
    assert sums["faas.coldstarts"] == stats.cold_starts == len(cold) == 8, "the first, and one after each of 7 resets"

    # How long, against the clock of the host: ours begins with the handler and ends with it.
    assert points.count("faas.invoke_duration") == 40
    theirs = sum(result.response_seconds - (result.init_seconds or 0) for _, result in results)
    assert points.total("faas.invoke_duration") == pytest.approx(theirs, rel=0.1)
    assert sums["hoptrace.environment.busy_time"] == pytest.approx(points.total("faas.invoke_duration"))
    assert max(point.max for point in points.distributions["faas.invoke_duration"]) == pytest.approx(4.0, abs=0.1)

    # Initialisations, one for each environment and reset, against the host's and its own telemetry.
    reported = [event["record"]["metrics"]["durationMs"] / 1000 for event in telemetry if is_init(event)]
    assert points.count("faas.init_duration") == 8
    assert points.total("faas.init_duration") == pytest.approx(sum(reported), rel=0.3)

    # CPU: what came back has told it.
    assert points.count("faas.cpu_usage") == 16 + 5 + 5 + 7
    assert points.total("faas.cpu_usage") == pytest.approx(5 * 0.06, abs=0.1)

    # Memory: what Lambda reports after an invocation, as far as it reaches a generation that still lives.
    assert 10 <= points.count("faas.mem_usage") <= 40
    assert all(10 << 20 < point.min <= point.max <= 640 << 20 for point in points.distributions["faas.mem_usage"])

    assert points.distributions["hoptrace.invocation.memory_utilization"][0].max <= 640 / 512

    # What Lambda says of each answer, and of the time after it.
    done = [event["record"] for event in telemetry if event["type"] == "platform.runtimeDone"]
    answered = [record for record in done if record["status"] == "success"]
    assert points.count("hoptrace.response.size") <= len(answered)
    assert points.count("hoptrace.response.size") >= len(answered) - 7, "what a reset has cut off excepted"
    assert sum(points.sizes()) == pytest.approx(sum(size(record) for record in answered), rel=0.3)
    latencies = [record["spans"][0]["durationMs"] / 1000 for record in answered]
    assert points.total("hoptrace.response.latency") == pytest.approx(sum(latencies), rel=0.3)
    reports = [event["record"] for event in telemetry if event["type"] == "platform.report"]
    overheads = [record["spans"][0]["durationMs"] / 1000 for record in reports]
    assert 0 < points.total("hoptrace.environment.extension_overhead") <= sum(overheads)

    # What is billed: what was reported, and what was not by our own clock.
    # Of a reset the host also counts the time that the environment took to end, which nobody in it can see.
    billed = sum(record["metrics"]["billedDurationMs"] for record in reports) / 1000
    ends = sum(result.released_seconds - result.response_seconds for what, result in results if fatal(what))
    assert billed * 0.9 - ends - 1.0 < sums["hoptrace.invocation.billed_duration"] < billed * 1.05
    assert points.parts["hoptrace.invocation.billed_duration", "report"] > 0
    assert points.parts["hoptrace.invocation.billed_duration", "clock"] > 2 * 4.0 * 0.95, "the timeouts, at the least"
    price = 0.0000133334 if os.uname().machine == "aarch64" else 0.0000166667
    cost = sums["hoptrace.invocation.billed_duration"] * 0.5 * price + 40 * 0.2e-6
    assert sums["hoptrace.invocation.estimated_cost"] == pytest.approx(cost, rel=1e-6)

    # What was held after the response, against the host's.
    held = [result.released_seconds - result.response_seconds for what, result in results if not fatal(what)]
    assert points.count("hoptrace.environment.post_response_time") == len(held)
    assert points.total("hoptrace.environment.post_response_time") == pytest.approx(sum(held), abs=0.2)
    assert points.triggers["faas.invocations"].keys() == {"other"}
    assert "faas.net_io" not in points.distributions, "a desk's network is not the function's alone"


BATCHES = """
import time

def handler(event, context):
    time.sleep(0.6)
    return {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}
"""


def batch() -> bytes:
    """Two messages of a queue, ten and five seconds old."""
    now = int(time.time() * 1000)
    records = [
        {
            "messageId": f"m{age}",
            "receiptHandle": "h",
            "body": "{}",
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": str(now - age * 1000),
                "ApproximateFirstReceiveTimestamp": str(now),
                "SenderId": "A",
            },
            "messageAttributes": {},
            "md5OfBody": "x",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:orders",
            "awsRegion": "us-east-1",
        }
        for age in (10, 5)
    ]
    return json.dumps({"Records": records}).encode()


def test_what_provisioned_environments_took_and_what_spilled_over_and_what_was_in_the_batches(tmp_path: Path) -> None:
    with Backend() as backend:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": backend.url}
        more = {"initialization_type": "provisioned-concurrency", "max_environments": 3, "memory": 256}
        with function(tmp_path, BATCHES, environment=environment, **more) as desk:
            desk.host.initialize("f", 2)
            calls = [threading.Thread(target=desk.host.invoke, args=("f", batch())) for _ in range(3)]
            for call in calls:
                call.start()
            for call in calls:
                call.join()
            desk.host.invoke("f", batch())
            stats = desk.host.stats("f")
            reports = [each["record"] for each in desk.host.telemetry("f") if each["type"] == "platform.report"]
        points = Points(backend)
        instances = alive(backend)
    parts, sums = points.parts, points.sums
    assert stats.spillovers == 1
    assert parts["hoptrace.environment.invocations", "on-demand"] == stats.spillovers
    assert parts["hoptrace.environment.invocations", "provisioned-concurrency"] == stats.invocations - stats.spillovers
    assert parts["hoptrace.environment.busy_time", "on-demand"] == pytest.approx(0.6, abs=0.1)
    assert parts["hoptrace.environment.busy_time", "provisioned-concurrency"] == pytest.approx(3 * 0.6, abs=0.2)
    assert len(instances) == 3, "environments, of which three were in use at a time"
    assert stats.peak_concurrency == 3
    assert sums["faas.coldstarts"] == stats.cold_starts == 1, "nobody waited for the provisioned ones"
    assert points.count("faas.init_duration") == 3

    assert sums["hoptrace.batch.item_failures"] == 4
    assert points.count("hoptrace.message.age") == 4
    ages = points.distributions["hoptrace.message.age"]
    assert all(9.5 < point.min <= point.max < 12.0 for point in ages), "the oldest of each batch"
    assert points.triggers["faas.invocations"].keys() == {"pubsub"}

    # The provisioned ones are cheaper by the second; each request costs the same.
    on_demand, provisioned = ((0.0000133334, 0.0000077778), (0.0000166667, 0.0000097222))[
        os.uname().machine == "x86_64"
    ]
    ours, cost = sums["hoptrace.invocation.billed_duration"], sums["hoptrace.invocation.estimated_cost"]
    # Lambda's clock begins before the handler does and before the process that tells how long it took to start.
    assert 4 * 0.6 < ours < sum(record["metrics"]["billedDurationMs"] for record in reports) / 1000 * 1.05
    assert ours * 0.25 * provisioned < cost - 4 * 0.2e-6 < ours * 0.25 * on_demand


def alive(backend: Backend) -> set[str]:
    """The environments that have said that they are alive."""
    found = set()
    for posted in backend.requests:
        if posted.path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(posted.body).resource_metrics:
                if any(metric.name == "hoptrace.environment.alive" for metric in resource.scope_metrics[0].metrics):
                    found |= {p.value.string_value for p in resource.resource.attributes if p.key == "faas.instance"}
    return found


def size(record: dict[str, Any]) -> float:
    produced: float = record["metrics"]["producedBytes"]
    return produced


def fatal(what: str) -> bool:
    return what in ("crash", "timeout", "memory")


def is_init(event: dict[str, Any]) -> bool:
    return bool(event["type"] == "platform.initReport")
