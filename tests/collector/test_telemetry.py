"""The Telemetry API's batches."""

import json
import socket
import urllib.request
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from hoptrace_collector.counters import Counters
from hoptrace_collector.receive.telemetry import TelemetryListener, parse_batch
from hoptrace_collector.timestamps import nanoseconds
from hoptrace_collector.told import InitReport, Report, RestoreReport, RuntimeDone, Started

from .test_records import json_values

BATCH = [
    {
        "time": "2026-11-23T10:00:00.764Z",
        "type": "platform.initReport",
        "record": {
            "initializationType": "on-demand",
            "phase": "init",
            "status": "success",
            "metrics": {"durationMs": 125.33},
        },
    },
    {"time": "2026-11-23T10:00:01.000Z", "type": "function", "record": "hello"},
    {
        "time": "2026-11-23T10:00:05.764Z",
        "type": "platform.runtimeDone",
        "record": {"requestId": "r1", "status": "timeout", "metrics": {"durationMs": 3000.0}},
    },
    {
        "time": "2026-11-23T10:00:05.766Z",
        "type": "platform.report",
        "record": {
            "requestId": "r1",
            "status": "error",
            "errorType": "Runtime.OutOfMemory",
            "metrics": {"maxMemoryUsedMB": 128.0, "memorySizeMB": 128.0},
        },
    },
    {
        "time": "2026-11-23T10:00:07.764Z",
        "type": "platform.runtimeDone",
        "record": {
            "requestId": "r2",
            "status": "success",
            "metrics": {"durationMs": 30.5, "producedBytes": 8.0},
            "spans": [{"name": "responseLatency", "start": "2026-11-23T10:00:07.700Z", "durationMs": 25.5}, 7],
        },
    },
    {
        "time": "2026-11-23T10:00:07.766Z",
        "type": "platform.report",
        "record": {
            "requestId": "r2",
            "status": "success",
            "metrics": {"maxMemoryUsedMB": 64.0, "memorySizeMB": 128.0, "billedDurationMs": 31.0},
            "spans": [{"name": "extensionOverhead", "durationMs": 1.5}],
        },
    },
    {
        "time": "2026-11-23T10:00:09.000Z",
        "type": "platform.restoreReport",
        "record": {"initializationType": "snap-start", "status": "success", "metrics": {"durationMs": 400.0}},
    },
    {
        "time": "2026-11-23T10:00:10.000Z",
        "type": "platform.start",
        "record": {"requestId": "r3", "version": "$LATEST", "tenantId": "blue"},
    },
]


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000) * 10**6


def test_what_matters_is_taken_and_what_does_not_is_left() -> None:
    events, unreadable = parse_batch(json.dumps(BATCH).encode())
    assert unreadable == 0
    assert events == [
        InitReport("on-demand", "init", "success", "", 0.12533),
        RuntimeDone("r1", "timeout", "", at("2026-11-23T10:00:05.764")),
        Report("r1", "error", "Runtime.OutOfMemory", 128 << 20, at("2026-11-23T10:00:05.766"), memory_size=128 << 20),
        RuntimeDone("r2", "success", "", at("2026-11-23T10:00:07.764"), latency=0.0255, produced=8),
        Report("r2", "success", "", 64 << 20, at("2026-11-23T10:00:07.766"), 128 << 20, billed=0.031, overhead=0.0015),
        RestoreReport("success", "", 0.4, at("2026-11-23T10:00:09.000")),
        Started("r3", at("2026-11-23T10:00:10.000"), "blue"),
    ]


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)))
def test_every_time_is_read_as_the_standard_library_reads_it(moment: datetime) -> None:
    expected = int((moment - datetime(1970, 1, 1)).total_seconds()) * 10**9 + moment.microsecond * 1000
    assert nanoseconds(moment.isoformat(timespec="microseconds") + "Z") == expected


@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.fixed_dictionaries(
                {
                    "type": st.sampled_from(["platform.initReport", "platform.runtimeDone", "platform.report"]),
                    "record": json_values
                    | st.fixed_dictionaries(
                        {"requestId": json_values},
                        optional={
                            "status": json_values,
                            "metrics": json_values
                            | st.dictionaries(st.sampled_from(["durationMs", "maxMemoryUsedMB"]), json_values),
                        },
                    ),
                },
                optional={"time": json_values},
            )
            | json_values,
            max_size=5,
        ).map(lambda value: json.dumps(value).encode()),
    )
)
@settings(max_examples=200, deadline=None)
def test_no_batch_can_raise(body: bytes) -> None:
    events, _ = parse_batch(body)
    for event in events:
        if isinstance(event, Report):
            assert 0 <= event.memory < 2**63


def post(port: int, body: bytes) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/telemetry", body, method="POST")
    with urllib.request.urlopen(request, timeout=5) as answer:
        status: int = answer.status
        return status


def test_the_listener_answers_200_whatever_comes_and_goes_on() -> None:
    counters = Counters(lambda _: None)
    listener = TelemetryListener(0, counters, "127.0.0.1")
    listener.start()
    assert post(listener.port, b"no json") == 200
    assert post(listener.port, b"{}") == 200
    with socket.create_connection(("127.0.0.1", listener.port)) as half:
        half.sendall(b"POST / HTTP/1.1\r\ncontent-length: 100\r\n\r\nhalf")
    assert post(listener.port, json.dumps(BATCH).encode()) == 200
    listener.wait(1.0)
    assert len(listener.take()) == 7
    assert listener.take() == []
    assert counters.total("telemetry_skipped", "malformed") == 2
    assert counters.total("telemetry_skipped", "broken_off") == 1
    listener.close()


def test_a_body_beyond_the_bound_is_answered_and_not_read() -> None:
    counters = Counters(lambda _: None)
    listener = TelemetryListener(0, counters, "127.0.0.1")
    listener.start()
    with socket.create_connection(("127.0.0.1", listener.port)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    assert post(listener.port, b"[]") == 200
    assert counters.total("telemetry_skipped", "malformed") == 1
    listener.close()
