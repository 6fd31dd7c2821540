"""What is read out of a line that a function has logged, whatever stands in it."""

import json
import re
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hoptrace_collector.counters import Counters
from hoptrace_collector.export.logs import LONGEST, encode_logs
from hoptrace_collector.model import Begin, End, LogRecord, Origin, Span
from hoptrace_collector.receive.function_logs import read
from hoptrace_collector.receive.owners import Owners
from hoptrace_collector.receive.telemetry import TelemetryListener, nanoseconds
from hoptrace_collector.told import Line
from tests.collector.test_records import json_values
from tests.collector.test_telemetry import post

from .logs import Got, field_of, parsed

NOW = nanoseconds("2026-11-23T10:00:01.500Z")
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ID = "79b4f56e-95b1-4643-9700-2807f4e68189"


def got(record: Any) -> Got:
    """One line, read, encoded by us and decoded by opentelemetry-proto."""
    found = read(Line(NOW, record), NOW)
    assert found is not None
    ((piece, amount),) = encode_logs((("service.name", "shop"),), [found])
    assert amount == 1
    (decoded,) = parsed(field_of(piece))
    assert decoded.resource == {"service.name": "shop"}
    return decoded


def test_a_line_of_the_runtimes_text_format_is_taken_apart() -> None:
    line = got(f"[WARNING]\t2026-11-23T10:00:01.123Z\t{ID}\tone\ttwo\nthree\n")
    assert (line.body, line.level, line.severity) == ("one\ttwo\nthree", "WARNING", 13)
    assert (line.time, line.observed) == (nanoseconds("2026-11-23T10:00:01.123Z"), NOW)
    assert line.attributes == {"faas.invocation_id": ID}


@pytest.mark.parametrize(
    ("level", "number"),
    [("DEBUG", 5), ("INFO", 9), ("ERROR", 17), ("CRITICAL", 21), ("AUDIT", 0)],
)
def test_levels_have_opentelemetrys_numbers(level: str, number: int) -> None:
    line = got(f"[{level}]\t2026-11-23T10:00:01.123Z\t\tx\n")
    assert (line.level, line.severity, line.body, line.attributes) == (level, number, "x", {})
    assert got({"level": level.lower(), "message": "x"}).severity == number


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "[x] y",
        "[INFO]\tnot a time\tid\tx",
        "[INFO",
        "[]",
        "]",
        "{not json}",
        '{"a": 1',
        "[1, 2]",
        "\t\t\t",
        " x",
        "[INFO]\t2026-11-23T10:00:01.123Z\t" + "x" * 65 + "\ty",
    ],
)
def test_what_only_looks_like_something_stays_the_text_that_it_was(text: str) -> None:
    if not text.strip():
        assert read(Line(NOW, text), NOW) is None
        return
    assert got(text).body == text


def test_a_line_of_lambdas_json_format_is_taken_apart() -> None:
    line = got(
        {
            "timestamp": "2026-11-23T10:00:01Z",
            "level": "ERROR",
            "message": "no",
            "logger": "orders",
            "requestId": ID,
            "stackTrace": ["  File a\n", "  File b\n"],
            "errorType": "ValueError",
            "errorMessage": "bad",
            "location": "/var/task/app.py:handler:3",
            "order": {"n": 7, "lines": [1, "a"]},
            "trace_id": TRACE,
            "span_id": SPAN,
        }
    )
    assert (line.body, line.logger, line.severity) == ("no", "orders", 17)
    assert (line.trace_id, line.span_id) == (TRACE, SPAN)
    assert line.time == NOW  # finer than its own stamp
    assert line.attributes == {
        "exception.stacktrace": "  File a\n  File b\n",
        "exception.type": "ValueError",
        "exception.message": "bad",
        "location": "/var/task/app.py:handler:3",
        "order": {"n": 7, "lines": [1, "a"]},
        "faas.invocation_id": ID,
    }


