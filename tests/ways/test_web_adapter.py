"""A web server as the function, behind a stand-in for Lambda Web Adapter: nothing of ours runs in its process."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hoptrace_local.lambda_host import FunctionConfig, LambdaHost
from tests.collector.support import Backend, attributes_of, spans_of
from tests.collector.test_metrics_are_true import Points
from tests.support import parts
from tests.support.ports import free_port

ADAPTER = Path(__file__).with_name("web_adapter")
ROOT = "1-4bf92f35-77b34da6a3ce929d0e0e4736"
TRACE = f"Root={ROOT};Parent=00f067aa0ba902b7;Sampled=0"

# A web server that sends OTLP of its own to the loopback, in the trace of the header that the adapter passes on.
SERVER = """
import http.client, json, os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

def export(root, name):
    span = {"traceId": root[2:].replace("-", ""), "spanId": os.urandom(8).hex(), "name": name, "kind": 2,
            "startTimeUnixNano": str(time.time_ns()), "endTimeUnixNano": str(time.time_ns())}
    body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "web"}, "spans": [span]}]}]}
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["HOPTRACE_OTLP_PORT"]))
    for _ in range(200):
        try:
            connection.request("POST", "/v1/traces", json.dumps(body), {"Content-Type": "application/json"})
            return connection.getresponse().read()
        except OSError:
            time.sleep(0.05)

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        header = dict(part.split("=", 1) for part in self.headers["x-amzn-trace-id"].split(";"))
        if self.path == "/crash":
            os._exit(3)
        if self.path == "/export":
            export(header["Root"], "GET /export")
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in ("one ", "two"):
            self.wfile.write(b"%x\\r\\n%s\\r\\n" % (len(part), part.encode()))
            self.wfile.flush()
            if self.path == "/slow":
                time.sleep(0.3)
        self.wfile.write(b"0\\r\\n\\r\\n")

    def log_message(self, *_): ...

ThreadingHTTPServer(("127.0.0.1", int(os.environ["AWS_LWA_PORT"])), Handler).serve_forever()
"""


def _event(path: str) -> bytes:
    http = {"method": "GET", "path": path}
    event = {"version": "2.0", "rawPath": path, "headers": {"host": "h"}, "requestContext": {"http": http}}
    return json.dumps(event).encode()


@contextmanager
def _web_function(folder: Path, backend: Backend, **more: str) -> Iterator[LambdaHost]:
    task = folder / "task"
    task.mkdir()
    (task / "server.py").write_text(SERVER)
    (task / "run.sh").write_text(f"#!/bin/sh\nexec {sys.executable} $LAMBDA_TASK_ROOT/server.py\n")
    (task / "run.sh").chmod(0o755)
    config = FunctionConfig(
        "web",
        task,
        "run.sh",
        layers=(parts.layer(), ADAPTER),
        environment={
            "AWS_LAMBDA_EXEC_WRAPPER": "/opt/bootstrap",
            "AWS_LWA_PORT": str(free_port()),
            "HOPTRACE_OTLP_PORT": str(free_port()),
            "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
            **more,
        },
        timeout=10.0,
        memory=1769,
        check_handler=False,
    )
    with LambdaHost([config]) as host:
        # The local Lambda has no runtime that announces itself: the adapter is the one that asks for events.
        yield host


@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
def test_each_request_is_an_invocation_and_what_the_server_exports_is_of_its_trace(mode: str, tmp_path: Path) -> None:
    with Backend() as backend:
        with _web_function(tmp_path, backend, AWS_LWA_INVOKE_MODE=mode) as host:
            results = [
                host.invoke("web", _event(path), trace_header=TRACE if path == "/export" else None)
                for path in ("/", "/slow", "/export", "/")
            ]
            telemetry = host.telemetry("web")
        spans = spans_of(backend)
        points = Points(backend)
    assert all(result.function_error is None for result in results)
    if mode == "response_stream":
        prelude, _, body = results[1].payload.partition(b"\0" * 8)
        assert json.loads(prelude)["statusCode"] == 200
        assert body == b"one two"
    else:
        assert json.loads(results[1].payload)["body"] == "one two"
    invocations = {attributes_of(span)["faas.invocation_id"]: span for span in spans if span.name == "web"}
    assert len(invocations) == 4, "the collector tells of all, the last one at the shutdown"
    assert {attributes_of(span)["hoptrace.closed_by"] for span in invocations.values()} == {"collector"}
    durations = {
        event["record"]["requestId"]: event["record"]["metrics"]["durationMs"]
        for event in telemetry
        if event["type"] == "platform.runtimeDone"
    }
    for request_id, span in invocations.items():
        told = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
        # Two clocks of a busy machine: Lambda takes its time before it says that something has begun.
        assert abs(told - durations[request_id]) < 250, "as long as the stream was"
    slow = invocations[results[1].request_id]
    assert slow.end_time_unix_nano - slow.start_time_unix_nano > 500_000_000
    (own,) = (span for span in spans if span.name == "GET /export")
    joined = invocations[results[2].request_id]
    assert own.trace_id == joined.trace_id == bytes.fromhex(ROOT[2:].replace("-", ""))
    assert points.sums["faas.invocations"] == 4
    # Nobody rings, and nobody is kept waiting for it.
    assert max(result.released_seconds - result.response_seconds for result in results[1:]) < 1.5


def test_a_server_that_dies_is_a_crash(tmp_path: Path) -> None:
    with Backend() as backend:
        with _web_function(tmp_path, backend) as host:
            host.invoke("web", _event("/"))
            died = host.invoke("web", _event("/crash"))
        spans = {attributes_of(span)["faas.invocation_id"]: span for span in spans_of(backend)}
    assert died.function_error == "Unhandled"
    assert attributes_of(spans[died.request_id])["error.type"] == "Runtime.ExitError"
    assert len(spans) == 2
