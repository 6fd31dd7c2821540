"""Requests of others: what is understood, and that nothing else than a refusal comes of the rest."""

import base64
import gzip
import json
import zlib
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from hoptrace_collector.receive.otlp import Batch, Refused, parse

PROTOBUF, JSON = "application/x-protobuf", "application/json; charset=utf-8"
LIMIT = 1 << 20
TRACE, SPAN = "4BF92F3577b34da6a3ce929d0e0e4736", "00F067aa0ba902b7"

REQUESTS = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
PARTS = {"traces": ResourceSpans, "metrics": ResourceMetrics, "logs": ResourceLogs}


def read(signal: str, body: bytes, kind: str = PROTOBUF, encoding: str = "", limit: int = LIMIT) -> Batch:
    return parse(signal, kind, encoding, body, limit)


def as_json(signal: str, value: Any) -> Any:
    (part,) = read(signal, json.dumps(value).encode(), JSON).parts
    return PARTS[signal].FromString(part.data)


def refusal(*arguments: Any, **more: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        read(*arguments, **more)
    return refused.value


# -- JSON, against protobuf's own types ----------------------------------------------------------------------------


def test_a_span_in_json_has_its_ids_in_hex_and_its_numbers_in_either_form() -> None:
    event = {"timeUnixNano": 7, "name": "e", "attributes": [{"key": "i", "value": {"intValue": "-9"}}]}
    link = {"traceId": TRACE.lower(), "spanId": SPAN, "attributes": []}
    span = {
        "traceId": TRACE,
        "spanId": SPAN,
        "parentSpanId": "",
        "name": "I'm a span",
        "kind": 2,
        "startTimeUnixNano": "1544712660000000000",
        "endTimeUnixNano": 1544712661000000000,
        "attributes": [
            {"key": "traceId", "value": {"stringValue": TRACE}},
            {"key": "raw", "value": {"bytesValue": "AAEC"}},
            {"key": "nan", "value": {"doubleValue": "NaN"}},
        ],
        "events": [event],
        "links": [link],
        "status": {"code": 2, "message": "no"},
        "somethingNewer": {"traceId": "any", "nested": [1]},
    }
    resource = as_json("traces", {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "s"}, "spans": [span]}]}]})
    (got,) = resource.scope_spans[0].spans
    assert (got.trace_id.hex(), got.span_id.hex(), got.parent_span_id) == (TRACE.lower(), SPAN.lower(), b"")
    assert (got.kind, got.start_time_unix_nano, got.end_time_unix_nano) == (2, 1544712660 * 10**9, 1544712661 * 10**9)
    assert [each.value.WhichOneof("value") for each in got.attributes] == [
        "string_value",
        "bytes_value",
        "double_value",
    ]
    assert got.attributes[0].value.string_value == TRACE, "a value is the user's, whatever its key is called"
    assert got.attributes[1].value.bytes_value == b"\0\1\2"
    assert got.events[0].attributes[0].value.int_value == -9
    assert got.links[0].trace_id.hex() == TRACE.lower()
    assert (got.status.code, got.status.message) == (2, "no")


def test_metrics_and_logs_in_json() -> None:
    exemplar = {"timeUnixNano": "1", "asInt": "3", "spanId": SPAN, "traceId": TRACE}
    metrics = [
        {"name": "c", "sum": {"aggregationTemporality": 1, "dataPoints": [{"asInt": "9", "exemplars": [exemplar]}]}},
        {"name": "g", "gauge": {"dataPoints": [{"asDouble": 10}, {"asDouble": "-Infinity"}]}},
        {"name": "h", "histogram": {"dataPoints": [{"count": 3, "sum": 3, "bucketCounts": ["1", 2]}]}},
        {"name": "empty"},
    ]
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}
    batch = read("metrics", json.dumps(body).encode(), JSON)
    assert batch.amount == 4
    got = as_json("metrics", body).scope_metrics[0].metrics
    assert got[0].sum.data_points[0].exemplars[0].trace_id.hex() == TRACE.lower()
    assert got[1].gauge.data_points[1].as_double == float("-inf")
    assert list(got[2].histogram.data_points[0].bucket_counts) == [1, 2]

    record = {"severityNumber": 9, "body": {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": True}}]}}}
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{**record, "traceId": TRACE, "spanId": SPAN}, record]}]}]}
    assert read("logs", json.dumps(logs).encode(), JSON).amount == 2
    got = as_json("logs", logs).scope_logs[0].log_records[0]
    assert (got.trace_id.hex(), got.severity_number) == (TRACE.lower(), 9)
    assert got.body.kvlist_value.values[0].value.bool_value is True


IDS = st.binary(min_size=16, max_size=16)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    TEXT.map(lambda v: AnyValue(string_value=v))
    | st.integers(-(2**63), 2**63 - 1).map(lambda v: AnyValue(int_value=v))
    | st.floats(allow_nan=False).map(lambda v: AnyValue(double_value=v))
    | st.binary(max_size=9).map(lambda v: AnyValue(bytes_value=v)),
    lambda inner: st.lists(inner, max_size=3).map(lambda v: AnyValue(array_value={"values": v})),
    max_leaves=4,
)


