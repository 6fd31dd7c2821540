"""The gateway beside rotel: spans per second for each core, and memory, same load, same machine, one run.

    python -m benchmarks.gateway [--seconds 5] [--rounds 3] [--json]

Every program gets the same requests, made beforehand, over the same number of connections, and sends what it takes to
the same backend, which does nothing but count. Both ends are processes of their own and are measured against each other
first: what they reach without anything between them is printed, so that it can be seen that they are not what is
measured. What a program costs is its CPU time (all its threads, user and system) for the spans that the backend counted
in the end; that holds on a machine that does other things too, while spans for each second of the clock do not. Rounds
of the programs alternate; the best of each is shown.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import json
import multiprocessing
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support import rotel
from tests.support.ports import free_port

CONNECTIONS = 16
NAME = b"GET /orders/{order_id}"
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Load:
    """What is sent: bodies of `spans` spans each, of `resources` functions."""

    name: str
    spans: int
    resources: int = 1
    packed: bool = False

    def bodies(self, count: int = 64) -> list[bytes]:
        """Return different bodies of that kind."""
        made = [self._body(random.Random(seed)) for seed in range(count)]
        return [gzip.compress(body, 6) for body in made] if self.packed else made

    def _body(self, source: random.Random) -> bytes:
        request = ExportTraceServiceRequest()
        for _ in range(self.resources):
            resource = request.resource_spans.add()
            for key in (
                "service.name",
                "faas.name",
                "faas.version",
                "faas.instance",
                "cloud.region",
                "cloud.account.id",
            ):
                resource.resource.attributes.add(key=key).value.string_value = f"orders-{source.randrange(1000)}"
            scope = resource.scope_spans.add()
            scope.scope.name = "hoptrace"
            for number in range(self.spans // self.resources):
                span = scope.spans.add(
                    trace_id=source.randbytes(16), span_id=source.randbytes(8), parent_span_id=source.randbytes(8),
                    name=NAME.decode(), kind=3 if number else 2,  # type: ignore[arg-type]
                    start_time_unix_nano=time.time_ns() - source.randrange(10**9), end_time_unix_nano=time.time_ns(),
                )  # fmt: skip
                if not number:
                    span.attributes.add(key="faas.invocation_id").value.string_value = source.randbytes(16).hex()
                for key in ("rpc.method", "rpc.system.name", "server.address", "aws.request_id", "messaging.system"):
                    span.attributes.add(key=key).value.string_value = f"value {source.randrange(10**6)} of it"
                span.attributes.add(key="http.response.status_code").value.int_value = 200
        return request.SerializeToString()


LOADS = (
    Load("10 spans a request", 10),
    Load("100 spans a request", 100),
    Load("100 spans of 10 functions, gzip", 100, 10, packed=True),
)


@dataclass
class Figure:
    """What one program did: spans a CPU second and a second of the clock, and the most memory in bytes."""

    program: str
    load: str
    sent: int
    arrived: int
    per_core: float
    per_second: float
    memory: int


class _Half(asyncio.Protocol):
    """Either end of HTTP/1.1 with lengths: calls `got` for each whole message."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._wanted = 0
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            if not self._wanted:
                end = self._buffer.find(b"\r\n\r\n")
                if end < 0:
                    return
                head = bytes(self._buffer[:end]).lower()
                length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
                self._wanted = end + 4 + int(length or 0)
            if len(self._buffer) < self._wanted:
                return
            message = bytes(self._buffer[: self._wanted])
            del self._buffer[: self._wanted]
            self._wanted = 0
            self.got(message)

    def got(self, message: bytes) -> None:
        raise NotImplementedError


class _Backend(_Half):
    arrived: Any

    def got(self, message: bytes) -> None:
        head, _, body = message.partition(b"\r\n\r\n")
        if b"gzip" in head:
            body = gzip.decompress(body)
        self.arrived.value += body.count(NAME)
        self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")


class _Sender(_Half):
    def __init__(self, requests: list[bytes], until: float, done: Callable[[int], None]) -> None:
        super().__init__()
        self._requests = requests
        self._until = until
        self._done = done
        self._at = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._next()

    def _next(self) -> None:
        if time.monotonic() >= self._until:
            self.transport.close()
            return
        self._at = (self._at + 1) % len(self._requests)
        self.transport.write(self._requests[self._at])

    def got(self, message: bytes) -> None:
        if message.startswith(b"HTTP/1.1 200"):
            self._done(1)
            self._next()
        else:  # it asks to come later
            self._done(0)
            asyncio.get_running_loop().call_later(0.02, self._next)

    def connection_lost(self, _: Exception | None) -> None:
        self._done(-1)


def _serve(port: int, arrived: Any) -> None:
    async def main() -> None:
        made = type("_Counting", (_Backend,), {"arrived": arrived})
        server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", port)
        await server.serve_forever()

    asyncio.run(main())


