"""Sending: what is tried again, what is not, and that nothing lasts longer than its deadline."""

import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Callable
from email.utils import format_datetime
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from hoptrace_collector.counters import Counters
from hoptrace_collector.export.answer import retry_after
from hoptrace_collector.export.encode import encode_metrics, encode_span
from hoptrace_collector.export.exporter import SENT, Limits, Loss, Result
from hoptrace_collector.export.pieces import Piece, leaves, parse_request
from hoptrace_collector.export.sender import Sender
from hoptrace_collector.model import Origin, Span
from hoptrace_collector.pipeline.breaker import Breaker
from hoptrace_collector.pipeline.flush import METRICS, Flusher
from hoptrace_collector.pipeline.queue import Item, Queue, Room
from hoptrace_collector.settings import Otlp, Secret, parse_url

from .support import Backend, Posted, certificate_for, free_port, spans_of

ORIGIN = Origin((("service.name", "shipping"),), ("hoptrace", "0.1.0"))


def item(number: int, size: int = 10, origin: Origin = ORIGIN) -> Item:
    made = Span(b"\1" * 16, number.to_bytes(8), f"span {number}", 1, 1, 2, attributes={"pad": "x" * size})
    return Item(origin, encode_span(made))


class Rig:
    """A queue, a sender and a flusher before a backend, with a clock that only `sleep` moves when it is frozen."""

    def __init__(self, url: str, *, limit: int = 8 << 20, timeout: float = 2.0, **target: object) -> None:
        self.said: list[str] = []
        self.slept: list[float] = []
        self.counters = Counters(self.said.append)
        self.queue = Queue(Room(limit), lambda count, reason: self.counters.add("dropped", reason, count))
        self.sender = Sender(Otlp(parse_url(url), timeout=timeout, **target), now=time.time)  # type: ignore[arg-type]
        self.ahead = 0.0
        self.backoff = Breaker(self.clock, lambda: 1.0)
        self.flusher = Flusher(self.queue, self.sender, self.backoff, self.counters, clock=self.clock, sleep=self.sleep)

    def clock(self) -> float:
        return time.monotonic() + self.ahead

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.ahead += seconds

    def flush(self, *items: Item, seconds: float = 5.0, last: bool = False) -> None:
        for each in items:
            self.queue.put(each)
        self.flusher.flush(self.clock() + seconds, last=last)

    def __enter__(self) -> "Rig":  # noqa: PYI034
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_batches_are_bounded_in_spans_and_in_bytes() -> None:
    with Backend() as backend:
        Rig(backend.url).flush(*(item(number) for number in range(1, 1201)))
        assert [len(spans_of_request(posted.body)) for posted in backend.requests] == [512, 512, 176]
        assert [span.name for span in spans_of_request(backend.requests[0].body)][:2] == ["span 1", "span 2"]
    with Backend() as backend:
        Rig(backend.url).flush(*(item(number, size=400_000) for number in range(1, 6)))
        assert [len(spans_of_request(posted.body)) for posted in backend.requests] == [2, 2, 1]


def spans_of_request(body: bytes) -> list:
    request = ExportTraceServiceRequest.FromString(body)
    return [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]


def test_a_request_is_grouped_by_resource_and_scope() -> None:
    other = Origin(ORIGIN.resource, ("user's library", "2"))
    third = Origin((("service.name", "billing"), ("n", (1, "two"))), ("hoptrace", "0.1.0"))
    with Backend() as backend:
        Rig(backend.url + "/v1/traces").flush(item(1), item(2, origin=other), item(3, origin=third), item(4))
        request = ExportTraceServiceRequest.FromString(backend.requests[0].body)
    assert [
        (
            resource.resource.attributes[0].value.string_value,
            [(scope.scope.name, [span.name for span in scope.spans]) for scope in resource.scope_spans],
        )
        for resource in request.resource_spans
    ] == [
        ("shipping", [("hoptrace", ["span 1", "span 4"]), ("user's library", ["span 2"])]),
        ("billing", [("hoptrace", ["span 3"])]),
    ]


def test_headers_and_compression_are_as_set() -> None:
    with Backend() as backend:
        rig = Rig(backend.url + "/v1/traces", gzip=True, headers=(("api-key", Secret("s3cret")),))
        rig.flush(item(1))
        (posted,) = backend.requests
        assert posted.headers["content-type"] == "application/x-protobuf"
        assert posted.headers["content-encoding"] == "gzip"
        assert posted.headers["api-key"] == "s3cret"
        assert [span.name for span in spans_of(backend)] == ["span 1"]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_the_backend_cannot_take_now_is_kept_and_sent_later(status: int) -> None:
    with Backend((status, {}, b""), (200, {}, b"")) as backend:
        rig = Rig(backend.url)
        rig.flush(item(1))
        assert len(rig.queue) == 1
        rig.flush()
        assert len(backend.requests) == 1, "not before the pause is over"
        rig.ahead += 1.5
        rig.flush()
        assert len(backend.requests) == 2
        assert len(rig.queue) == 0
        assert rig.counters.total("sent") == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 501, 301])
