"""What several tests of the collector need: records as the tracer writes them, a Lambda in a thread, OTLP receivers."""

import gzip
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

ROOT = Path(__file__).parents[2]
NOW = 1_790_000_000 * 10**9
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:shipping"
RESOURCE = {"service.name": "shipping", "faas.name": "shipping", "cloud.region": "eu-west-1", "faas.max_memory": 2**27}


def span_id(number: int) -> str:
    return f"{number:016x}"


def span(number: int, *, name: str = "shipping", end: int | None = None, **more: Any) -> dict[str, Any]:
    out = {
        "trace_id": TRACE,
        "span_id": span_id(number),
        "name": name,
        "kind": 2,
        "start": NOW,
        "flags": 1,
        "attributes": {"faas.trigger": "pubsub", "aws.lambda.invoked_arn": ARN},
        **more,
    }
    if end is not None:
        out["end"] = end
    return out


def begin(number: int, request_id: str = "r1", *, deadline_ms: int = 0, pid: int = 17, **more: Any) -> dict[str, Any]:
    return {
        "v": 1,
        "type": "begin",
        "request_id": request_id,
        "ordinal": number,
        "pid": pid,
        "deadline": deadline_ms,
        "resource": RESOURCE,
        "scope": ["hoptrace", "0.1.0"],
        "span": span(number),
        "records": [],
        **more,
    }


def ended(
    number: int, request_id: str = "r1", *, outcome: str = "ok", seconds: float = 0.5, **more: Any
) -> dict[str, Any]:
    return {
        "v": 1,
        "type": "end",
        "request_id": request_id,
        "ordinal": number,
        "outcome": outcome,
        "span": span(number, end=NOW + int(seconds * 1e9), **more),
    }


def inner(number: int, request_id: str = "r1", **more: Any) -> dict[str, Any]:
    more.setdefault("name", "SQS.SendMessage")
    return {"v": 1, "type": "span", "request_id": request_id, "span": span(number, end=NOW + 1000, **more)}