def _send(port: int, bodies: list[bytes], packed: bool, seconds: float, taken: Any) -> None:
    head = "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\n"
    head += "content-encoding: gzip\r\n" if packed else ""
    requests = [f"{head}content-length: {len(body)}\r\n\r\n".encode() + body for body in bodies]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, over = CONNECTIONS, loop.create_future()

        def done(what: int) -> None:
            nonlocal left
            if what > 0:
                taken.value += 1
            elif what < 0:
                left -= 1
                if not left:
                    over.set_result(None)

        until = time.monotonic() + seconds
        for number in range(CONNECTIONS):
            mine = requests[number:] + requests[:number]
            await loop.create_connection(lambda mine=mine: _Sender(mine, until, done), "127.0.0.1", port)  # type: ignore[misc]
        await over

    asyncio.run(main())


@contextlib.contextmanager
def _ours(backend: int, folder: Path) -> Iterator[tuple[int, int]]:
    port = free_port()
    command = [sys.executable, "-m", "hoptrace_collector.gateway", "--listen", f"127.0.0.1:{port}", "--admin", "none"]
    environment = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{backend}",
        "OTEL_METRICS_EXPORTER": "none",
    }
    with (folder / "gateway.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    yield from _running(process, port)


@contextlib.contextmanager
def _rotel(backend: int, folder: Path) -> Iterator[tuple[int, int]]:
    port = free_port()
    command = [str(rotel._binary()), "start", "--otlp-http-endpoint", f"127.0.0.1:{port}", "--otlp-grpc-endpoint"]
    command += [f"127.0.0.1:{free_port()}", "--exporter", "otlp", "--otlp-exporter-protocol", "http"]
    command += ["--otlp-exporter-endpoint", f"http://127.0.0.1:{backend}", "--otlp-exporter-compression", "none"]
    command += ["--pid-file", str(folder / "rotel.pid"), "--log-file", str(folder / "rotel-agent.log")]
    with (folder / "rotel.log").open("wb") as log:
        process = subprocess.Popen(command, env=rotel._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    yield from _running(process, port)


def _running(process: subprocess.Popen[bytes], port: int) -> Iterator[tuple[int, int]]:
    try:
        _wait_for(port)
        yield process.pid, port
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int) -> None:
    end = time.monotonic() + 15
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on port {port}")


def _cpu(pid: int) -> float:
    """Seconds that a process has used, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _memory(pid: int) -> int:
    """The most resident memory that it has had, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def measure(program: str, start: Any, load: Load, bodies: list[bytes], seconds: float) -> Figure:
    """Run one program under one load; with `start` None the sender sends to the backend itself."""
    context = multiprocessing.get_context("spawn")
    arrived, taken = context.Value("q", 0, lock=False), context.Value("q", 0, lock=False)
    backend = free_port()
    server = context.Process(target=_serve, args=(backend, arrived), daemon=True)
    server.start()
    try:
        _wait_for(backend)
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            pid, port = (server.pid or 0, backend)
            if start is not None:
                pid, port = stack.enter_context(start(backend, Path(folder)))
            before, begun = _cpu(pid), time.monotonic()
            sender = context.Process(target=_send, args=(port, bodies, load.packed, seconds, taken))
            sender.start()
            sender.join()
            elapsed = time.monotonic() - begun
            wanted = taken.value * load.spans
            while arrived.value < wanted and time.monotonic() < begun + elapsed + 15:
                time.sleep(0.05)
            used = _cpu(pid) - before
            return Figure(
                program, load.name, wanted, arrived.value, arrived.value / used, wanted / seconds, _memory(pid)
            )
    finally:
        server.terminate()
        server.join()


def main() -> int:
    """Print the table; 1 when something that was taken has not arrived."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    programs: list[tuple[str, Any]] = [("hoptrace", _ours)]
    if reason := rotel.unavailable():
        print(f"without rotel: {reason}", file=sys.stderr)
    else:
        programs.append(("rotel", _rotel))
    best: dict[tuple[str, str], Figure] = {}
    for load in LOADS:
        bodies = load.bodies()
        found = [measure("nothing between", None, load, bodies, min(options.seconds, 2.0))]
        for _ in range(options.rounds):
            found += [measure(name, start, load, bodies, options.seconds) for name, start in programs]
        for figure in found:
            known = best.get((load.name, figure.program))
            if known is None or figure.per_core > known.per_core:
                best[load.name, figure.program] = figure
    if options.json:
        print(json.dumps([asdict(figure) for figure in best.values()], indent=2))
        return 0
    print(f"{'load':34} {'program':16} {'spans/s a core':>15} {'spans/s':>10} {'memory':>8} {'lost':>6}")
    for figure in best.values():
        lost = max(0, figure.sent - figure.arrived)
        print(
            f"{figure.load:34} {figure.program:16} {figure.per_core:15,.0f} {figure.per_second:10,.0f} "
            f"{figure.memory / 2**20:6.0f}MB {lost:6}"
        )
    return int(any(figure.arrived < figure.sent for figure in best.values()))


if __name__ == "__main__":
    sys.exit(main())
