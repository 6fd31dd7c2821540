"""The OTLP receiver takes what a sender may send and says what it cannot take."""

import gzip
import http.client
import http.server
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Self

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from hoptrace_local.forward import Forwarder
from hoptrace_local.sink import MAX_BODY, OtlpSink

TRACE, PARENT, CHILD = bytes(range(16)), bytes(range(8)), bytes(range(8, 16))


def text(value: str) -> AnyValue:
    return AnyValue(string_value=value)


def trace_request() -> ExportTraceServiceRequest:
    span = Span(
        trace_id=TRACE,
        span_id=CHILD,
        parent_span_id=PARENT,
        name="process orders",
        kind=Span.SPAN_KIND_CONSUMER,
        start_time_unix_nano=1_790_000_000_000_000_001,
        end_time_unix_nano=1_790_000_000_000_000_009,
        attributes=[
            KeyValue(key="yes", value=AnyValue(bool_value=True)),
            KeyValue(key="count", value=AnyValue(int_value=3)),
            KeyValue(key="names", value=AnyValue(array_value=ArrayValue(values=[text("a"), text("b")]))),
        ],
        events=[Span.Event(name="exception", time_unix_nano=5, attributes=[KeyValue(key="k", value=text("v"))])],
        links=[Span.Link(trace_id=TRACE, span_id=PARENT)],
        status=Status(code=Status.STATUS_CODE_ERROR, message="no"),
    )
    resource = Resource(attributes=[KeyValue(key="service.name", value=text("billing"))])
    return ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=[span])])]
    )


def post(url: str, body: bytes, content_type: str, **headers: str) -> tuple[int, bytes, str]:
    request = urllib.request.Request(url, body, {"Content-Type": content_type, **headers}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status, response.read(), response.headers["Content-Type"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers["Content-Type"]


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    with OtlpSink() as running:
        yield running


def assert_is_the_span(sink: OtlpSink) -> None:
    (span,) = sink.spans
    assert (span.trace_id, span.span_id, span.parent_id) == (TRACE.hex(), CHILD.hex(), PARENT.hex())
    assert (span.name, span.kind, span.status, span.message) == ("process orders", "CONSUMER", "ERROR", "no")
    assert (span.start, span.end, span.duration) == (1_790_000_000_000_000_001, 1_790_000_000_000_000_009, 8)
    assert dict(span.attributes) == {"yes": True, "count": 3, "names": ["a", "b"]}
    assert (span.service, span.failed) == ("billing", True)
    assert [(event.name, event.time, dict(event.attributes)) for event in span.events] == [("exception", 5, {"k": "v"})]
    assert [(link.trace_id, link.span_id) for link in span.links] == [(TRACE.hex(), PARENT.hex())]


def test_a_span_sent_as_protobuf_is_read_whole(sink: OtlpSink) -> None:
    body = trace_request().SerializeToString()
    assert post(f"{sink.endpoint}/v1/traces", body, "application/x-protobuf") == (200, b"", "application/x-protobuf")
    assert_is_the_span(sink)


def test_a_compressed_span_is_read_whole(sink: OtlpSink) -> None:
    body = gzip.compress(trace_request().SerializeToString())
    headers = {"Content-Encoding": "gzip"}
    status, _, _ = post(f"{sink.endpoint}/v1/traces", body, "application/x-protobuf", **headers)
    assert status == 200
    assert_is_the_span(sink)


def test_a_span_sent_as_json_has_its_ids_in_hex(sink: OtlpSink) -> None:
    span = {
        "traceId": TRACE.hex(),
        "spanId": CHILD.hex(),
        "parentSpanId": PARENT.hex(),
        "name": "process orders",
        "kind": 5,
        "startTimeUnixNano": "1790000000000000001",
        "endTimeUnixNano": "1790000000000000009",
        "attributes": [
            {"key": "yes", "value": {"boolValue": True}},
            {"key": "count", "value": {"intValue": "3"}},
            {"key": "names", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"stringValue": "b"}]}}},
        ],
        "events": [
            {"name": "exception", "timeUnixNano": "5", "attributes": [{"key": "k", "value": {"stringValue": "v"}}]}
        ],
        "links": [{"traceId": TRACE.hex(), "spanId": PARENT.hex()}],
        "status": {"code": 2, "message": "no"},
        "somethingNew": 1,
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "billing"}}]}
    request = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    answer = post(f"{sink.endpoint}/v1/traces", json.dumps(request).encode(), "application/json; charset=utf-8")
    assert answer == (200, b"{}", "application/json")
    assert_is_the_span(sink)


