"""The port for anyone's OTLP in the whole process: what is sent to it goes on, survives, and stops nobody."""

import base64
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from hoptrace_collector.settings import parse_url
from hoptrace_collector.transport import Response, TransportError, request

from .support import Backend, Collector, Lambda, begin, ended, free_port, invoke_event, spans_of, tracer_bell, write

LOGS = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"%s"}},{}]}]}]}'
SPANS = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"theirs","spanId":"00000000000000%02x"}]}]}]}'


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def host() -> Iterator[Lambda]:
    with Lambda() as made:
        yield made


def send(port: int, path: str, body: bytes) -> Response:
    url = parse_url(f"http://127.0.0.1:{port}{path}")
    return request("POST", url, [("content-type", "application/json")], body, deadline=time.monotonic() + 5)


def port_of(run_dir: Path) -> int:
    return int((run_dir / "otlp_port").read_text())


def logs_of(backend: Backend) -> list[str]:
    return [
        record.body.string_value
        for posted in backend.requests
        if posted.path == "/v1/logs"
        for resource in ExportLogsServiceRequest.FromString(posted.body).resource_logs
        for record in resource.scope_logs[0].log_records
    ]


def test_what_is_received_in_an_invocation_is_sent_after_it(run_dir: Path, host: Lambda) -> None:
    port = free_port()
    env = {"HOPTRACE_OTLP_PORT": str(port), "OTEL_EXPORTER_OTLP_METRICS_EXPORTER": "none"}
    with (
        Backend() as backend,
        tracer_bell(run_dir) as ring,
        Collector(host, run_dir, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url, **env) as collector,
    ):
        host.wait_for_next()
        assert port_of(run_dir) == port
        host.invoke("r1")
        write(run_dir, begin(1))
        assert send(port, "/v1/traces", SPANS % 9).status == 200
        assert send(port, "/v1/logs", LOGS % b"one").status == 200
        assert backend.requests == [], "nothing competes with the function"
        write(run_dir, ended(1))
        ring()
        host.wait_for_next()
        assert sorted(span.name for span in spans_of(backend)) == ["shipping", "theirs"]
        assert logs_of(backend) == ["one", ""]
        host.shut_down()
        assert collector.end() == ""


def test_what_could_not_be_sent_is_sent_by_the_next_generation(run_dir: Path, host: Lambda) -> None:
    port = free_port()
    with tracer_bell(run_dir) as ring:
        env = {"HOPTRACE_OTLP_PORT": str(port)}
        with (
            Backend((503, {}, b"")) as dead,
            Collector(host, run_dir, OTEL_EXPORTER_OTLP_ENDPOINT=dead.url, **env) as collector,
        ):
            host.wait_for_next()
            host.invoke("r1")
            send(port, "/v1/logs", LOGS % b"kept")
            send(port, "/v1/traces", SPANS % 9)
            write(run_dir, begin(1), handed("/v1/traces", SPANS % 8), handed("/v1/logs", LOGS % b"handed"), ended(1))
            ring()
            host.wait_for_next()
            host.shut_down("timeout", seconds=1.0)
            collector.end()
        with (
            Backend() as backend,
            Collector(host, run_dir, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url, **env) as collector,
        ):
            host.wait_for_next()
            host.shut_down()
            collector.end()
    assert sorted(span.span_id[-1] for span in spans_of(backend)) == [1, 8, 9]
    assert sorted(logs_of(backend)) == ["", "", "handed", "kept"]


def handed(path: str, body: bytes, **more: Any) -> dict[str, Any]:
    """A request as the tracer writes it down while nobody listens."""
    packed = base64.b64encode(body).decode()
    return {"v": 1, "type": "otlp", "path": path, "kind": "application/json", "encoding": "", "body": packed, **more}


