"""Both encodings against the messages that are generated from OTLP's own definitions."""

import json
import math

from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as some
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from hoptrace.direct import as_json, as_protobuf
from hoptrace.direct.batches import Batch

# What a record can hold once it is read back from its line of JSON, half surrogates included.
text = some.text(max_size=20)
simple = some.one_of(
    text,
    some.booleans(),
    some.integers(-(2**70), 2**70),
    some.floats(allow_nan=False, allow_infinity=True),
    some.none(),
)
attributes = some.dictionaries(text, simple | some.lists(simple, max_size=4), max_size=4)
hex16 = some.binary(min_size=16, max_size=16).map(bytes.hex)
hex8 = some.binary(min_size=8, max_size=8).map(bytes.hex)
time = some.integers(0, 2**64 - 1)
spans = some.fixed_dictionaries(
    {"trace_id": hex16, "span_id": hex8, "name": text, "kind": some.integers(0, 5), "start": time, "flags": time},
    optional={
        "end": time,
        "parent_id": hex8,
        "trace_state": text,
        "attributes": attributes,
        "events": some.lists(
            some.fixed_dictionaries({"name": text, "time": time, "attributes": attributes}), max_size=3
        ),
        "links": some.lists(
            some.fixed_dictionaries(
                {"trace_id": hex16, "span_id": hex8}, optional={"trace_state": text, "attributes": attributes}
            ),
            max_size=3,
        ),
        "status": some.tuples(some.integers(0, 2), text).map(list),
    },
)


def batch(found, resource):
    made = Batch(json.loads(json.dumps(resource)), ("hoptrace", "1"), {})
    made.spans = json.loads(json.dumps(found))
    return made


def value(found):
    """An attribute's value as a message's field has it."""
    if isinstance(found, bool):
        return {"boolValue": found}
    if isinstance(found, int) and -(2**63) <= found < 2**63:
        return {"intValue": str(found)}
    if isinstance(found, float):
        return {"doubleValue": found if math.isfinite(found) else "Infinity" if found > 0 else "-Infinity"}
    if isinstance(found, list):
        return {"arrayValue": {"values": [value(one) for one in found]} if found else {}}
    return {"stringValue": sent("" if found is None else str(found))}


def sent(found):
    return found.encode("utf-8", "replace").decode()


@settings(max_examples=150, deadline=None)
@given(some.lists(spans, min_size=1, max_size=3), attributes)
def test_both_encodings_say_the_same_to_the_generated_messages(found, resource):
    from_bytes = ExportTraceServiceRequest()
    from_bytes.ParseFromString(as_protobuf.request(batch(found, resource)))
    as_text = json.loads(as_json.request(batch(found, resource)))
    # OTLP's JSON has ids in hex where protobuf's own would have base64.
    import base64

    for span in as_text["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for holder in (span, *span.get("links", ())):
            for key in ("traceId", "spanId", "parentSpanId"):
                if key in holder:
                    holder[key] = base64.b64encode(bytes.fromhex(holder[key])).decode()
    from_text = json_format.ParseDict(as_text, ExportTraceServiceRequest())
    assert from_bytes == from_text


@settings(max_examples=150, deadline=None)
@given(spans, attributes)
def test_every_field_of_a_span_is_where_the_definitions_have_it(found, resource):
    message = ExportTraceServiceRequest()
    message.ParseFromString(as_protobuf.request(batch([found], resource)))
    (group,) = message.resource_spans
    (scope,) = group.scope_spans
    (span,) = scope.spans
    assert (scope.scope.name, scope.scope.version) == ("hoptrace", "1")
    assert as_dicts(group.resource.attributes) == expected(resource)
    assert (span.trace_id.hex(), span.span_id.hex()) == (found["trace_id"], found["span_id"])
    assert span.parent_span_id.hex() == found.get("parent_id", "")
    assert (span.name, span.trace_state) == (sent(found["name"]), sent(found.get("trace_state", "")))
    assert (span.kind, span.start_time_unix_nano) == (found["kind"], found["start"])
    assert span.end_time_unix_nano == found.get("end", 0)
    assert span.flags == min(found["flags"], 2**32 - 1)
    assert as_dicts(span.attributes) == expected(found.get("attributes", {}))
    assert [event.time_unix_nano for event in span.events] == [event["time"] for event in found.get("events", ())]
    assert [as_dicts(event.attributes) for event in span.events] == [
        expected(event["attributes"]) for event in found.get("events", ())
    ]
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in span.links] == [
        (link["trace_id"], link["span_id"]) for link in found.get("links", ())
    ]
    assert [span.status.code, span.status.message] == [
        found.get("status", [0])[0],
        sent(found.get("status", [0, ""])[1]),
    ]


def as_dicts(found):
    return [(pair.key, json_format.MessageToDict(pair.value)) for pair in found]


def expected(found):
    return [(sent(key), value(json.loads(json.dumps(one)))) for key, one in found.items()]


def test_what_no_span_should_hold_is_written_without_harm():
    odd = {"trace_id": None, "span_id": "zz", "name": 7, "kind": "x", "start": -1, "end": True, "attributes": [1]}
    made = Batch({}, ("", ""), {})
    made.spans = [odd, {}]
    message = ExportTraceServiceRequest()
    message.ParseFromString(as_protobuf.request(made))
    assert [span.name for span in message.resource_spans[0].scope_spans[0].spans] == ["7", ""]
    assert json.loads(as_json.request(made))


@given(some.integers(0, 2**63 - 1), text.filter(lambda found: found.isascii()))
def test_a_partial_success_is_understood_in_both_encodings(count, why):
    answer = ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(rejected_spans=count, error_message=why)
    )
    assert as_protobuf.rejected(answer.SerializeToString()) == (count, why)
    assert as_json.rejected(json_format.MessageToJson(answer).encode()) == (count, why)


@settings(max_examples=300)
@given(some.binary(max_size=60))
def test_an_answer_that_is_anything_at_all_raises_nothing(body):
    for reader in (as_protobuf, as_json):
        count, why = reader.rejected(body)
        assert isinstance(count, int)
        assert isinstance(why, str)


def test_an_empty_answer_rejects_nothing():
    assert as_protobuf.rejected(b"") == as_json.rejected(b"{}") == as_json.rejected(b"") == (0, "")
