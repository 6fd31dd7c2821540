"""The port for anyone's OTLP: each answer as the specification has it, asked for with raw sockets and a real client."""

import gzip
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from hoptrace_collector.counters import Counters
from hoptrace_collector.receive.inbox import Inbox
from hoptrace_collector.receive.otlp_listener import OtlpListener

LIMIT = 100_000
KIND = {"content-type": "application/x-protobuf"}


def request_of(spans: int, size: int = 1) -> bytes:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for _ in range(spans):
        scope.spans.add(name="x" * size)
    return bytes(request.SerializeToString())


class Rig:
    """A listener before an inbox, without a collector."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.counters = Counters(self.said.append)
        self.behind = 0
        self.inbox = Inbox(LIMIT, lambda: self.behind, lambda signal: signal != "logs")
        self.listener = OtlpListener(0, self.counters)
        self.listener.start(self.inbox)

    def post(
        self, body: bytes, path: str = "/v1/traces", method: str = "POST", **headers: str
    ) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.listener.port, timeout=5)
        connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()} or KIND)
        response = connection.getresponse()
        response.content = response.read()  # type: ignore[attr-defined]
        connection.close()
        return response

    def raw(self, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.listener.port), 5) as connection:
            connection.sendall(data)
            out = b""
            while chunk := connection.recv(65536):
                out += chunk
            return out


@pytest.fixture(scope="module")
def shared() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.listener.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.listener.close()


def test_a_request_is_taken_and_answered_in_its_own_kind(rig: Rig) -> None:
    answer = rig.post(request_of(3))
    assert (answer.status, answer.headers["content-type"], answer.content) == (200, "application/x-protobuf", b"")
    answer = rig.post(b'{"resourceSpans":[]}', content_type="application/json")
    assert (answer.status, answer.headers["content-type"], answer.content) == (200, "application/json", b"{}")
    answer = rig.post(
        gzip.compress(request_of(2)), **{"content-type": "application/x-protobuf", "content-encoding": "gzip"}
    )
    assert answer.status == 200
    assert [batch.amount for batch in rig.inbox.take()] == [3, 0, 2]
    assert rig.inbox.take() == []
    assert rig.counters.total("received") == 5


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/traces", 405),
        ("PUT", "/v1/logs", 405),
        ("POST", "/", 404),
        ("POST", "/v1/profiles", 404),
        ("GET", "/nowhere", 404),
        ("POST", "/v1/traces?x=1", 200),
    ],
)
def test_only_the_three_paths_and_only_post(rig: Rig, method: str, path: str, status: int) -> None:
    answer = rig.post(b"", path, method, content_type="application/x-protobuf")
    assert answer.status == status
    assert answer.headers.get("allow") == ("POST" if status == 405 else None)


def test_an_error_is_a_status_message_in_the_kind_of_the_request(rig: Rig) -> None:
    answer = rig.post(b"\xff\xff garbage")
    assert (answer.status, answer.headers["content-type"]) == (400, "application/x-protobuf")
    assert answer.content[:1] == b"\x12", "google.rpc.Status has its message in field 2"
    assert len(answer.content) == answer.content[1] + 2
    answer = rig.post(b"garbage", content_type="application/json")
    assert answer.status == 400
    assert "no valid OTLP traces" in json.loads(answer.content)["message"]
    assert rig.post(b"", content_type="text/plain").status == 415
    assert rig.counters.total("otlp_refused", "400") == 2


def test_a_body_without_a_length_and_one_beyond_the_bound_are_refused(rig: Rig) -> None:
    head = b"POST /v1/traces HTTP/1.1\r\ncontent-type: application/x-protobuf\r\n"
    assert rig.raw(head + b"\r\n").startswith(b"HTTP/1.1 411 ")
    assert rig.raw(head + b"content-length: 999999999999999999999999\r\n\r\n").startswith(b"HTTP/1.1 413 ")
    assert rig.raw(head + b"content-length: -1\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert rig.raw(head + b"transfer-encoding: chunked\r\n\r\nfffffff\r\n").startswith(b"HTTP/1.1 413 ")
    assert rig.post(bytes(5_000_000)).status == 413, "the answer is read although the body was not"
    assert rig.post(gzip.compress(bytes(5_000_000)), **KIND, **{"content-encoding": "gzip"}).status == 413


def test_chunks_and_an_announced_body_are_understood(rig: Rig) -> None:
    body = request_of(4)
    head = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
    chunked = (
        b"transfer-encoding: chunked\r\n\r\n2\r\n"
        + body[:2]
        + b"\r\n%x\r\n" % (len(body) - 2)
        + body[2:]
        + b"\r\n0\r\n\r\n"
    )
    assert rig.raw(head + chunked).startswith(b"HTTP/1.1 200 ")
    with socket.create_connection(("127.0.0.1", rig.listener.port), 5) as connection:
        connection.sendall(head + b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(body))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    assert [batch.amount for batch in rig.inbox.take()] == [4, 4]


def test_when_the_queue_is_full_the_sender_is_asked_to_come_again(rig: Rig) -> None:
    assert rig.post(request_of(1, size=LIMIT - 200)).status == 200
    answer = rig.post(request_of(1, size=1000))
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    rig.inbox.take()
    assert rig.post(request_of(1, size=1000)).status == 200
    rig.inbox.take()
    rig.behind = LIMIT
    assert rig.post(request_of(1)).status == 503, "what is queued counts as well"
    assert rig.counters.total("otlp_refused", "503") == 2
    assert rig.counters.total("received") == 2


def test_a_signal_without_an_endpoint_is_rejected_for_good_and_told_once(rig: Rig) -> None:
    logs = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{},{}]}]}]}'
    for _ in range(2):
        answer = rig.post(logs, "/v1/logs", content_type="application/json")
        assert answer.status == 200
        partial = json.loads(answer.content)["partialSuccess"]
        assert partial["rejectedLogRecords"] == "2"
    packed = rig.post(bytes.fromhex("0a06120412001200"), "/v1/logs")
    partial = ExportTraceServiceResponse.FromString(packed.content).partial_success
    assert (packed.status, partial.rejected_spans) == (200, 2)
    assert "no endpoint" in partial.error_message
    assert rig.counters.total("logs_dropped", "no_endpoint") == 6
    assert len(rig.said) == 1


def test_a_connection_that_says_nothing_holds_nobody_up(rig: Rig) -> None:
    idle = [socket.create_connection(("127.0.0.1", rig.listener.port), 5) for _ in range(10)]
    started = time.monotonic()
    assert rig.post(request_of(1)).status == 200
    assert time.monotonic() - started < 1.0
    for each in idle:
        each.close()
    assert rig.post(request_of(1)).status == 200


def test_many_at_a_time_are_all_taken(rig: Rig) -> None:
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(rig.post(request_of(1)).status)) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 40
    assert len(rig.inbox.take()) == 40


@given(
    st.binary(max_size=80)
    | st.sampled_from([b"POST", b"POST /v1/traces", b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n", b"\0" * 70_000])
    | st.binary(max_size=40).map(lambda data: b"POST /v1/traces HTTP/1.1\r\n" + data + b"\r\n\r\n" + data)
)
@settings(deadline=None, max_examples=60)
def test_whatever_is_sent_the_next_one_is_answered(shared: Rig, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", shared.listener.port), 5) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(5)
        try:
            while connection.recv(4096):
                pass
        except ConnectionResetError:
            pass
    assert shared.post(b"", content_type="application/x-protobuf").status == 200
    assert shared.counters.total("errors") == 0


def test_a_port_that_is_taken_is_left_to_who_has_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listener = OtlpListener(port, Counters(lambda _: None))
        assert listener.port not in (0, port)
        listener.close()


def test_after_closing_nobody_listens(tmp_path: Path) -> None:
    rig = Rig()
    rig.listener.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", rig.listener.port), 1)
