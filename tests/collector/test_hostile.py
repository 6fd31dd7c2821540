"""Hostile inputs to each receiver of one real collector process: it never ends, does not grow, and works on.

The long one (`-m soak`) sends 100,000 to each and prints what it saw; a short one runs every time.
"""

import copy
import gzip
import json
import random
import socket
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hoptrace_collector.otlp_json import to_json
from hoptrace_collector.otlp_request import new_request

from .support import Backend, Collector, Lambda, begin, ended, free_port, inner, spans_of, tracer_bell, write
from .test_telemetry import BATCH

QUEUE = 2 * 1024 * 1024
# What the process may have beside its queue, and by how much it may still grow in the second half, in kB.
MOST, GROWTH = 24_000, 2_500
ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    1.5,
    1e308,
    2**63,
    2**64,
    -(2**70),
    "",
    "\ud800",
    "x" * 3000,
    "4b" * 16,
    [],
    {},
    [[]],
]


def requests() -> list[tuple[str, bytes]]:
    """A good request of each signal, as protobuf."""
    traces, metrics, logs = new_request("traces"), new_request("metrics"), new_request("logs")
    span = traces.resource_spans.add().scope_spans.add().spans.add(trace_id=b"\1" * 16, span_id=b"\2" * 8, name="x")
    span.attributes.add(key="k").value.kvlist_value.values.add(key="n").value.array_value.values.add(int_value=1)
    span.events.add(name="e", time_unix_nano=1)
    span.links.add(trace_id=b"\3" * 16)
    scope = metrics.resource_metrics.add().scope_metrics.add()
    scope.metrics.add(name="h").histogram.data_points.add(count=1, bucket_counts=[1, 0], explicit_bounds=[0.5])
    scope.metrics.add(name="e").exponential_histogram.data_points.add(count=1).positive.bucket_counts.append(1)
    scope.metrics.add(name="s").sum.data_points.add(as_int=1).exemplars.add(trace_id=b"\1" * 16)
    logs.resource_logs.add().scope_logs.add().log_records.add(severity_number=9).body.string_value = "said"
    return [
        ("/v1/traces", traces.SerializeToString()),
        ("/v1/metrics", metrics.SerializeToString()),
        ("/v1/logs", logs.SerializeToString()),
    ]


_DEEP = "deep"


class Fuzz:
    """Makes hostile inputs out of good ones, the same for a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._requests = requests()
        self._json = [
            (path, json.loads(to_json(type(new_request(path[4:])).FromString(body)))) for path, body in self._requests
        ]
        self._records = [
            begin(1),
            ended(1),
            inner(2, events=[{"name": "e", "time": 1, "attributes": {}}], links=[{"trace_id": "4b" * 16}]),
            {"v": 1, "type": "otlp", "path": "/v1/traces", "kind": "application/json", "encoding": "", "body": "e30="},
            {"v": 1, "type": "metrics", "points": [{"name": "m", "value": 1}]},
            {"v": 1, "type": "log", "body": "b", "time": 1},
            {"v": 1, "type": "dropped", "reason": "x", "count": 3},
            {"v": 1, "type": "init_error", "error_type": "E", "resource": {}, "start": 1, "end": 2},
        ]

    def bytes_of(self, data: bytes) -> bytes:
        """Flip, cut, repeat or put in bytes."""
        out, choose = bytearray(data), self.random
        for _ in range(choose.choice([1, 1, 2, 5])):
            at = choose.randrange(len(out) + 1)
            kind = choose.randrange(5)
            if kind == 0 and out:
                out[at - 1] ^= 1 << choose.randrange(8)
            elif kind == 1:
                del out[at:]
            elif kind == 2:
                out[at:at] = out[: choose.randrange(40)]
            elif kind == 3:
                out[at:at] = choose.randbytes(choose.randrange(12))
            else:
                out[at : at + choose.randrange(4)] = b"\xff\xff\xff\xff\x0f"
        return bytes(out)

    def value_of(self, value: Any) -> Any:
        """Put something odd into a JSON value, or take something out."""
        value, choose = copy.deepcopy(value), self.random
        for _ in range(choose.choice([1, 1, 1, 3])):
            here = value
            while isinstance(here, dict | list) and here:
                key = choose.choice(list(here)) if isinstance(here, dict) else choose.randrange(len(here))
                if choose.random() < 0.35 or not isinstance(here[key], dict | list) or not here[key]:
                    odd = copy.deepcopy(choose.choice(ODD))
                    if choose.random() < 0.2:
                        del here[key]
                    elif choose.random() < 0.1:
                        here[key] = _DEEP
                    else:
                        here[key] = odd
                    break
                here = here[key]
        return value

    def text_of(self, value: Any) -> bytes:
        text = json.dumps(self.value_of(value)).encode()
        if _DEEP.encode() in text:  # deeper than our own writer would go
            levels = self.random.choice([50, 500, 20_000])
            text = text.replace(f'"{_DEEP}"'.encode(), b"[" * levels + b"1" + b"]" * levels)
        return self.bytes_of(text) if self.random.random() < 0.3 else text

    def post(self) -> bytes:
        """A whole HTTP request to the OTLP port."""
        choose = self.random
        if choose.random() < 0.5:
            path, body = choose.choice(self._requests)
            kind, body = b"application/x-protobuf", self.bytes_of(body) if choose.random() < 0.8 else body
        else:
            path, value = choose.choice(self._json)
            kind, body = b"application/json", self.text_of(value)
        encoding = b""
        packing = choose.randrange(20)
        if packing == 0:
            encoding, body = b"gzip", self.bytes_of(gzip.compress(body))
        elif packing == 1:
            encoding, body = b"gzip", gzip.compress(b"\0" * choose.choice([10, 5_000_000]))
        elif packing == 2:
            encoding, body = b"deflate", zlib.compress(body)[: choose.randrange(60)]
        kind = choose.choice([kind] * 20 + [b"text/plain", b"", self.bytes_of(kind)])
        length = choose.choice([b"%d" % len(body)] * 30 + [b"-1", b"%d" % (len(body) * 2), b"9" * 30, b"x"])
        head = b"POST %s HTTP/1.1\r\ncontent-type: %s\r\ncontent-encoding: %s\r\ncontent-length: %s\r\n\r\n" % (
            path.encode(),
            kind,
            encoding,
            length,
        )
        if choose.random() < 0.1:
            head = self.bytes_of(head)
        return head + body

    def telemetry(self) -> bytes:
        body = self.text_of(BATCH)
        head = b"POST / HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        return (self.bytes_of(head) if self.random.random() < 0.1 else head) + body

    def record(self) -> bytes:
        line = self.text_of(self.random.choice(self._records))
        return line.replace(b"\n", b" ") + (b"\n" if self.random.random() < 0.98 else b"")


def ask(port: int, data: bytes) -> None:
    """Send it and read whatever comes."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.settimeout(20)
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        except OSError:  # it was answered, and closed, before it was read to its end
            pass


