"""A hundred thousand hostile requests, and a backend that comes and goes, against the gateway as a process."""

import gzip
import json
import os
import random
import socket
import time
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from tests.collector.support import Backend, free_port, spans_of
from tests.support.ports import refusing

from .support import PROTOBUF, SECOND, traces
from .test_process import gateway

KINDS = (PROTOBUF, "application/json")
JSON = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "faas.name", "value": {"stringValue": "shipping"}}]},
            "scopeSpans": [
                {
                    "spans": [
                        {
                            "traceId": "0" * 31 + "1",
                            "spanId": "0" * 15 + "1",
                            "kind": 2,
                            "startTimeUnixNano": "1",
                            "endTimeUnixNano": "2",
                            "attributes": [{"key": "faas.invocation_id", "value": {"stringValue": "r"}}],
                        }
                    ]
                }
            ],
        }
    ]
}


def mutated(source: random.Random, body: bytes) -> bytes:
    data = bytearray(body)
    for _ in range(source.randrange(1, 8)):
        what = source.randrange(4)
        at = source.randrange(len(data) + 1)
        if what == 0 and data:
            data[at % len(data)] = source.randrange(256)
        elif what == 1:
            data[at:at] = source.randbytes(source.randrange(1, 20))
        elif what == 2:
            del data[at : at + source.randrange(1, 20)]
        else:
            data[at:at] = data[: source.randrange(1, 50)]
    return bytes(data)


def hostile(source: random.Random) -> Iterator[bytes]:
    """Requests without end: most are HTTP with a broken body, some are broken HTTP."""
    protobuf = traces(*[(n, n, 2 * n) for n in range(1, 5)])
    text = json.dumps(JSON).encode()
    deep = b'{"resourceSpans":' + b"[" * 5000
    while True:
        at = source.randrange(2)
        body = mutated(source, (protobuf, text)[at])
        chance = source.random()
        if chance < 0.01:
            body = deep
        head = [f"POST /v1/{source.choice(('traces', 'metrics', 'logs'))} HTTP/1.1", "host: x"]
        head.append(f"content-type: {KINDS[at]}")
        if source.random() < 0.3:
            body = gzip.compress(body, 1)
            if source.random() < 0.5:
                body = mutated(source, body)
            head.append("content-encoding: gzip")
        head.append(f"content-length: {len(body)}")
        request = "\r\n".join([*head, "", ""]).encode() + body
        yield mutated(source, request) if source.random() < 0.02 else request


def memory(pid: int) -> int:
    with open(f"/proc/{pid}/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def bombard(port: int, requests: Iterator[bytes], count: int) -> dict[bytes, int]:
    """Send that many, one after the other; returns how often each status came (empty: the connection ended)."""
    found: dict[bytes, int] = {}
    connection: socket.socket | None = None
    for _ in range(count):
        if connection is None:
            connection = socket.create_connection(("127.0.0.1", port))
            connection.settimeout(0.1)  # of a head that does not end there is no answer
        status = b""
        try:
            connection.sendall(next(requests))
            answer = connection.recv(65536)
            status = answer[9:12]
            if b"\r\nconnection: close" in answer.lower() or not answer:
                connection.close()
                connection = None
        except (TimeoutError, OSError):
            connection.close()
            connection = None
        found[status] = found.get(status, 0) + 1
    if connection is not None:
        connection.close()
    return found


def run(count: int, grown: int) -> dict[bytes, int]:
    with (
        Backend() as backend,
        gateway(OTEL_EXPORTER_OTLP_ENDPOINT=backend.url, OTEL_METRICS_EXPORTER="none") as (
            process,
            port,
        ),
    ):
        requests = hostile(random.Random(7))
        bombard(port, requests, min(count // 10, 1000))
        before = memory(process.pid)
        found = bombard(port, requests, count)
        assert process.poll() is None
        assert memory(process.pid) - before < grown
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("POST", "/v1/traces", traces((7, SECOND, 2 * SECOND)), {"content-type": PROTOBUF})
        assert connection.getresponse().status == 200
        connection.close()
    return found


def test_hostile_requests_are_answered_and_the_next_good_one_is_taken() -> None:
    found = run(600, 50 * 2**20)
    assert found[b"400"] > 50
    assert found[b"200"]
    assert set(found) <= {b"200", b"400", b"404", b"405", b"408", b"413", b"415", b""}


@pytest.mark.soak
def test_a_hundred_thousand_hostile_requests_end_nothing_and_memory_stays() -> None:
    found = run(100_000, 50 * 2**20)
    assert sum(found.values()) == 100_000


def test_a_backend_that_is_killed_and_comes_back_gets_everything_once() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with gateway("--drain", "15000", OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_METRICS_EXPORTER="none") as (process, to):
        connection = HTTPConnection("127.0.0.1", to, timeout=10)

        def send(first: int, count: int) -> None:
            for number in range(first, first + count):
                connection.request("POST", "/v1/traces", traces((number, 1, 2)), {"content-type": PROTOBUF})
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200

        send(1, 50)  # nobody is there
        time.sleep(0.5)
        with Backend(port=port) as first:
            send(51, 50)
            end = time.monotonic() + 10
            while len(spans_of(first)) < 100:
                assert time.monotonic() < end
                time.sleep(0.05)
        send(101, 50)  # it has gone again
        connection.close()
        with Backend(port=port) as second:
            process.terminate()
            _, log = process.communicate(timeout=20)
            assert process.returncode == 0, log
        # A connection that was kept open is served to its end by who has stopped listening.
        ids = [int.from_bytes(span.span_id, "big") for span in spans_of(first) + spans_of(second)]
        assert sorted(ids) == list(range(1, 151))


def test_a_dead_backend_fills_the_queue_and_takes_no_more_memory_than_that() -> None:
    arguments = ("--queue-bytes", str(8 * 2**20), "--drain", "200")
    with (
        refusing() as endpoint,
        gateway(*arguments, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_METRICS_EXPORTER="none") as (process, port),
    ):
        body = traces(*[(n, n, 2 * n) for n in range(1, 1000)])
        before = memory(process.pid)
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        found: dict[int, int] = {}
        for _ in range(20 * 2**20 // len(body)):
            connection.request("POST", "/v1/traces", body, {"content-type": PROTOBUF})
            answer = connection.getresponse()
            answer.read()
            found[answer.status] = found.get(answer.status, 0) + 1
        connection.close()
        assert set(found) == {200, 503}
        assert found[200] * len(body) <= 8 * 2**20
        assert memory(process.pid) - before < 24 * 2**20
        process.terminate()
        _, log = process.communicate(timeout=20)
        assert process.returncode == 1
        assert "it is lost" in log