def test_json_that_powertools_or_structlog_print_is_taken_apart_in_either_format() -> None:
    powertools = {"level": "INFO", "message": {"a": 1}, "function_request_id": ID, "service": "shop"}
    structlog = {"event": "hi", "level": "warning", "timestamp": "2026-11-23T10:00:01.123456Z", "logger": "a.b"}
    for as_it_comes in (dict, json.dumps):
        line = got(as_it_comes(powertools))
        assert (line.body, line.severity) == ({"a": 1}, 9)
        assert line.attributes == {"service": "shop", "faas.invocation_id": ID}
        line = got(as_it_comes(structlog))
        assert (line.body, line.severity, line.logger, line.attributes) == ("hi", 13, "a.b", {})
        assert line.time == nanoseconds("2026-11-23T10:00:01.123456Z")


def test_what_has_no_message_is_itself_the_body() -> None:
    assert got({"order": 7, "ok": True}).body == {"order": 7, "ok": True}
    assert got('{"order": 7}').body == {"order": 7}


@pytest.mark.parametrize("trace_id", ["mine", "0" * 32, TRACE[:-1], 7, None, TRACE[:-1] + "g"])
def test_what_is_no_trace_id_is_an_attribute_like_any_other(trace_id: Any) -> None:
    line = got({"message": "x", "trace_id": trace_id, "span_id": SPAN})
    assert (line.trace_id, line.span_id) == ("", "")
    assert line.attributes.get("trace_id") == trace_id


@pytest.mark.parametrize("stamp", ["1970-01-01T00:00:00.5Z", "9999-12-31T23:59:59.9Z", "yesterday", 7, None])
def test_a_time_beyond_belief_is_not_believed(stamp: Any) -> None:
    assert got({"message": "x", "timestamp": stamp}).time == NOW


