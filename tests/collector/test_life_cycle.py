"""The whole process between a scripted Lambda and a receiver."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from .support import (
    ARN,
    TRACE,
    Backend,
    Collector,
    Lambda,
    attributes_of,
    begin,
    ended,
    inner,
    invoke_event,
    shutdown_event,
    span,
    spans_of,
    tracer_bell,
    write,
)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return tmp_path / "run"


def metrics_of(backend: Backend) -> dict[str, float]:
    """The sums by name over everything that was exported; of a histogram its count."""
    out: dict[str, float] = {}
    for posted in backend.requests:
        if posted.path != "/v1/metrics":
            continue
        for resource in ExportMetricsServiceRequest.FromString(posted.body).resource_metrics:
            for metric in resource.scope_metrics[0].metrics:
                for point in metric.sum.data_points:
                    out[metric.name] = out.get(metric.name, 0) + (point.as_int or point.as_double)
                for point in metric.histogram.data_points:
                    out[metric.name] = out.get(metric.name, 0) + point.count
                for point in metric.gauge.data_points:
                    out[metric.name] = point.as_int
    return out


def test_an_invocation_is_exported_after_the_ring_and_before_the_next_event_is_asked_for(run_dir: Path) -> None:
    with (
        Lambda() as host,
        Backend() as backend,
        tracer_bell(run_dir) as ring,
        Collector(host, run_dir, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url) as collector,
    ):
        host.wait_for_next()
        for number in range(1, 4):
            host.invoke(f"r{number}")
            write(run_dir, begin(number, f"r{number}"), inner(10 + number), ended(number, f"r{number}"))
            ring()
            host.wait_for_next()
            assert len(spans_of(backend)) == 2 * number
        host.shut_down()
        assert collector.end() == ""
    assert len(spans_of(backend)) == 6, "nothing is sent twice"
    assert metrics_of(backend)["faas.invocations"] == 3
    assert metrics_of(backend)["faas.invoke_duration"] == 3
    assert metrics_of(backend)["hoptrace.environment.busy_time"] == pytest.approx(1.5)
    assert metrics_of(backend)["hoptrace.collector.sent"] == 6


def test_it_registers_itself_when_no_shell_has(run_dir: Path) -> None:
    with Lambda() as host, Collector(host, run_dir, "--name", "hoptrace-collector") as collector:
        host.wait_for_next()
        host.shut_down()
        collector.end()
    assert host.registrations == [("hoptrace-collector", {"events": ["INVOKE", "SHUTDOWN"]})]
    assert host.subscriptions[0]["schemaVersion"] == "2022-12-13"
    assert host.subscriptions[0]["types"] == ["platform"]


def test_an_event_that_the_shell_has_received_is_not_asked_for_again(run_dir: Path) -> None:
    write(run_dir, begin(1), ended(1))
    with (
        Lambda() as host,
        Backend() as backend,
        tracer_bell(run_dir),
        Collector(
            host,
            run_dir,
            "--extension-id",
            "the-id",
            "--event",
            json.dumps(invoke_event("r1", seconds=30)),
            "--rung",
            OTEL_EXPORTER_OTLP_ENDPOINT=backend.url,
        ) as collector,
    ):
        host.wait_for_next()
        assert len(spans_of(backend)) == 1, "exported without waiting for a ring that has been"
        host.shut_down()
        collector.end()
    assert host.registrations == []
    assert len(spans_of(backend)) == 1


def test_a_function_that_times_out_is_reported_at_shutdown(run_dir: Path) -> None:
    with (
        Lambda() as host,
        Backend() as backend,
        tracer_bell(run_dir),
        Collector(host, run_dir, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url) as collector,
    ):
        host.wait_for_next()
        started = time.monotonic()
        event = host.invoke("r1", seconds=0.6)
        open_record = span(9, name="orders process", parent_id=f"{1:016x}")
        write(run_dir, begin(1, deadline_ms=event["deadlineMs"], records=[open_record]), inner(2))
        assert host.wait_for_next() - started < 0.6, "the next event is asked for before the deadline"
        host.shut_down("TIMEOUT")
        collector.end()
    spans = {span.name: span for span in spans_of(backend)}
    assert set(spans) == {"shipping", "orders process", "SQS.SendMessage"}
    for name in ("shipping", "orders process"):
        assert spans[name].end_time_unix_nano == event["deadlineMs"] * 10**6
        assert spans[name].status.code == 2
        assert attributes_of(spans[name])["error.type"] == "timeout"
        assert "timed out" in spans[name].status.message
    assert metrics_of(backend)["faas.timeouts"] == 1
    assert "faas.errors" not in metrics_of(backend)


def test_a_function_that_dies_is_reported_and_holds_nothing_up(run_dir: Path) -> None:
    with (
        Lambda() as host,
        Backend() as backend,
        Collector(host, run_dir, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url) as collector,
    ):
        host.wait_for_next()
        with tracer_bell(run_dir):
            started = time.monotonic()
            event = host.invoke("r1", seconds=60)
            write(run_dir, begin(1, deadline_ms=event["deadlineMs"]))
            time.sleep(0.2)
        assert host.wait_for_next() - started < 1.0, "it does not wait for a ring that cannot come"
        host.shut_down("failure")
        collector.end()
    (crashed,) = spans_of(backend)
    assert attributes_of(crashed)["error.type"] == "Runtime.ExitError"
    assert crashed.status.code == 2
    assert abs(crashed.end_time_unix_nano - time.time_ns()) < 5 * 10**9
    assert metrics_of(backend)["faas.errors"] == 1


def test_an_invocation_that_never_reached_the_tracer_has_a_span_in_its_own_trace(run_dir: Path) -> None:
    with (
        Lambda() as host,
        Backend() as backend,
        Collector(host, run_dir, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url) as collector,
    ):
        host.wait_for_next()
        host.invoke("r1", seconds=30)
        host.wait_for_next()
        host.shut_down("failure")
        collector.end()
    (made,) = spans_of(backend)
    assert (made.trace_id.hex(), made.name, made.kind) == (TRACE, "shipping", 2)
    attributes = attributes_of(made)
    assert attributes["faas.invocation_id"] == "r1"
    assert attributes["aws.lambda.invoked_arn"] == ARN
    assert attributes["error.type"] == "Runtime.ExitError"


def test_a_function_that_is_not_traced_costs_nothing_and_gets_no_spans(run_dir: Path) -> None:
    with (
        Lambda() as host,
        Backend() as backend,
        Collector(host, run_dir, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url) as collector,
    ):
        host.wait_for_next()
        for _ in range(3):
            started = time.monotonic()
            host.invoke(seconds=30)
            assert host.wait_for_next() - started < 0.5
        host.shut_down("spindown")
        assert collector.end() == ""
    assert spans_of(backend) == []


def test_the_ring_of_an_invocation_given_up_is_not_taken_for_the_next_ones(run_dir: Path) -> None:
    with (
        Lambda() as host,
        Backend() as backend,
        tracer_bell(run_dir) as ring,
        Collector(host, run_dir, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url) as collector,
    ):
        host.wait_for_next()
        host.invoke("r1", seconds=0.25)
        write(run_dir, begin(1))
        host.wait_for_next()
        write(run_dir, ended(1))
        ring()
        host.invoke("r2", seconds=30)
        write(run_dir, begin(2, "r2"))
        time.sleep(0.3)
        assert host.asked.empty(), "still waiting for the second invocation"
        write(run_dir, ended(2, "r2"))
        ring()
        host.wait_for_next()
        assert len(spans_of(backend)) == 2
        host.shut_down()
        collector.end()


def test_a_backend_that_never_answers_costs_each_invocation_little(run_dir: Path) -> None:
    with (
        Lambda() as host,
        Backend(60.0) as backend,
        tracer_bell(run_dir) as ring,
        Collector(host, run_dir, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url, HOPTRACE_FLUSH_TIMEOUT="300") as collector,
    ):
        host.wait_for_next()
        took = []
        for number in range(1, 6):
            started = time.monotonic()
            host.invoke(f"r{number}", seconds=30)
            write(run_dir, begin(number, f"r{number}"), ended(number, f"r{number}"))
            ring()
            took.append(host.wait_for_next() - started)
        assert sum(taken > 0.15 for taken in took) <= 2, f"one attempt in each pause: {took}"
        started = time.monotonic()
        host.shut_down(seconds=1.0)
        log = collector.end()
        assert time.monotonic() - started < 1.5, "its deadline holds for SHUTDOWN too, and a busy machine adds to it"
    assert log.count("hoptrace: ") == len(log.splitlines()) == 2, log


def test_what_could_not_be_sent_is_sent_by_the_next_generation_and_nothing_twice(run_dir: Path) -> None:
    with Lambda() as host, tracer_bell(run_dir) as ring:
        with (
            Backend((200, {}, b""), (503, {}, b"")) as backend,
            Collector(host, run_dir, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url) as collector,
        ):
            host.wait_for_next()
            for number in (1, 2):
                host.invoke(f"r{number}", seconds=30)
                write(run_dir, begin(number, f"r{number}"), ended(number, f"r{number}"))
                ring()
                host.wait_for_next()
            event = host.invoke("r3", seconds=0.3)
            begun = span(3, start=time.time_ns())
            write(run_dir, begin(3, "r3", deadline_ms=event["deadlineMs"], span=begun))
            host.wait_for_next()
            host.shut_down("timeout", seconds=1.0)
            log = collector.end()
            assert {line.partition(" (")[0] for line in log.splitlines()} <= {
                "hoptrace: the OTLP backend did not take spans",
                "hoptrace: the OTLP backend did not take metrics",
            }
            first = [span.span_id for span in spans_of(backend, answered=1)]
        assert [int.from_bytes(span_id) for span_id in first] == [1]
        with (
            Backend() as backend,
            Collector(host, run_dir, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url) as collector,
        ):
            host.wait_for_next()
            host.shut_down()
            collector.end()
        second = sorted(int.from_bytes(span.span_id) for span in spans_of(backend))
        assert second == [2, 3]
        counted = metrics_of(backend)
        assert (counted["faas.invocations"], counted["faas.timeouts"]) == (2, 1), f"counted once: {counted}"
        assert counted["hoptrace.environment.busy_time"] == pytest.approx(1.0, abs=0.5)


def test_an_invocation_whose_beginning_is_read_after_it_was_made_up_for_counts_once(run_dir: Path) -> None:
    with Lambda() as host, tracer_bell(run_dir), Backend() as backend:
        with Collector(host, run_dir, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url) as collector:
            host.wait_for_next()
            event = host.invoke("r1", seconds=0.3)
            host.wait_for_next()
            host.shut_down("timeout")
            collector.end()
        write(run_dir, begin(1, "r1", deadline_ms=event["deadlineMs"]), inner(2, "r1"))
        with Collector(host, run_dir, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url) as collector:
            host.wait_for_next()
            host.shut_down()
            collector.end()
    ids = [int.from_bytes(span.span_id) for span in spans_of(backend)]
    assert sorted(ids[1:]) == [1, 2], "the span that the others hang below is there"
    counted = metrics_of(backend)
    assert counted["faas.invoke_duration"] == counted["faas.timeouts"] == 1


def test_a_collector_that_was_killed_leaves_nothing_behind_that_is_lost(run_dir: Path) -> None:
    with Lambda() as host, Backend() as backend, tracer_bell(run_dir) as ring:
        with Collector(host, run_dir, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url) as collector:
            host.wait_for_next()
            host.invoke("r1", seconds=30)
            write(run_dir, begin(1), ended(1))
            ring()
            host.wait_for_next()
            host.invoke("r2", seconds=30)
            write(run_dir, begin(2, "r2", deadline_ms=int(time.time() * 1000) - 1), inner(20, "r2"))
            time.sleep(0.1)
            os.kill(collector.process.pid, signal.SIGKILL)
            collector.process.wait()
        with Collector(
            host,
            run_dir,
            "--extension-id",
            "x",
            "--event",
            json.dumps(shutdown_event("spindown")),
            OTEL_EXPORTER_OTLP_ENDPOINT=backend.url,
        ) as collector:
            collector.end()
    ids = sorted(int.from_bytes(span.span_id) for span in spans_of(backend))
    assert ids == [1, 2, 20]


def test_managed_instances_are_flushed_by_the_clock(run_dir: Path) -> None:
    with (
        Lambda() as host,
        Backend() as backend,
        Collector(
            host,
            run_dir,
            OTEL_EXPORTER_OTLP_ENDPOINT=backend.url,
            AWS_LAMBDA_INITIALIZATION_TYPE="lambda-managed-instances",
            HOPTRACE_FLUSH_INTERVAL="50",
        ) as collector,
    ):
        host.wait_for_next()
        assert host.registrations[0][1] == {"events": ["SHUTDOWN"]}
        assert host.subscriptions[0]["schemaVersion"] == "2025-01-29"
        write(run_dir, begin(1, "r1", pid=1), begin(2, "r2", pid=2), ended(2, "r2"), ended(1, "r1"))
        backend.wait_for(1)
        assert sorted(int.from_bytes(span.span_id) for span in spans_of(backend)) == [1, 2]
        host.shut_down()
        collector.end()
    assert metrics_of(backend)["hoptrace.environment.in_flight.max"] == 2


@pytest.mark.parametrize(
    "env",
    [
        {"HOPTRACE_RUN_DIR": "/proc/nowhere"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "not an address", "HOPTRACE_QUEUE_BYTES": "lots"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere.pem"},
    ],
)
def test_whatever_is_wrong_with_its_settings_it_answers_until_shutdown(run_dir: Path, env: dict[str, str]) -> None:
    with (
        Lambda() as host,
        tracer_bell(run_dir) as ring,
        Collector(host, run_dir, **env) as collector,
    ):
        host.wait_for_next()
        write(run_dir, begin(1), ended(1))
        for _ in range(2):
            host.invoke(seconds=0.5)
            ring()
            host.wait_for_next()
        host.shut_down()
        log = collector.end()
    assert log
    assert all(line.startswith("hoptrace: ") for line in log.splitlines()), log


def test_without_an_endpoint_one_line_says_so_and_what_is_dropped_is_counted(run_dir: Path) -> None:
    with (
        Lambda() as host,
        tracer_bell(run_dir) as ring,
        Collector(host, run_dir) as collector,
    ):
        host.wait_for_next()
        for number in range(1, 4):
            host.invoke(f"r{number}")
            write(run_dir, begin(number, f"r{number}"), ended(number, f"r{number}"))
            ring()
            host.wait_for_next()
        host.shut_down()
        log = collector.end()
    assert log.splitlines() == ["hoptrace: OTEL_EXPORTER_OTLP_ENDPOINT is not set: spans and metrics go nowhere"]


def test_with_a_flush_interval_invocations_are_sent_together(run_dir: Path) -> None:
    with (
        Lambda() as host,
        Backend() as backend,
        tracer_bell(run_dir) as ring,
        Collector(host, run_dir, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url, HOPTRACE_FLUSH_INTERVAL="60000") as collector,
    ):
        host.wait_for_next()
        for number in range(1, 5):
            host.invoke(f"r{number}")
            write(run_dir, begin(number, f"r{number}"), ended(number, f"r{number}"))
            ring()
            host.wait_for_next()
        assert len(spans_of(backend)) == 1
        host.shut_down()
        collector.end()
    assert [posted.path for posted in backend.requests] == ["/v1/traces", "/v1/traces", "/v1/metrics"]
    assert len(spans_of(backend)) == 4
