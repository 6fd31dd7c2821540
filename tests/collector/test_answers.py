"""What a backend's answer means, in either form, and requests in OTLP's JSON from end to end."""

import gzip
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsPartialSuccess, ExportLogsServiceResponse

from hoptrace_collector.export.answer import judge
from hoptrace_collector.export.choose import exporter_for
from hoptrace_collector.export.encode import encode_foreign
from hoptrace_collector.otlp_json import merge, to_json
from hoptrace_collector.otlp_request import new_request
from hoptrace_collector.receive.otlp import JSON, PROTOBUF, parse
from hoptrace_collector.settings import read
from hoptrace_collector.transport import Response

from .otlp_messages import messages
from .support import Backend
from .test_otlp_json import whole_ids
from .test_pieces import signal_of

KIND = {"protobuf": "application/x-protobuf", "json": "application/json"}


def status(code: int, message: bytes, *, code_first: bool = True) -> bytes:
    """Return a google.rpc.Status as protobuf encodes it."""
    size, number, length = len(message), b"", b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    number = bytes([8, code]) if code else b""
    text = b"\x12" + length + bytes([size]) + message
    detail = b"\x1a\x02\x0a\x00"
    return number + detail + text if code_first else text + detail + number


@pytest.mark.parametrize("code_first", [True, False])
@pytest.mark.parametrize("message", ["the key is wrong", "x" * 190])
def test_the_message_of_a_status_is_shown(message: str, code_first: bool) -> None:
    body = status(7, message.encode(), code_first=code_first)
    result = judge(Response(401, {"content-type": KIND["protobuf"]}, body), 0.0)
    assert (result.kind, result.reason) == ("refused", f"HTTP 401: {message}")
    result = judge(Response(401, {"content-type": KIND["json"]}, json.dumps({"message": message}).encode()), 0.0)
    assert message[:150] in result.reason


@given(
    st.sampled_from([200, 301, 400, 403, 404, 413, 429, 500, 503]),
    st.sampled_from([*KIND.values(), "text/plain", "", "APPLICATION/JSON; charset=utf-8"]),
    st.one_of(
        st.binary(max_size=60), st.sampled_from([b'{"partialSuccess":7}', b"[" * 5000, b'{"partialSuccess":{}}'])
    ),
)
def test_no_answer_is_more_than_an_answer(code: int, kind: str, body: bytes) -> None:
    result = judge(Response(code, {"content-type": kind}, body), 0.0)
    assert result.kind in ("sent", "retry", "too large", "refused")
    assert result.rejected >= 0
    assert len(result.reason) < 260
    assert result.kind != "refused" or result.reason.startswith(f"HTTP {code}")


@pytest.mark.parametrize(
    ("body", "rejected"),
    [
        ({"partialSuccess": {"rejectedSpans": "3", "errorMessage": "m"}}, 3),
        ({"partialSuccess": {"rejectedDataPoints": 4, "errorMessage": "m"}}, 4),
        ({"partialSuccess": {"rejectedLogRecords": "5", "errorMessage": "m"}}, 5),
        ({"partialSuccess": {"rejectedSpans": "-5", "errorMessage": "m"}}, 0),
        ({"partialSuccess": {"errorMessage": "m"}}, 0),
    ],
)
def test_a_partial_success_is_read_in_json(body: dict[str, Any], rejected: int) -> None:
    result = judge(Response(200, {"content-type": "application/json"}, json.dumps(body).encode()), 0.0)
    assert (result.kind, result.rejected, result.reason) == ("sent", rejected, "m")


def test_a_partial_success_is_read_in_protobuf() -> None:
    partial = ExportLogsPartialSuccess(rejected_log_records=2, error_message="m")
    said = ExportLogsServiceResponse(partial_success=partial).SerializeToString()
    assert judge(Response(200, {"content-type": KIND["protobuf"]}, said), 0.0).rejected == 2


@pytest.mark.parametrize("packed", ["none", "gzip"])
@pytest.mark.parametrize("out", ["http/json", "http/protobuf"])
@pytest.mark.parametrize("come", [JSON, PROTOBUF])
def test_what_came_in_one_form_goes_on_in_the_other(come: str, out: str, packed: str) -> None:
    request = new_request("metrics")
    point = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m").gauge.data_points.add(as_int=2**60)
    point.exemplars.add(trace_id=b"\x4b" * 16, span_id=b"\x0f" * 8)
    body = to_json(request) if come == JSON else request.SerializeToString()
    batch = parse("metrics", come, "", body, 1 << 20)
    with Backend() as backend:
        found, _ = read(
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
                "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": out,
                "OTEL_EXPORTER_OTLP_COMPRESSION": packed,
            }
        )
        exporter = exporter_for("metrics", found.metrics)
        assert exporter.send(encode_foreign(part.data for part in batch.parts), time.monotonic() + 2).kind == "sent"
        (posted,) = backend.requests
    assert posted.path == "/v1/metrics"
    assert posted.headers["content-type"] == (JSON if out == "http/json" else PROTOBUF)
    content = gzip.decompress(posted.body) if packed == "gzip" else posted.body
    read_back = new_request("metrics")
    if out == "http/json":
        assert json.loads(content)["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["gauge"]["dataPoints"] == [
            {"asInt": str(2**60), "exemplars": [{"traceId": "4b" * 16, "spanId": "0f" * 8}]}
        ]
        merge(content, read_back)
    else:
        read_back.MergeFromString(content)
    assert read_back == request


@settings(max_examples=30, deadline=None)
@given(messages())
def test_what_is_received_as_json_is_what_would_have_been_received_as_protobuf(message: Any) -> None:
    whole_ids(message)
    signal = signal_of(message)
    as_json = parse(signal, JSON, "", to_json(message), 1 << 20)
    assert as_json.amount == parse(signal, PROTOBUF, "", message.SerializeToString(), 1 << 20).amount


def test_grpc_is_one_complaint_that_says_what_to_do() -> None:
    found, complaints = read({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    (line,) = complaints
    assert "OTEL_EXPORTER_OTLP_PROTOCOL='grpc' is not spoken here; http/protobuf is used" in line
    assert "http/json, and OTEL_EXPORTER_OTLP_ENDPOINT to the backend's OTLP/HTTP port, usually 4318" in line
    assert not found.traces.json
    signals, complaints = read(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/json"}
    )
    assert not complaints
    assert (signals.traces.json, signals.logs.json) == (False, True)