def test_what_the_backend_refuses_for_good_is_dropped_counted_and_said_once(status: int) -> None:
    with Backend((status, {"content-type": "text/plain"}, b"no such\nkey")) as backend:
        rig = Rig(backend.url)
        rig.flush(item(1), item(2))
        rig.flush(item(3))
        assert len(backend.requests) == 2
        assert rig.counters.total("dropped", "refused") == 3
        assert len(rig.said) == 1
        assert f"HTTP {status}: no such key" in rig.said[0]


def test_a_retry_after_is_honoured() -> None:
    with Backend((503, {"retry-after": "30"}, b""), (200, {}, b"")) as backend:
        rig = Rig(backend.url)
        rig.flush(item(1))
        rig.ahead += 29
        rig.flush()
        assert len(backend.requests) == 1
        rig.ahead += 2
        rig.flush()
        assert len(backend.requests) == 2


def test_retry_after_is_seconds_or_a_date_and_never_too_long() -> None:
    now = 1_790_000_000.0
    date = format_datetime(dt.datetime.fromtimestamp(now + 90, dt.UTC), usegmt=True)
    assert retry_after({"retry-after": "7"}, now) == 7
    assert retry_after({"retry-after": date}, now) == 90
    assert retry_after({"retry-after": "9" * 30}, now) == 3600
    assert retry_after({"retry-after": "soon"}, now) == 0
    assert retry_after({}, now) == 0


def test_the_last_flush_waits_and_tries_again_within_its_deadline() -> None:
    with Backend((503, {}, b""), (503, {}, b""), (200, {}, b"")) as backend:
        rig = Rig(backend.url)
        rig.flush(item(1), last=True)
        assert len(backend.requests) == 3
        assert rig.slept == sorted(rig.slept)
        assert len(rig.queue) == 0
    with Backend((503, {}, b"")) as backend:
        rig = Rig(backend.url)
        started = rig.clock()
        rig.flush(item(1), seconds=1.5, last=True)
        assert rig.clock() - started < 1.5
        assert len(rig.queue) == 1, "kept for the next generation"


def test_a_partial_success_is_counted_and_never_sent_again() -> None:
    partial = ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(rejected_spans=2, error_message="too old")
    )
    with Backend((200, {}, partial.SerializeToString())) as backend:
        rig = Rig(backend.url)
        rig.flush(item(1), item(2), item(3))
        assert len(backend.requests) == 1
        assert (rig.counters.total("sent"), rig.counters.total("dropped", "rejected")) == (1, 2)
        assert "too old" in rig.said[0]


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"{}", b"<html>"])
def test_an_answer_of_200_counts_whatever_its_body_is(body: bytes) -> None:
    with Backend((200, {}, body)) as backend:
        rig = Rig(backend.url)
        rig.flush(item(1))
        assert rig.counters.total("sent") == 1


def test_a_batch_that_is_too_large_is_split_until_it_fits() -> None:
    def at_most_three(posted) -> tuple:
        return (200, {}, b"") if len(spans_of_request(posted.body)) <= 3 else (413, {}, b"")

    with Backend(at_most_three) as backend:
        rig = Rig(backend.url)
        rig.flush(*(item(number) for number in range(1, 11)))
        assert rig.counters.total("sent") == 10
        assert rig.counters.total("dropped") == 0
        rig.flush(*(item(number) for number in range(11, 14)))
        assert [len(spans_of_request(posted.body)) for posted in backend.requests] == [10, 5, 2, 2, 2, 2, 2, 2, 1]


def test_one_span_that_is_too_large_is_dropped_and_the_others_are_sent() -> None:
    def small_only(posted) -> tuple:
        return (413, {}, b"") if len(posted.body) > 5000 else (200, {}, b"")

    with Backend(small_only) as backend:
        rig = Rig(backend.url)
        rig.flush(item(1), item(2, size=9000), item(3))
        assert (rig.counters.total("sent"), rig.counters.total("dropped", "too_large")) == (2, 1)


def test_a_refused_connection_and_a_hung_up_one_are_tried_again_later() -> None:
    rig = Rig(f"http://127.0.0.1:{free_port()}")
    rig.flush(item(1))
    assert len(rig.queue) == 1
    assert "efused" in rig.said[0]
    with Backend(0.0) as backend:
        rig = Rig(backend.url)
        rig.flush(item(1))
        assert len(rig.queue) == 1