def test_sums_gauges_and_histograms_are_read(sink: OtlpSink) -> None:
    number = NumberDataPoint(start_time_unix_nano=1, time_unix_nano=2, as_int=4)
    metrics = [
        Metric(name="faas.invocations", unit="{invocation}", sum=Sum(data_points=[number], aggregation_temporality=1)),
        Metric(name="load", gauge=Gauge(data_points=[NumberDataPoint(time_unix_nano=2, as_double=0.5)])),
        Metric(
            name="faas.invoke_duration",
            unit="s",
            histogram=Histogram(
                data_points=[HistogramDataPoint(time_unix_nano=2, count=2, sum=1.5, min=0.5, max=1.0)],
                aggregation_temporality=1,
            ),
        ),
    ]
    request = ExportMetricsServiceRequest(
        resource_metrics=[ResourceMetrics(scope_metrics=[ScopeMetrics(metrics=metrics)])]
    )
    status, _, _ = post(f"{sink.endpoint}/v1/metrics", request.SerializeToString(), "application/x-protobuf")
    assert status == 200
    total, gauge, histogram = sink.metrics
    assert (total.name, total.type, total.value, total.temporality, total.unit) == (
        "faas.invocations",
        "sum",
        4,
        "DELTA",
        "{invocation}",
    )
    assert (gauge.type, gauge.value) == ("gauge", 0.5)
    assert (histogram.count, histogram.value, histogram.minimum, histogram.maximum) == (2, 1.5, 0.5, 1.0)


@pytest.mark.parametrize(
    ("path", "body", "content_type", "headers", "expected"),
    [
        ("/v1/traces", b"\xff\xff\xff", "application/x-protobuf", {}, 400),
        ("/v1/traces", b"{", "application/json", {}, 400),
        ("/v1/traces", b"[]", "application/json", {}, 400),
        (
            "/v1/traces",
            b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}',
            "application/json",
            {},
            400,
        ),
        ("/v1/traces", b"not gzip", "application/x-protobuf", {"Content-Encoding": "gzip"}, 400),
        ("/v1/traces", b"", "application/x-protobuf", {"Content-Encoding": "br"}, 400),
        ("/v1/traces", b"a", "text/plain", {}, 415),
        ("/v1/profiles", b"", "application/x-protobuf", {}, 404),
        ("/v1/logs", b"", "application/x-protobuf", {}, 200),
    ],
)
def test_what_cannot_be_taken_is_answered_with_a_status_and_kept_out(
    sink: OtlpSink, path: str, body: bytes, content_type: str, headers: dict[str, str], expected: int
) -> None:
    status, _, _ = post(sink.endpoint + path, body, content_type, **headers)
    assert status == expected
    assert sink.spans == []
    assert sink.requests == [(path.removeprefix("/v1/"), expected)]


