"""What the collector costs in the long run: one real process, driven as fast as it goes through many invocations.

    python -m benchmarks.collector [--invocations N] [--minutes M] [--strategy NAME] [--spans N] [--https] [--check]

The Extensions API and the backend are small servers of this benchmark; the records are written and the bell is rung as
the tracer does it. Printed are the collector's CPU for an invocation, its private memory as it goes, how long it held
up the environment after a ring, and whether every span has arrived, and only once.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.backend import Backend

ROOT = Path(__file__).parents[1]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
MOST_MEMORY_GROWTH = 2 * 1024 * 1024
MOST_MEMORY = 20 * 1024 * 1024
MOST_CPU = 0.001


def main() -> int:
    """Run it and print the figures; 1 where one is out of its bounds and that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--invocations", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=1e6, help="end after so many, with what has been done by then")
    parser.add_argument("--strategy", default="adaptive")
    parser.add_argument("--spans", type=int, default=1, help="spans of an invocation beside its own")
    parser.add_argument("--https", action="store_true")
    parser.add_argument("--check", action="store_true", help="end with an error where a bound is not kept")
    arguments = parser.parse_args()
    os.nice(19)
    with tempfile.TemporaryDirectory() as directory, Backend(https=arguments.https) as backend:
        figures = drive(Path(directory), backend, arguments)
        seen = backend.seen()
    expected = int(figures["invocations"]) * (1 + arguments.spans)
    missing, twice = expected - len(seen), sum(seen.values()) - len(seen)
    print(f"{'spans sent':32} {expected - missing} of {expected}, {twice} more than once, {backend.requests} requests")
    print(f"{'connections to the backend':32} {backend.connections}")
    kept = (
        missing == twice == 0
        and figures["growth"] <= MOST_MEMORY_GROWTH
        and figures["memory"] <= MOST_MEMORY
        and (figures["cpu"] <= MOST_CPU or arguments.strategy != "adaptive")
    )
    return 0 if kept or not arguments.check else 1