def tally(backend: Backend, totals: dict[str, int]) -> None:
    """Add up what the collector says of what it received, and forget the requests."""
    for posted in backend.requests:
        if posted.path == "/v1/metrics":
            request = type(new_request("metrics")).FromString(posted.body)
            for metric in (m for r in request.resource_metrics for scope in r.scope_metrics for m in scope.metrics):
                name = metric.name.removeprefix("hoptrace.collector.")
                if name != metric.name:
                    totals[name] = totals.get(name, 0) + sum(point.as_int for point in metric.sum.data_points)
    backend.requests.clear()


def private(pid: int) -> int:
    """Private memory in kB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private"))


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("receiver", ["otlp", "telemetry", "records"])
@pytest.mark.parametrize("count", [500, pytest.param(100_000, marks=pytest.mark.soak)])
def test_hostile_inputs_neither_end_the_collector_nor_make_it_grow(tmp_path: Path, receiver: str, count: int) -> None:
    run_dir, fuzz = tmp_path / "run", Fuzz(count)
    otlp, telemetry = free_port(), free_port()
    with (
        Lambda() as host,
        Backend() as backend,
        tracer_bell(run_dir) as ring,
        Collector(
            host,
            run_dir,
            "--telemetry-port",
            str(telemetry),
            OTEL_EXPORTER_OTLP_ENDPOINT=backend.url,
            HOPTRACE_OTLP_PORT=str(otlp),
            HOPTRACE_QUEUE_BYTES=str(QUEUE),
        ) as collector,
    ):
        host.wait_for_next(30)
        sizes, totals = [private(collector.process.pid)], dict[str, int]()
        send: Callable[[int], None] = {
            "otlp": lambda many: [ask(otlp, fuzz.post()) for _ in range(many)] and None,
            "telemetry": lambda many: [ask(telemetry, fuzz.telemetry()) for _ in range(many)] and None,
            "records": lambda many: write(run_dir, *(fuzz.record() for _ in range(many))),
        }[receiver]
        started, step = time.monotonic(), min(count // 4, 500)
        for number in range(count // step):
            host.invoke(f"h{number}", seconds=60.0)
            send(step)
            ring()
            host.wait_for_next(60)
            tally(backend, totals)
            sizes.append(private(collector.process.pid))
        seconds = time.monotonic() - started
        # A line without an end would swallow the next record: that is the writer's own loss.
        write(run_dir, b"\n")
        host.invoke("good", seconds=60.0)
        write(run_dir, begin(900, "good"), inner(901, "good", name="after"), ended(900, "good"))
        ring()
        host.wait_for_next(60)
        host.shut_down(seconds=10.0)
        log = collector.end(30)
        # Not before: while invocations are frequent, it sends in the background.
        assert "after" in {span.name for span in spans_of(backend)}, "it works as before"
        tally(backend, totals)
    half = sizes[len(sizes) // 2]
    print(
        f"{receiver}: {count} hostile inputs in {seconds:.0f} s, 0 exits; private memory {sizes[0]} kB at the start, "
        f"{half} kB half-way, {sizes[-1]} kB at the end, {max(sizes)} kB at most; {totals}"
    )
    assert totals[{"otlp": "otlp_refused"}.get(receiver, receiver + "_skipped")] > count // 20, "it did look at them"
    assert max(sizes) < MOST + QUEUE // 1024, sizes
    if count > 10_000:
        assert sizes[-1] - half < GROWTH, sizes
    assert "failed (" not in log, log