@pytest.mark.parametrize(("length", "expected"), [(None, 411), (str(MAX_BODY + 1), 413)])
def test_a_body_of_unknown_or_huge_length_is_refused_unread(sink: OtlpSink, length: str | None, expected: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", int(sink.endpoint.rpartition(":")[2]), timeout=5)
    connection.putrequest("POST", "/v1/traces")
    connection.putheader("Content-Type", "application/x-protobuf")
    if length is not None:
        connection.putheader("Content-Length", length)
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == expected
    response.read()
    connection.close()


def test_waiting_ends_when_the_span_arrives(sink: OtlpSink) -> None:
    body = trace_request().SerializeToString()
    sender = threading.Timer(0.05, post, (f"{sink.endpoint}/v1/traces", body, "application/x-protobuf"))
    sender.start()
    assert sink.wait_for(lambda: sink.spans, timeout=5)
    sender.join()
    assert not sink.wait_for(lambda: len(sink.spans) > 1, timeout=0.01)


class Backend:
    """A second OTLP endpoint that answers with the given statuses, the last one for ever."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.got: list[tuple[str, bytes, dict[str, str]]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((self.path, body, {key.lower(): value for key, value in self.headers.items()}))
                self.send_response(outer.statuses.pop(0) if len(outer.statuses) > 1 else outer.statuses[0])
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_bodies_are_handed_on_byte_for_byte_with_the_users_headers() -> None:
    with Backend(200) as backend:
        forward = Forwarder.from_environment(
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": backend.endpoint + "/",
                "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20secret, x-team = blue",
            }
        )
        assert forward is not None
        body = gzip.compress(trace_request().SerializeToString())
        with OtlpSink(forward=forward) as sink:
            post(f"{sink.endpoint}/v1/traces", body, "application/x-protobuf", **{"Content-Encoding": "gzip"})
            post(f"{sink.endpoint}/v1/traces", b"\xff\xff", "application/x-protobuf")
            assert forward.drain(5)
    ((path, received, headers),) = backend.got
    assert (path, received) == ("/v1/traces", body)
    assert headers["content-type"] == "application/x-protobuf"
    assert headers["content-encoding"] == "gzip"
    assert headers["api-key"] == "a secret"
    assert headers["x-team"] == "blue"
    assert (forward.sent, forward.failures) == ({"traces": 1}, [])


def test_a_backend_that_is_busy_is_asked_again() -> None:
    with Backend(503, 200) as backend:
        forward = Forwarder({"traces": f"{backend.endpoint}/v1/traces"}, sleep=lambda _: None)
        forward.put("traces", b"x", {"content-type": "application/x-protobuf"})
        assert forward.drain(5)
    assert len(backend.got) == 2
    assert forward.failures == []


def test_a_backend_that_refuses_is_reported_and_not_asked_again() -> None:
    with Backend(401) as backend:
        forward = Forwarder({"traces": f"{backend.endpoint}/v1/traces"}, sleep=lambda _: None)
        forward.put("traces", b"x", {})
        assert forward.drain(5)
    assert len(backend.got) == 1
    assert [failure.reason for failure in forward.failures] == ["HTTP 401 Unauthorized"]


def test_a_backend_that_is_not_there_is_reported() -> None:
    with Backend(200) as backend:
        endpoint = backend.endpoint
    forward = Forwarder({"traces": f"{endpoint}/v1/traces"}, sleep=lambda _: None)
    forward.put("traces", b"x", {})
    assert forward.drain(5)
    assert "refused" in forward.failures[0].reason


@pytest.mark.parametrize("address", ["localhost:4318", "nonsense", "http://127.0.0.1:99999"])
def test_an_endpoint_that_is_no_address_is_reported(address: str) -> None:
    forward = Forwarder.from_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": address})
    assert forward is not None
    forward.put("traces", b"x", {})
    assert forward.drain(10)
    assert len(forward.failures) == 1


def test_without_an_endpoint_nothing_is_handed_on() -> None:
    assert Forwarder.from_environment({"OTEL_EXPORTER_OTLP_HEADERS": "a=b"}) is None


def test_an_endpoint_of_one_signal_is_taken_as_it_stands() -> None:
    forward = Forwarder.from_environment({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/otlp"})
    assert forward is not None
    assert forward.endpoints == {"traces": "http://127.0.0.1:1/otlp"}