def test_a_record_that_is_too_large_keeps_as_much_as_fits_and_says_so() -> None:
    line = got({"message": "é" * LONGEST, "other": "x" * LONGEST, "requestId": ID})
    assert line.body == "é" * (LONGEST // 4)
    assert line.cut == 1
    assert line.attributes == {"faas.invocation_id": ID}
    many = got({"message": "x", **{f"k{n}": n for n in range(200)}})
    assert (len(many.attributes), many.cut) == (128, 72)


keys = st.sampled_from(
    ["level", "message", "event", "timestamp", "requestId", "trace_id", "span_id", "logger", "stackTrace", "exception"]
)
objects = st.dictionaries(keys | st.text(max_size=5), json_values, max_size=6)
pieces = st.sampled_from(["[INFO]", "\t", "2026-11-23T10:00:01.123Z", ID, "{", "}", "[", "]", '"', "\n", "\ud800", "é"])
texts = st.text() | st.lists(pieces | st.text(max_size=3), max_size=8).map("".join) | objects.map(json.dumps)


@given(st.integers(0, 2**70), objects | texts)
@example(0, "{" + '"a":[' * 5000 + "]" * 5000 + "}")
@example(NOW, '{"message": ' + "9" * 5000 + "}")
@settings(max_examples=1500, deadline=None)
def test_every_line_whatever_it_is_becomes_one_record_that_protobuf_holds(at: int, record: Any) -> None:
    found = read(Line(at, record), NOW)
    if found is None:
        assert isinstance(record, str)
        assert not record.strip()
        return
    (decoded,) = [each for piece, _ in encode_logs((), [found]) for each in parsed(field_of(piece))]
    assert decoded.trace_id == "" or re.fullmatch("[0-9a-f]{32}", decoded.trace_id)
    assert decoded.span_id == "" or (re.fullmatch("[0-9a-f]{16}", decoded.span_id) and decoded.trace_id)
    # Nothing that was printed is lost: a text with no shape is the body to its last character.
    if isinstance(record, str) and not record.lstrip().startswith(("{", "[")):
        assert decoded.body == record.encode("utf-8", "replace").decode().removesuffix("\n")


def begin(request_id: str, number: int, start: int, deadline_ms: int = 0) -> Begin:
    span = Span(bytes([number]) * 16, bytes([number]) * 8, "f", 2, start, 0)
    return Begin(request_id, number, 1, deadline_ms, Origin((), ("", "")), span, [], {}, [], [])


def end(request_id: str, number: int, at: int) -> End:
    return End(request_id, number, True, Span(bytes([number]) * 16, bytes([number]) * 8, "f", 2, 1, at))


def owner(owners: Owners, at: int, request_id: str = "") -> int:
    """The number of the invocation that gets a line; 0 for none."""
    record = LogRecord(at, at, 0, "", "", "x", {}, request_id)
    signed = owners.signed(record)
    return signed.span_id[0] if signed.span_id else 0


SECOND = 10**9


def test_a_line_without_ids_belongs_to_the_invocation_that_ran_then() -> None:
    owners = Owners(alone=True)
    start = NOW + 700_000  # Lambda's stamps end at the millisecond
    owners.began(begin("a", 1, start))
    owners.ended(end("a", 1, start + SECOND))
    owners.began(begin("b", 2, start + 10 * SECOND, deadline_ms=(start + 13 * SECOND) // 10**6))
    times = [NOW - SECOND, NOW, NOW + SECOND, NOW + 5 * SECOND, NOW + 10 * SECOND, NOW + 12 * SECOND, NOW + 20 * SECOND]
    assert [owner(owners, at) for at in times] == [0, 1, 1, 0, 2, 2, 0]
    assert owner(owners, NOW + 12 * SECOND, "a") == 1
    assert owner(owners, NOW + 12 * SECOND, "unknown") == 0


def test_side_by_side_only_a_request_id_tells() -> None:
    owners = Owners(alone=False)
    owners.began(begin("a", 1, NOW))
    owners.began(begin("b", 2, NOW))
    assert [owner(owners, NOW), owner(owners, NOW, "a"), owner(owners, NOW, "b")] == [0, 1, 2]


def test_a_line_of_a_retry_belongs_to_the_attempt_that_logged_it() -> None:
    owners = Owners(alone=True)
    owners.began(begin("a", 1, NOW))
    owners.began(begin("a", 2, NOW + 60 * SECOND))
    assert [owner(owners, NOW + SECOND, "a"), owner(owners, NOW + 61 * SECOND, "a")] == [1, 2]


def test_ids_of_its_own_win_over_those_of_the_invocation() -> None:
    owners = Owners(alone=True)
    owners.began(begin("a", 1, NOW))
    record = read(Line(NOW, {"message": "x", "requestId": "a", "trace_id": TRACE, "span_id": SPAN}), NOW)
    assert record is not None
    signed = owners.signed(record)
    assert (signed.trace_id.hex(), signed.span_id.hex(), signed.flags) == (TRACE, SPAN, 0)


def test_what_waits_is_bounded_in_bytes_and_what_went_is_counted() -> None:
    counters = Counters(lambda _: None)
    listener = TelemetryListener(0, counters, "127.0.0.1", log_bytes=20_000)
    listener.start()
    try:
        sent = 0
        for batch in range(5):
            lines = [
                {"time": "", "type": "function", "record": f"{batch} {n} {'x' * 500}"} for n in range(10 + 20 * batch)
            ]
            sent += len(lines)
            others = [
                {"type": "extension", "record": "hoptrace: of ourselves"},
                {"type": "platform.logsDropped", "record": {"droppedRecords": 3.0, "droppedBytes": 9.0}},
            ]
            assert post(listener.port, json.dumps(lines + others).encode()) == 200
        until = time.monotonic() + 5
        while counters.total("logs_dropped", "lambda") < 15 and time.monotonic() < until:
            time.sleep(0.01)  # the answer comes before the batch is looked into
        time.sleep(0.05)
        taken = listener.take_lines()
        assert sum(len(str(line.record)) for line in taken) <= 20_000
        assert taken[-1].record == lines[-1]["record"]
        assert counters.total("logs_dropped", "queue_full") == sent - len(taken) > 0
        assert counters.total("logs_dropped", "lambda") == 15
        assert not [line for line in taken if "ourselves" in str(line.record)]
        assert listener.take_lines() == []
    finally:
        listener.close()


def test_pieces_are_small_and_hold_every_record_once() -> None:
    records = [read(Line(NOW, {"message": str(n), "logger": f"l{n % 3}"}), NOW) for n in range(1000)]
    pieces_ = list(encode_logs((), [record for record in records if record is not None]))
    assert all(amount <= 128 for _, amount in pieces_)
    everything = [each for piece, _ in pieces_ for each in parsed(field_of(piece))]
    assert sorted(int(each.body) for each in everything) == list(range(1000))
    assert all(each.logger == f"l{int(each.body) % 3}" for each in everything)