def drive(directory: Path, backend: Backend, arguments: argparse.Namespace) -> dict[str, float]:
    """Run the collector through the invocations; return its figures in seconds and bytes."""
    invocations, strategy, spans = arguments.invocations, arguments.strategy, arguments.spans
    run_dir = directory / "run"
    run_dir.mkdir()
    os.mkfifo(run_dir / "bell")
    bell = os.open(run_dir / "bell", os.O_RDWR)
    records = _Records(run_dir / "records.jsonl", spans)
    host = _Lambda()
    process = _start(run_dir, host, backend, strategy)
    try:
        host.asked()
        warm = max(500, invocations // 100)
        held, memory, cpu_at_warm = [], [], 0.0
        started = time.monotonic()
        for number in range(1, invocations + 1):
            if time.monotonic() - started > arguments.minutes * 60:
                invocations = number - 1
                break
            host.invoke(number)
            records.write(number)
            rung = time.perf_counter()
            os.write(bell, b"i")
            host.asked()
            held.append(time.perf_counter() - rung)
            if number == warm:
                cpu_at_warm = cpu_of(process.pid)
                held.clear()
            if number >= warm and number % max(1, invocations // 100) == 0:
                memory.append(private_bytes(process.pid))
                print(f"\r{number} {memory[-1] / 2**20:.2f} MiB", end="", file=sys.stderr, flush=True)
        took = time.monotonic() - started
        cpu = (cpu_of(process.pid) - cpu_at_warm) / max(1, invocations - warm)
        host.shut_down()
        process.wait(30)
    finally:
        process.kill()
        process.wait()
        os.close(bell)
    said = process.stderr.read() if process.stderr else ""
    if said:
        print(said, end="", file=sys.stderr)
    held.sort()
    growth = max(memory) - memory[0]
    first, most, last = (each / 2**20 for each in (memory[0], max(memory), memory[-1]))
    median, high, longest = (each * 1e3 for each in (statistics.median(held), held[len(held) * 99 // 100], held[-1]))
    print(f"{strategy}: {invocations} invocations with {spans + 1} spans each, {invocations / took:.0f} a second")
    print(f"{'CPU an invocation':32} {cpu * 1e3:.3f} ms")
    print(f"{'private memory':32} {first:.2f} MiB after {warm} invocations, {most:.2f} at most, {last:.2f} at last")
    print(f"{'held up after the ring':32} median {median:.2f} ms, 99 % {high:.2f} ms, most {longest:.1f} ms")
    return {"cpu": cpu, "memory": max(memory), "growth": growth, "invocations": invocations}


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def private_bytes(pid: int) -> int:
    """Bytes of memory that are a process's alone."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("Private_Clean", "Private_Dirty")))


class _Records:
    """Writes what the tracer writes of an invocation, going over to another file when the path names one."""

    def __init__(self, path: Path, spans: int) -> None:
        self._path = path
        self._spans = spans
        self._descriptor = self._open()
        resource = {"service.name": "shipping", "faas.name": "shipping", "faas.max_memory": 2**27}
        span = {"trace_id": TRACE, "span_id": "@id", "name": "shipping", "kind": 2, "start": "@start", "flags": 1}
        told = {"faas.trigger": "pubsub", "faas.invocation_id": "@request", "cloud.account.id": "123456789012"}
        inner = {"messaging.system": "aws_sqs", "messaging.destination.name": "orders"}
        head = {"v": 1, "request_id": "@request"}
        begun = {**head, "type": "begin", "ordinal": "@number", "pid": 17, "deadline": "@deadline", "records": []}
        ended = {**head, "type": "end", "ordinal": "@number", "outcome": "ok", "cpu": 1000000}
        call = {**span, "name": "SQS.SendMessage", "kind": 4, "end": "@end", "attributes": inner}
        self._begin = self._template(
            {**begun, "resource": resource, "scope": ["hoptrace", "0.1.0"], "span": {**span, "attributes": told}}
        )
        self._span = self._template({**head, "type": "span", "span": call})
        self._end = self._template({**ended, "span": {**span, "end": "@end", "attributes": told}})

    @staticmethod
    def _template(record: dict[str, Any]) -> str:
        text = json.dumps(record).replace("{", "{{").replace("}", "}}") + "\n"
        for name in ("number", "deadline", "start", "end"):
            text = text.replace(f'"@{name}"', "{" + name + "}")
        return text.replace("@id", "{id:016x}").replace("@request", "{request}")

    def write(self, number: int) -> None:
        """Write one invocation that took a millisecond; its spans have the numbers that follow one another."""
        if os.stat(self._path).st_ino != os.fstat(self._descriptor).st_ino:
            os.close(self._descriptor)
            self._descriptor = self._open()
        now = time.time_ns()
        values = {"request": request_id(number), "number": number, "start": now, "end": now + 10**6}
        values["deadline"] = now // 10**6 + 30_000
        first = number * (1 + self._spans)
        os.write(self._descriptor, self._begin.format(id=first, **values).encode())
        for inner in range(self._spans):
            os.write(self._descriptor, self._span.format(id=first + 1 + inner, **values).encode())
        os.write(self._descriptor, self._end.format(id=first, **values).encode())

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def request_id(number: int) -> str:
    """A request id of Lambda's shape."""
    return f"8476a536-e9f4-11e8-9739-{number:012x}"


class _Lambda:
    """The Extensions API, by hand: a handler of the standard library would cost more than the collector."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._waiting: socket.socket | None = None

    def asked(self) -> None:
        """Answer what is asked for until it is the next event, which is answered by `invoke`."""
        while True:
            connection, _ = self._server.accept()
            request = connection.recv(65536)
            if request.startswith(b"GET"):
                self._waiting = connection
                return
            if b"\r\n\r\n" in request and not request.partition(b"\r\n\r\n")[2]:
                connection.recv(65536)
            body = b'{"functionName":"shipping","functionVersion":"7"}'
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
            )
            connection.close()

    def invoke(self, number: int) -> None:
        """Hand out an event."""
        self._answer(
            b'{"eventType":"INVOKE","deadlineMs":%d,"requestId":"%s","invokedFunctionArn":"arn:aws:lambda:eu-west-1:'
            b'123456789012:function:shipping","tracing":{"type":"X-Amzn-Trace-Id","value":""}}'
            % (time.time_ns() // 10**6 + 30_000, request_id(number).encode())
        )

    def shut_down(self) -> None:
        """Hand out the last event."""
        self._answer(
            b'{"eventType":"SHUTDOWN","shutdownReason":"spindown","deadlineMs":%d}' % (time.time_ns() // 10**6 + 2_000)
        )

    def _answer(self, body: bytes) -> None:
        assert self._waiting is not None
        self._waiting.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        self._waiting.close()


def _start(run_dir: Path, host: _Lambda, backend: Backend, strategy: str) -> "subprocess.Popen[str]":
    # The layer's `__main__.py`, with this checkout's paths in place of the layer's.
    entry = (
        "import sys; sys.path[:0] = sys.argv[1].split(':'); del sys.argv[:2];"
        "from hoptrace_collector.app import main; sys.exit(main(sys.argv))"
    )
    packages = [path for path in sys.path if path.endswith("site-packages")]
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", entry, ":".join([str(ROOT / "collector"), *packages])],
        env={
            "AWS_LAMBDA_RUNTIME_API": host.address,
            "AWS_LAMBDA_FUNCTION_NAME": "shipping",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_REGION": "eu-west-1",
            "HOPTRACE_RUN_DIR": str(run_dir),
            "HOPTRACE_OTLP_PORT": "0",
            "HOPTRACE_TELEMETRY_PORT": str(_free_port()),
            "HOPTRACE_FLUSH_STRATEGY": strategy,
            "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
            "OTEL_EXPORTER_OTLP_CERTIFICATE": backend.certificate,
        },
        stderr=subprocess.PIPE,
        text=True,
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