def test_a_handed_request_that_is_garbage_is_counted_and_passed_over(run_dir: Path, host: Lambda) -> None:
    write(
        run_dir,
        handed("/v1/traces", b"garbage"),
        handed("/v1/nothing", SPANS % 1),
        handed("/v1/traces", SPANS % 2, encoding="gzip"),
        handed("/v1/traces", SPANS % 3) | {"body": 7},
        handed("/v1/traces", SPANS % 4) | {"body": "x"},
        handed("/v1/traces", SPANS % 5, kind=None),
        handed("/v1/traces", SPANS % 6),
    )
    with (
        Backend() as backend,
        tracer_bell(run_dir),
        Collector(host, run_dir, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url) as collector,
    ):
        host.wait_for_next()
        host.shut_down()
        assert collector.end() == ""
    assert [span.span_id[-1] for span in spans_of(backend)] == [6]


def test_more_than_the_queue_holds_is_refused_and_comes_again(run_dir: Path, host: Lambda) -> None:
    port = free_port()
    env = {"HOPTRACE_OTLP_PORT": str(port), "HOPTRACE_QUEUE_BYTES": "65536"}
    with (
        Backend() as backend,
        tracer_bell(run_dir) as ring,
        Collector(host, run_dir, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url, **env) as collector,
    ):
        host.wait_for_next()
        host.invoke("r1")
        assert send(port, "/v1/logs", LOGS % (b"x" * 60_000)).status == 200
        refused = send(port, "/v1/logs", LOGS % (b"x" * 10_000))
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert send(port, "/v1/logs", LOGS % (b"x" * 80_000)).status == 413, "this one can never come again"
        write(run_dir, begin(1), ended(1))
        ring()
        host.wait_for_next()
        host.invoke("r2")
        assert send(port, "/v1/logs", LOGS % (b"x" * 10_000)).status == 200
        ring()
        host.wait_for_next()
        assert len(logs_of(backend)) == 4
        host.shut_down()
        collector.end()


def test_without_a_port_there_is_no_receiver_and_everything_else_works(run_dir: Path, host: Lambda) -> None:
    with (
        Backend() as backend,
        tracer_bell(run_dir) as ring,
        Collector(host, run_dir, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url, HOPTRACE_OTLP_PORT="0") as collector,
    ):
        host.wait_for_next()
        host.invoke("r1")
        write(run_dir, begin(1), ended(1))
        ring()
        host.wait_for_next()
        host.shut_down()
        assert collector.end() == ""
    assert not (run_dir / "otlp_port").exists()
    assert len(spans_of(backend)) == 1


def test_a_foreign_byte_does_not_end_an_invocation(run_dir: Path, host: Lambda) -> None:
    with Backend() as backend, tracer_bell(run_dir) as ring:
        event = invoke_event("r1", seconds=30)
        arguments = ("--extension-id", "x", "--event", json.dumps(event))
        with Collector(host, run_dir, *arguments, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url) as collector:
            write(run_dir, begin(1, deadline_ms=event["deadlineMs"]))
            bell = os.open(run_dir / "bell", os.O_RDWR)
            for _ in range(3):
                os.write(bell, b"o")
                time.sleep(0.1)
            os.close(bell)
            assert host.asked.empty(), "still in the invocation"
            write(run_dir, ended(1))
            ring()
            host.wait_for_next()
            host.shut_down()
            collector.end()
    assert len(spans_of(backend)) == 1


@pytest.mark.parametrize(
    "address", ["http://localhost:{}", "http://127.0.0.1:{}/", "http://[::1]:{}", "http://127.1.2.3:{}"]
)
def test_exporting_to_itself_is_refused_under_every_name(run_dir: Path, host: Lambda, address: str) -> None:
    port = free_port()
    env = {"HOPTRACE_OTLP_PORT": str(port), "OTEL_EXPORTER_OTLP_ENDPOINT": address.format(port)}
    with tracer_bell(run_dir) as ring, Collector(host, run_dir, **env) as collector:
        host.wait_for_next()
        host.invoke("r1")
        write(run_dir, begin(1), ended(1))
        ring()
        host.wait_for_next()
        answer = json.loads(send(port, "/v1/traces", SPANS % 1).body)
        assert answer["partialSuccess"]["rejectedSpans"] == "1", "and who sends is told"
        host.shut_down()
        log = collector.end().splitlines()
    assert len(log) == 2, log
    assert "Set HOPTRACE_EXPORTER_OTLP_ENDPOINT to the backend's address" in log[0]
    with pytest.raises(TransportError):
        send(port, "/v1/traces", b"")