def serve(answer: Callable[[socket.socket], object]) -> tuple[int, threading.Thread]:
    server = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with server:
            connection, _ = server.accept()
            with connection:
                try:
                    answer(connection)
                except OSError:
                    pass

    thread = threading.Thread(target=run)
    thread.start()
    return server.getsockname()[1], thread


def answering(answer: bytes) -> Callable[[socket.socket], None]:
    def run(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    return run


def drip(connection: socket.socket) -> None:
    connection.recv(65536)
    for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n" + b"x" * 50:
        connection.sendall(bytes([byte]))
        time.sleep(0.02)


def test_an_answer_that_drips_is_cut_off_at_the_deadline() -> None:
    port, thread = serve(drip)
    rig = Rig(f"http://127.0.0.1:{port}")
    started = time.monotonic()
    rig.flush(item(1), seconds=0.3)
    assert time.monotonic() - started < 0.45
    assert len(rig.queue) == 1
    thread.join()


def test_a_backend_that_does_not_read_is_cut_off_at_the_deadline() -> None:
    over = threading.Event()
    port, thread = serve(lambda _: over.wait(5))
    rig = Rig(f"http://127.0.0.1:{port}", limit=64 << 20)
    rig.queue.put(item(1, size=12_000_000))
    started = time.monotonic()
    rig.flush(seconds=0.3)
    assert time.monotonic() - started < 0.5
    assert len(rig.queue) == 1
    over.set()
    thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_every_form_of_answer_is_understood(answer: bytes) -> None:
    port, thread = serve(answering(answer))
    rig = Rig(f"http://127.0.0.1:{port}")
    rig.flush(item(1))
    assert rig.counters.total("sent") == 1, rig.said
    thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"x" * 200_000,
    ],
)
def test_an_answer_that_is_no_http_is_a_failure_and_no_more(answer: bytes) -> None:
    port, thread = serve(answering(answer))
    rig = Rig(f"http://127.0.0.1:{port}")
    rig.flush(item(1))
    assert len(rig.queue) == 1
    thread.join()