def write(run_dir: Path, *records: Any) -> None:
    """Append records as the tracer does."""
    run_dir.mkdir(exist_ok=True)
    for record in records:
        line = record if isinstance(record, bytes) else json.dumps(record).encode() + b"\n"
        descriptor = os.open(run_dir / "records.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(descriptor, line)
        os.close(descriptor)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def certificate_for(host: str, folder: Path) -> tuple[Path, Path]:
    """Make a certificate that nobody has signed for a host; returns the files of its key and of itself."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={host}"]
        + ["-addext", f"subjectAltName=DNS:{host}", "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    return key, certificate


class Posted:
    """One request that a scripted server received."""

    def __init__(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.path = path
        self.headers = headers
        self.body = body


class Backend:
    """An OTLP endpoint that answers as scripted: each answer is (status, headers, body), a number of seconds to stay
    silent before closing, or a function of the request; the last is repeated."""

    def __init__(self, *answers: Any, get: Any = (404, {}, b""), port: int = 0) -> None:
        """`get` answers every GET; `port` 0 is any."""
        self.requests: list[Posted] = []
        self._connections: set[socket.socket] = set()
        self._answers = list(answers) or [(200, {}, b"")]
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                backend._connections.add(self.connection)

            def finish(self) -> None:
                backend._connections.discard(self.connection)
                super().finish()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                answer = backend._answers[0]
                if len(backend._answers) > 1:
                    backend._answers.pop(0)
                self._answer(answer, body)

            def do_GET(self) -> None:
                self._answer(get, b"")

            def _answer(self, answer: Any, body: bytes) -> None:
                posted = Posted(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                backend.requests.append(posted)
                answer = answer(posted) if callable(answer) else answer
                if isinstance(answer, int | float):
                    backend.closing.wait(answer)
                    self.close_connection = True
                    return
                status, headers, content = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None: ...

        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def wait_for(self, count: int, timeout: float = 5.0) -> None:
        """Wait until that many requests have come."""
        end = time.monotonic() + timeout
        while len(self.requests) < count:
            assert time.monotonic() < end, f"{len(self.requests)} of {count} requests came"
            time.sleep(0.01)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        # Who is gone does not answer on a connection that was kept open either.
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def spans_of(backend: Backend, answered: int | None = None) -> list[Any]:
    """The spans of the requests that `backend` has had, or of the first `answered` ones."""
    requests = [
        ExportTraceServiceRequest.FromString(unpacked(posted))
        for posted in backend.requests[:answered]
        if posted.path == "/v1/traces"
    ]
    return [
        span
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def unpacked(posted: Posted) -> bytes:
    return gzip.decompress(posted.body) if posted.headers.get("content-encoding") == "gzip" else posted.body


def attributes_of(span: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes}


class Lambda:
    """The Extensions API for one extension: hands out the events it is given, and lets a test wait for each `/next`."""

    def __init__(self) -> None:
        self.registrations: list[Any] = []
        self.subscriptions: list[Any] = []
        self.asked = queue.Queue[float]()
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                host.registrations.append((self.headers["lambda-extension-name"], body))
                self._answer(200, {"functionName": "shipping", "functionVersion": "7"}, "the-id")

            def do_PUT(self) -> None:
                host.subscriptions.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self._answer(200, {})

            def do_GET(self) -> None:
                host.asked.put(time.monotonic())
                event = host._events.get()
                if event is None:
                    return
                self._answer(200, event)

            def _answer(self, status: int, value: Any, extension_id: str = "") -> None:
                body = json.dumps(value).encode()
                self.send_response(status)
                if extension_id:
                    self.send_header("Lambda-Extension-Identifier", extension_id)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def invoke(self, request_id: str = "r1", *, seconds: float = 5.0) -> dict[str, Any]:
        """Hand out an INVOKE whose deadline is `seconds` from now; returns the event."""
        event = invoke_event(request_id, seconds=seconds)
        self._events.put(event)
        return event

    def shut_down(self, reason: str = "spindown", *, seconds: float = 2.0) -> None:
        self._events.put(shutdown_event(reason, seconds=seconds))

    def wait_for_next(self, timeout: float = 5.0) -> float:
        """Wait until the extension asks for an event; returns when it did, by the monotonic clock."""
        return self.asked.get(timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._events.put(None)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def invoke_event(request_id: str = "r1", *, seconds: float = 5.0) -> dict[str, Any]:
    return {
        "eventType": "INVOKE",
        "deadlineMs": int((time.time() + seconds) * 1000),
        "requestId": request_id,
        "invokedFunctionArn": ARN,
        "tracing": {"type": "X-Amzn-Trace-Id", "value": f"Root=1-{TRACE[:8]}-{TRACE[8:]};Sampled=0;Lineage=1:a:0"},
    }


def shutdown_event(reason: str, *, seconds: float = 2.0) -> dict[str, Any]:
    return {"eventType": "SHUTDOWN", "shutdownReason": reason, "deadlineMs": int((time.time() + seconds) * 1000)}


class Collector:
    """The collector as a process of its own, started as the layer starts it."""

    def __init__(self, host: Lambda, run_dir: Path, *arguments: str, **env: str) -> None:
        # The layer's `__main__.py`, with this checkout's paths in place of the layer's.
        entry = (
            "import sys; sys.path[:0] = sys.argv[1].split(':'); del sys.argv[:2];"
            "from hoptrace_collector.app import main; sys.exit(main(sys.argv))"
        )
        packages = [path for path in sys.path if path.endswith("site-packages")]
        path = ":".join([str(ROOT / "collector"), *packages])
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", entry, path, "--telemetry-port", str(free_port()), *arguments],
            env={
                "AWS_LAMBDA_RUNTIME_API": host.address,
                "AWS_LAMBDA_FUNCTION_NAME": "shipping",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
                "AWS_REGION": "eu-west-1",
                "HOPTRACE_RUN_DIR": str(run_dir),
                "HOPTRACE_OTLP_PORT": "0",
                **env,
            },
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, timeout: float = 10.0) -> str:
        """Wait for its end, which must be a good one; returns what it logged."""
        _, log = self.process.communicate(timeout=timeout)
        assert self.process.returncode == 0, log
        return str(log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def tracer_bell(run_dir: Path) -> Iterator[Any]:
    """Hold the writing end of the bell as the tracer does; gives a function that rings."""
    run_dir.mkdir(exist_ok=True)
    if not (run_dir / "bell").exists():
        os.mkfifo(run_dir / "bell", 0o600)
    descriptor = os.open(run_dir / "bell", os.O_RDWR | os.O_NONBLOCK)
    try:
        yield lambda: os.write(descriptor, b"i")
    finally:
        os.close(descriptor)
