"""Metrics and logs made through OpenTelemetry's API where there is no collector: encoded, sent, counted."""

import base64
import json
import math
import time

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as some
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from hoptrace.direct import Direct, as_json, as_protobuf, signals_json, signals_protobuf
from hoptrace.direct.batches import Batch
from hoptrace.direct.settings import read
from hoptrace.settings import Settings
from tests.direct.support import backend, free_port
from tests.direct.test_encodings import attributes, text
from tests.direct.test_sender import Desk, line

time_ = some.integers(0, 2**64 - 1)
amounts = some.integers(-(2**63), 2**63 - 1) | some.floats(allow_nan=False, allow_infinity=False)
numbers = some.fixed_dictionaries({"value": amounts}, optional={"attributes": attributes, "start": time_})
floats = some.floats(allow_nan=False, allow_infinity=False)
histograms = some.fixed_dictionaries(
    {
        "sum": floats,
        "min": floats,
        "max": floats,
        "counts": some.lists(some.integers(0, 2**20), min_size=3, max_size=3),
    },
    optional={"attributes": attributes},
)
names = some.text("abc.", min_size=1, max_size=9)
some_metrics = some.one_of(
    some.fixed_dictionaries(
        {
            "name": names,
            "kind": some.sampled_from(("sum", "gauge")),
            "points": some.lists(numbers, min_size=1, max_size=3),
        },
        optional={"unit": text, "description": text, "monotonic": some.booleans(), "cumulative": some.booleans()},
    ),
    some.fixed_dictionaries(
        {
            "name": names,
            "kind": some.just("histogram"),
            "bounds": some.just([1.5, 10.0]),
            "points": some.lists(histograms, min_size=1, max_size=3),
        }
    ),
)
metric_records = some.fixed_dictionaries(
    {
        "start": time_,
        "end": time_,
        "scopes": some.lists(
            some.fixed_dictionaries(
                {"name": text, "version": text, "metrics": some.lists(some_metrics, min_size=1, max_size=3)}
            ),
            max_size=2,
        ),
    }
)
bodies = some.recursive(
    text | some.booleans() | floats | some.integers(-(2**63), 2**63 - 1),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
log_records = some.fixed_dictionaries(
    {"scope": some.tuples(text, text).map(list), "request_id": some.sampled_from(("", "r1"))},
    optional={
        "log": some.fixed_dictionaries(
            {"body": bodies, "time": time_, "observed": time_, "severity": some.integers(0, 24)},
            optional={
                "attributes": attributes,
                "level": text,
                "event": text,
                "flags": some.integers(0, 255),
                "trace_id": some.just("4bf92f3577b34da6a3ce929d0e0e4736"),
                "span_id": some.just("00f067aa0ba902b7"),
            },
        )
    },
)
garbage = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | text,
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(
            some.sampled_from(
                ("scopes", "metrics", "points", "log", "name", "kind", "value", "counts", "bounds", "body")
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


def batch(resource=None, metrics=(), logs=()):
    made = Batch(json.loads(json.dumps(resource or {})), ("hoptrace", "1"), {})
    made.metrics = json.loads(json.dumps(metrics))
    made.logs = json.loads(json.dumps(logs))
    return made


def parsed(message, data):
    found = message()
    found.ParseFromString(data)
    return found


@settings(max_examples=150, deadline=None)
@given(some.lists(metric_records, max_size=2), attributes)
def test_both_encodings_of_metrics_say_the_same_to_the_generated_messages(found, resource):
    made = batch(resource, metrics=found)
    as_text = json_format.Parse(signals_json.metrics_request(made), ExportMetricsServiceRequest())
    assert parsed(ExportMetricsServiceRequest, signals_protobuf.metrics_request(made)) == as_text


@settings(max_examples=150, deadline=None)
@given(some.lists(log_records, max_size=3), attributes)
def test_both_encodings_of_logs_say_the_same_to_the_generated_messages(found, resource):
    made = batch(resource, logs=found)
    as_text = json.loads(signals_json.logs_request(made))
    for scope in as_text["resourceLogs"][0]["scopeLogs"]:
        for record in scope["logRecords"]:
            for key in ("traceId", "spanId"):  # in hex, where protobuf's own JSON has base64
                record[key] = base64.b64encode(bytes.fromhex(record[key])).decode()
    from_text = json_format.ParseDict(as_text, ExportLogsServiceRequest())
    assert parsed(ExportLogsServiceRequest, signals_protobuf.logs_request(made)) == from_text


@settings(max_examples=300, deadline=None)
@given(some.lists(garbage.filter(lambda found: isinstance(found, dict)), max_size=3))
def test_garbage_in_a_file_raises_nothing_and_stays_readable(found):
    made = batch(metrics=json.loads(json.dumps(found)), logs=json.loads(json.dumps(found)))
    parsed(ExportMetricsServiceRequest, signals_protobuf.metrics_request(made))
    parsed(ExportLogsServiceRequest, signals_protobuf.logs_request(made))
    json.loads(signals_json.metrics_request(made))
    json.loads(signals_json.logs_request(made))


def test_every_kind_of_metric_is_where_the_definitions_have_it():
    points = [
        {
            "name": "c",
            "kind": "sum",
            "unit": "1",
            "monotonic": True,
            "points": [{"value": 7, "attributes": {"a": "b"}}],
        },
        {"name": "u", "kind": "sum", "cumulative": True, "points": [{"value": 0, "start": 3}]},
        {"name": "g", "kind": "gauge", "points": [{"value": 0.0}]},
        {
            "name": "h",
            "kind": "histogram",
            "bounds": [1, 2],
            "points": [{"sum": 4.5, "counts": [1, 0, 2], "min": 0.5, "max": 2.5}],
        },
        {"name": "unfit", "kind": "sum", "points": [{"value": "x"}, {"value": math.inf}, {"value": True}]},
    ]
    record = {"start": 10, "end": 20, "scopes": [{"name": "mine", "version": "2", "metrics": points}]}
    found = parsed(ExportMetricsServiceRequest, signals_protobuf.metrics_request(batch({"r": 1}, metrics=[record])))
    (group,) = found.resource_metrics
    assert group.resource.attributes[0].key == "r" and group.scope_metrics[0].scope.name == "mine"
    c, u, g, h = group.scope_metrics[0].metrics
    delta = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
    assert (c.sum.is_monotonic, c.sum.aggregation_temporality, c.unit) == (True, delta, "1")
    point = c.sum.data_points[0]
    assert (point.as_int, point.start_time_unix_nano, point.time_unix_nano) == (7, 10, 20)
    assert point.attributes[0].value.string_value == "b"
    assert u.sum.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    assert u.sum.data_points[0].start_time_unix_nano == 3 and u.sum.data_points[0].WhichOneof("value") == "as_int"
    assert g.gauge.data_points[0].WhichOneof("value") == "as_double"
    histogram = h.histogram.data_points[0]
    assert (histogram.count, list(histogram.bucket_counts), list(histogram.explicit_bounds)) == (3, [1, 0, 2], [1, 2])
    assert (histogram.sum, histogram.min, histogram.max) == (4.5, 0.5, 2.5)


METRICS = {
    "v": 1, "type": "metrics", "start": 1, "end": 2,
    "scopes": [{"name": "m", "version": "", "metrics": [
        {"name": "c", "kind": "sum", "monotonic": True, "points": [{"value": 1}, {"value": 2}]}]}],
}  # fmt: skip
LOG = {"v": 1, "type": "log", "request_id": "r1", "scope": ["l", ""], "log": {"observed": 1, "body": "hello"}}


def put(desk, *records):
    for record in records:
        desk.spool.write(json.dumps(record).encode() + b"\n")


def paths(found):
    return [headers[":path"] for headers, _ in found.bodies]


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
def test_each_signal_goes_to_its_own_path(tmp_path, protocol):
    with backend(lambda _: (200, {}, 0)) as found:
        desk = Desk(tmp_path, found.endpoint, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
        desk.sender._knobs = Settings(
            {"OTEL_EXPORTER_OTLP_ENDPOINT": found.endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
        )
        put(desk, METRICS, LOG)
        desk.invocation("work")
    assert paths(found) == ["/v1/traces", "/v1/logs", "/v1/metrics"]
    (_, logs), (_, metrics) = found.bodies[1:]
    if protocol == "http/json":
        assert json.loads(logs)["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["body"] == {"stringValue": "hello"}
    else:
        found_metrics = parsed(ExportMetricsServiceRequest, metrics)
        assert len(found_metrics.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points) == 2
    assert desk.sender.dropped == {}


def both(tmp_path, found, **more):
    desk = Desk(tmp_path, found.endpoint)
    desk.sender._knobs = Settings({"OTEL_EXPORTER_OTLP_ENDPOINT": found.endpoint, **more})
    return desk


def again(desk, times=1):
    for _ in range(times):
        desk.sender._not_before = 0.0
        desk.sender.flush(0, wait=True)


def test_nothing_that_arrived_is_sent_again_when_another_signal_fails(tmp_path):
    answers = [200, 503, 503, 503, 200, 200]
    with backend(lambda number: (answers[min(number, 6) - 1], {"retry-after": "60"}, 0)) as found:
        desk = both(tmp_path, found)
        put(desk, METRICS, LOG)
        desk.invocation("work")
        again(desk)
        put(desk, json.loads(line("later").decode()))
        again(desk, 3)
    assert paths(found)[:1] + paths(found)[-3:] == ["/v1/traces", "/v1/logs", "/v1/metrics", "/v1/traces"]
    assert paths(found).count("/v1/metrics") == 1 and desk.sender.dropped == {}


def test_a_dead_endpoint_of_metrics_holds_nothing_up_for_long_and_is_counted(tmp_path):
    with backend(lambda _: (200, {}, 0)) as found:
        own = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"http://127.0.0.1:{free_port()}/v1/metrics"}
        desk = both(tmp_path, found, **own)
        put(desk, METRICS)
        desk.invocation("work")
        again(desk, 6)
        assert desk.sender.dropped == {}
        again(desk)
        put(desk, METRICS)
        desk.invocation("later")
        desk.invocation("and later")
    assert paths(found) == ["/v1/traces"] * 3
    assert desk.sender.dropped == {"their endpoint does not answer": 4}


def test_a_backend_that_has_no_metrics_says_so_once_and_they_are_counted(tmp_path, capfd):
    with backend(lambda number: (404 if number == 2 else 200, {}, 0)) as found:
        desk = both(tmp_path, found)
        put(desk, METRICS)
        desk.invocation("work")
        desk.invocation("more")
    assert paths(found) == ["/v1/traces", "/v1/metrics", "/v1/traces"]
    assert list(desk.sender.dropped.values()) == [2]
    assert "2 data points lost: refused" in capfd.readouterr().err


def test_while_one_backend_is_dead_metrics_and_logs_wait_as_spans_do(tmp_path):
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    desk = Desk(tmp_path, endpoint)
    desk.sender._knobs = Settings({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})
    put(desk, METRICS, LOG)  # of an invocation that is not sampled: without a span
    desk.sender.flush(0, wait=True)
    again(desk, 5)
    assert desk.sender.dropped == {}
    assert [each.offset for each in desk.spool.sources()] == [0]


@pytest.mark.parametrize(
    ("environ", "signal", "address", "path"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h/x"}, "logs", "http://h:80", "/x/v1/logs"),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://h/x"}, "logs", "http://h:80", "/x"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h/x"}, "metrics", "http://:0", "/"),
        ({"HOPTRACE_EXPORTER_OTLP_ENDPOINT": "http://h"}, "metrics", "http://h:80", "/v1/metrics"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h", "OTEL_METRICS_EXPORTER": "none"}, "metrics", "http://:0", "/"),
    ],
)
def test_a_signals_endpoint_is_taken_by_the_specifications_rules(environ, signal, address, path):
    found, _ = read(environ, signal)
    assert (found.address, found.path) == (address, path)


def test_an_endpoint_for_metrics_alone_is_enough_for_them(tmp_path):
    with backend(lambda _: (200, {}, 0)) as found:
        environ = {
            "HOPTRACE_RUN_DIR": str(tmp_path),
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": found.endpoint + "/own",
        }
        direct = Direct(Settings(environ), in_lambda=True)
        assert direct.spool is not None
        direct.spool.write(line())
        direct.spool.write(json.dumps(METRICS).encode() + b"\n")
        direct.over(int(time.time() * 1000) + 10_000)
        assert direct._sender is not None and direct._sender.dropped == {}
        direct.close()
    assert paths(found) == ["/own"]


def test_a_partial_success_of_metrics_is_understood_in_both_encodings():
    answer = ExportMetricsServiceResponse(
        partial_success=ExportMetricsPartialSuccess(rejected_data_points=3, error_message="full")
    )
    assert as_protobuf.rejected(answer.SerializeToString()) == (3, "full")
    assert as_json.rejected(json_format.MessageToJson(answer).encode()) == (3, "full")