def test_https_is_verified_against_the_certificate_that_is_set(tmp_path: Path) -> None:
    key, certificate = certificate_for("localhost", tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def answer(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(65536)
            secured.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    port, thread = serve(answer)
    trusting = Rig(f"https://localhost:{port}", certificate=str(certificate))
    trusting.flush(item(1))
    assert trusting.counters.total("sent") == 1, trusting.said
    thread.join()
    port, thread = serve(answer)
    rig = Rig(f"https://localhost:{port}")
    rig.flush(item(1))
    assert len(rig.queue) == 1
    assert "ertificate" in rig.said[0]
    thread.join()


def test_a_full_queue_drops_the_oldest_and_counts_them() -> None:
    rig = Rig("http://127.0.0.1:1", limit=70_000)
    for number in range(100):
        rig.queue.put(item(number, size=1000))
    assert rig.queue.size <= 70_000
    kept = [name_of(each.data) for each in rig.queue.items()]
    assert kept[-1] == "span 99"
    assert len(kept) + rig.counters.total("dropped", "queue_full") == 100
    rig.queue.put(item(1, size=100_000))
    assert rig.counters.total("dropped", "too_large") == 1


def name_of(data: bytes) -> str:
    return str(SpanMessage.FromString(data).name)


def test_pauses_grow_and_attempts_shrink_until_the_backend_answers() -> None:
    now = [0.0]
    backoff = Breaker(lambda: now[0], lambda: 1.0)
    assert [backoff.failed() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff.limit(2.0) == 0.5
    assert backoff.pausing
    now[0] = 60.1
    assert not backoff.pausing
    backoff.succeeded()
    assert backoff.limit(2.0) == 2.0
    assert Breaker(lambda: 0.0, lambda: 0.0).failed() == 0.5, "jitter takes off up to half"


def foreign(name: str, amount: int = 1, size: int = 10) -> Item:
    part = ResourceSpans()
    scope = part.scope_spans.add()
    for _ in range(amount):
        scope.spans.add(name=name, trace_id=b"\1" * 16, span_id=b"\2" * 8)
    part.resource.attributes.add(key="pad").value.string_value = "x" * size
    return Item(None, part.SerializeToString(), amount=amount)


def test_what_others_sent_goes_on_as_it_came_and_a_refusal_of_it_costs_none_of_ours() -> None:
    def choosy(posted: Posted) -> tuple[int, dict[str, str], bytes]:
        names = {span.name for span in spans_in(posted)}
        return (400, {}, b"") if "bad" in names else (200, {}, b"")

    with Backend(choosy) as backend, Rig(backend.url) as rig:
        rig.flush(item(1), foreign("bad", 3), item(2), foreign("good", 2))
        assert [[span.name for span in spans_in(posted)] for posted in backend.requests] == [
            ["span 1"],
            ["bad"] * 3,
            ["span 2"],
            ["good"] * 2,
        ]
        assert (rig.counters.total("sent"), rig.counters.total("dropped", "refused")) == (4, 3)


def spans_in(posted: Posted) -> list[object]:
    request = ExportTraceServiceRequest.FromString(posted.body)
    return [span for each in request.resource_spans for scope in each.scope_spans for span in scope.spans]


def test_signals_share_one_room_and_the_longest_queue_gives_way() -> None:
    gone: list[tuple[str, int, str]] = []
    room = Room(10_000)
    spans = Queue(room, lambda count, reason: gone.append(("spans", count, reason)))
    logs = Queue(room, lambda count, reason: gone.append(("logs", count, reason)))
    spans.put(Item(ORIGIN, b"x" * 1000))
    for _ in range(20):
        logs.put(Item(None, b"y" * 1000, amount=7))
    assert (len(spans), room.used <= 10_000) == (1, True)
    assert set(gone) == {("logs", 7, "queue_full")}


def test_metrics_wait_for_the_backend_and_go_in_one_request() -> None:
    with Backend((503, {}, b""), (200, {}, b"")) as backend:
        counters = Counters(lambda _: None)
        queue = Queue(Room(100_000), lambda count, reason: counters.add("metrics_dropped", reason, count))
        sender = Sender(Otlp(parse_url(backend.url)), now=time.time)
        flusher = Flusher(queue, sender, Breaker(time.monotonic, lambda: 1.0), counters, METRICS)
        for number in range(3):
            queue.put(Item(None, encode_metrics((("n", number),), []), amount=0))
        flusher.flush(time.monotonic() + 5)
        assert (len(backend.requests), len(queue)) == (1, 3)
        flusher.flush(time.monotonic() + 5, last=True)
        (request,) = [ExportMetricsServiceRequest.FromString(posted.body) for posted in backend.requests[1:]]
        assert [each.resource.attributes[0].value.int_value for each in request.resource_metrics] == [0, 1, 2]
        assert counters.total("metrics_sent") == 0, "what the collector says of itself is not counted again"
        assert counters.total("metrics_failed", "unavailable") == 1


def test_what_one_resource_has_sent_at_once_is_cut_when_it_is_too_large() -> None:
    def at_most_three(posted: Posted) -> tuple[int, dict[str, str], bytes]:
        return (200, {}, b"") if len(spans_in(posted)) <= 3 else (413, {}, b"")

    with Backend(at_most_three) as backend:
        rig = Rig(backend.url)
        rig.flush(foreign("theirs", 10))
        assert (rig.counters.total("sent"), rig.counters.total("dropped")) == (10, 0)
    with Backend((413, {}, b"")) as backend:
        rig = Rig(backend.url)
        rig.flush(foreign("theirs", 4))
        assert (rig.counters.total("dropped", "too_large"), len(rig.queue)) == (4, 0)


class Choosy:
    """An exporter that takes one span at a time and none that is called `bad`."""

    name, advice, configured, timeout, limits = "the choosy one", "Ask it", True, 1.0, Limits()

    def __init__(self) -> None:
        self.took: list[str] = []

    def send(self, body: bytes, deadline: float) -> Result:
        found = list(leaves("traces", parse_request("traces", body)))
        good = [leaf for leaf in found if leaf.message.name != "bad"]
        lost = (Loss("ugly", len(found) - len(good), "are ugly"),) if len(good) < len(found) else ()
        self.took += [leaf.message.name for leaf in good[:1]]
        rest = Piece("traces")
        for leaf in good[1:]:
            rest.add(leaf)
        return Result(SENT, lost=lost, rest=tuple(rest.parts()))


def test_an_exporter_may_take_a_part_and_leave_out_what_it_never_takes() -> None:
    rig, choosy = Rig("http://127.0.0.1:1"), Choosy()
    rig.flusher = Flusher(rig.queue, choosy, rig.backoff, rig.counters, clock=rig.clock, sleep=rig.sleep)
    rig.flush(foreign("a", 2), foreign("bad", 3), foreign("b", 1))
    assert choosy.took == ["a", "a", "b"]
    assert (rig.counters.total("sent"), rig.counters.total("dropped", "ugly")) == (3, 3)
    assert (len(rig.queue), rig.queue.size) == (0, 0)
    assert rig.said == ["hoptrace: 3 spans were dropped, since the choosy one takes none that are ugly"]
