"""OTLP's JSON, held against protobuf's own reader and writer of JSON."""

import base64
import json
import math
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from hypothesis import given, settings
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from hoptrace_collector.otlp_json import merge, to_json

from .otlp_messages import messages

IDS = ("traceId", "spanId", "parentSpanId")


def with_base64(value: Any) -> Any:
    """The JSON of OTLP as protobuf's own reader takes it."""
    if isinstance(value, list):
        return [with_base64(item) for item in value]
    if isinstance(value, dict):
        return {
            key: base64.b64encode(bytes.fromhex(item)).decode() if key in IDS else with_base64(item)
            for key, item in value.items()
        }
    return value


@settings(max_examples=30, deadline=None)
@given(messages())
def test_what_is_written_is_protobufs_json_with_hexadecimal_ids(message: Any) -> None:
    written = to_json(message)
    assert b"\n" not in written
    shown = json.loads(written)
    assert with_base64(shown) == MessageToDict(message, use_integers_for_enums=True)
    read = ParseDict(with_base64(shown), type(message)())
    assert read.SerializeToString(deterministic=True) == message.SerializeToString(deterministic=True)


def whole_ids(message: Any) -> None:
    """Make each id of the length that the protocol demands: others are refused."""
    for field, value in message.ListFields():
        if field.json_name in IDS:
            setattr(message, field.name, (value * 16 or b"x" * 16)[: 16 if field.name == "trace_id" else 8])
        elif field.message_type is not None:
            for each in value if field.is_repeated else [value]:
                whole_ids(each)


@settings(max_examples=30, deadline=None)
@given(messages())
def test_what_is_written_is_read_again_as_it_was(message: Any) -> None:
    whole_ids(message)
    read = type(message)()
    merge(to_json(message), read)
    assert read.SerializeToString(deterministic=True) == message.SerializeToString(deterministic=True)


def test_numbers_enums_and_ids_are_as_the_specification_shows_them() -> None:
    request = ExportTraceServiceRequest()
    span = (
        request.resource_spans.add()
        .scope_spans.add()
        .spans.add(
            trace_id=bytes.fromhex("5b8efff798038103d269b633813fc60c"),
            span_id=bytes.fromhex("eee19b7ec3c1b174"),
            kind=2,
            start_time_unix_nano=1544712660000000000,
        )
    )
    span.attributes.add(key="n").value.int_value = 2**60
    span.attributes.add(key="f").value.double_value = math.inf
    span.attributes.add(key="b").value.bytes_value = b"\xff"
    span.attributes.add(key="é").value.string_value = ""
    assert json.loads(to_json(request))["resourceSpans"][0]["scopeSpans"][0]["spans"] == [
        {
            "traceId": "5b8efff798038103d269b633813fc60c",
            "spanId": "eee19b7ec3c1b174",
            "kind": 2,
            "startTimeUnixNano": "1544712660000000000",
            "attributes": [
                {"key": "n", "value": {"intValue": "1152921504606846976"}},
                {"key": "f", "value": {"doubleValue": "Infinity"}},
                {"key": "b", "value": {"bytesValue": "/w=="}},
                {"key": "é", "value": {"stringValue": ""}},
            ],
        }
    ]


@pytest.mark.parametrize("key", ["trace_id", "resource_spans", "not_known"])
def test_names_of_protobufs_own_language_are_unknown_fields(key: str) -> None:
    span = {"name": "x", "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", key: "AAAA"}
    request = ExportTraceServiceRequest()
    merge(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode(), request)
    assert request.resource_spans[0].scope_spans[0].spans[0].trace_id.hex() == "5b8efff798038103d269b633813fc60c"