@st.composite
def requests(draw: Any) -> tuple[str, Any]:
    signal = draw(st.sampled_from(sorted(REQUESTS)))
    request = REQUESTS[signal]()
    for _ in range(draw(st.integers(1, 2))):
        if signal == "traces":
            span = request.resource_spans.add().scope_spans.add().spans.add(name=draw(TEXT), trace_id=draw(IDS))
            span.span_id = span.parent_span_id = draw(IDS)[:8]
            span.kind = draw(st.integers(0, 5))
            span.start_time_unix_nano = draw(st.integers(0, 2**64 - 1))
            span.attributes.add(key=draw(TEXT)).value.CopyFrom(draw(VALUES))
            span.links.add(trace_id=draw(IDS))
        elif signal == "metrics":
            metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=draw(TEXT))
            point = metric.exponential_histogram.data_points.add(count=draw(st.integers(0, 2**64 - 1)))
            point.exemplars.add(trace_id=draw(IDS), as_int=draw(st.integers(-(2**63), 2**63 - 1)))
        else:
            record = request.resource_logs.add().scope_logs.add().log_records.add(trace_id=draw(IDS))
            record.body.CopyFrom(draw(VALUES))
    return signal, request


def hex_ids(value: Any) -> Any:
    """Protobuf's JSON as OTLP has it."""
    if isinstance(value, list):
        return [hex_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64decode(item).hex() if key in ("traceId", "spanId", "parentSpanId") else hex_ids(item)
        for key, item in value.items()
    }


@given(requests())
@settings(deadline=None, max_examples=150)
def test_protobuf_and_json_of_one_request_are_the_same_and_nothing_is_changed(made: tuple[str, Any]) -> None:
    signal, request = made
    parts = [PARTS[signal].FromString(part.data) for part in read(signal, request.SerializeToString()).parts]
    ((_, field),) = request.ListFields()
    assert parts == list(field)
    body = json.dumps(hex_ids(MessageToDict(request))).encode()
    again = [PARTS[signal].FromString(part.data) for part in read(signal, body, JSON).parts]
    assert again == parts


def test_what_a_newer_protocol_adds_goes_through() -> None:
    part = ResourceSpans()
    part.scope_spans.add().spans.add(name="s")
    inner = part.SerializeToString() + b"\xfa\x07\x05later"  # field 127
    batch = read("traces", b"\x0a" + bytes([len(inner)]) + inner)
    assert batch.parts[0].data == inner


# -- packed --------------------------------------------------------------------------------------------------------


def body_of(spans: int = 1) -> bytes:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for _ in range(spans):
        scope.spans.add(name="x")
    return bytes(request.SerializeToString())


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("", bytes),
        ("identity", bytes),
        ("gzip", gzip.compress),
        ("GZIP", lambda body: gzip.compress(body[:5]) + gzip.compress(body[5:])),
        ("deflate", zlib.compress),
    ],
)
def test_a_body_may_be_packed(encoding: str, pack: Any) -> None:
    assert read("traces", pack(body_of(3)), encoding=encoding).amount == 3


def test_a_bomb_is_not_unpacked() -> None:
    assert refusal("traces", gzip.compress(bytes(50_000_000)), encoding="gzip").status == 413


@pytest.mark.parametrize("body", [b"plain", gzip.compress(body_of(), mtime=0)[:-9], b"\x1f\x8b"])
def test_what_is_not_gzip_is_refused(body: bytes) -> None:
    assert refusal("traces", body, encoding="gzip").status == 400


def test_other_kinds_and_encodings_are_not_supported() -> None:
    assert refusal("traces", b"", "text/plain").status == 415
    assert refusal("traces", b"", encoding="br").status == 415
    assert read("traces", b"").parts == [], "an empty request is a request"
    assert read("logs", b"{}", JSON).parts == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"resourceSpans":7}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"' + b"g" * 32 + b'"}]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"spanId":"4bf92f35 7b34da6"}]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"spanId":5}]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"\\ud800"}]}]}]}',
        b"\xff",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"resourceSpans":' + b"[" * 500 + b"]" * 500 + b"}",
    ],
)
def test_json_that_is_no_request_is_refused(body: bytes) -> None:
    assert refusal("traces", body, JSON).status == 400


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.just(TRACE),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["resourceSpans", "scopeSpans", "spans", "traceId", "spanId", "attributes", "value"])
            | TEXT,
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(
    st.sampled_from(sorted(REQUESTS)),
    st.sampled_from([PROTOBUF, JSON, "", "x/y"]) | TEXT,
    st.sampled_from(["", "gzip", "deflate"]) | TEXT,
    st.binary(max_size=60)
    | JSONS.map(lambda value: json.dumps(value).encode())
    | requests().map(lambda made: bytes(made[1].SerializeToString())[:-1]),
    st.booleans(),
)
@settings(deadline=None, max_examples=400)
def test_whatever_comes_the_answer_is_a_batch_or_a_refusal(
    signal: str, kind: str, encoding: str, body: bytes, packed: bool
) -> None:
    body = gzip.compress(body) if packed else body
    try:
        assert read(signal, body, kind, encoding).signal == signal
    except Refused as refused:
        assert refused.status in (400, 413, 415)
        assert len(refused.reason) < 300
