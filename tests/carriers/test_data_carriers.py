"""The key inside the user's own data: only in what is exactly one JSON object, and no other byte changed."""

import base64
import copy
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoptrace.carriers import firehose, iot, kinesis
from hoptrace.carriers.attributes import bytes_of
from hoptrace.carriers.json_data import Writer, read
from hoptrace.carriers.reserved import extract_text
from hoptrace.spans.context import SpanContext, format_traceparent
from hoptrace.triggers import identify

NOW_MS = 1_790_000_000_000
CONTEXT = SpanContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1, "vendor=1", remote=True)
BARE = SpanContext(CONTEXT.trace_id, CONTEXT.span_id, 1, "", remote=True)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
# Spellings that parsing and writing anew would change: number forms, escapes, spaces, doubled keys, their order.
peculiar = st.sampled_from(
    [
        "{}",
        " { } ",
        '\n\t{"b":1,"a":2}\r\n',
        '{"n":1.50,"m":1E+2,"o":-0,"p":0.1e-7,"q":12345678901234567890123}',
        '{"a":1,"a":2,"a":3}',
        '{"e":"\\u00fc\\/\\ud83d\\ude00","f":"ü/😀"}',
        '{"_hoptrace_not":1}',
        '{"text":"say \\"_hoptrace\\""}',
        '{"nested":{"_hoptrace":{"traceparent":"x"}}}',
    ]
)
objects = peculiar | st.dictionaries(st.text(max_size=6), values, max_size=4).map(json.dumps)


def write(data: Any, context: SpanContext = CONTEXT, room: int = 10_000) -> Any:
    return Writer(NOW_MS).write(data, context, room)


def added(context: SpanContext = CONTEXT) -> str:
    state = f'"tracestate":"{context.trace_state}",' if context.trace_state else ""
    return f'"_hoptrace":{{"traceparent":"{format_traceparent(context)}",{state}"sent":{NOW_MS}}}'


@given(objects)
@settings(deadline=None)
def test_an_object_gets_the_key_at_its_end_and_keeps_every_other_byte(text: str) -> None:
    longer = write(text)
    begin, comma, end = longer.partition(("," if json.loads(text) else "") + added())
    assert comma
    assert begin + end == text
    assert extract_text(longer) == CONTEXT
    original = json.loads(text)
    assert {**original, "_hoptrace": json.loads(longer)["_hoptrace"]} == json.loads(longer)


@given(objects)
@settings(deadline=None)
def test_bytes_stay_bytes_and_a_bytearray_a_bytearray(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    try:
        data.decode()
    except UnicodeDecodeError:
        assert write(data) is data
        return
    assert write(data) == write(text).encode()
    assert type(write(data)) is bytes
    array = bytearray(data)
    assert write(array) == bytearray(write(data))
    assert type(write(array)) is bytearray
    assert array == data


def test_a_line_feed_at_the_end_stays_at_the_end() -> None:
    assert write(b'{"a":1}\n').endswith(b"}}\n")


@pytest.mark.parametrize(
    "data",
    [
        None,
        7,
        "",
        b"",
        "{",
        "}",
        "{}{}",
        '{"a":1}\n{"b":2}\n',
        "[{}]",
        "null",
        '"{}"',
        "{'a':1}",
        '{"a":1,}',
        "\ufeff{}",
        b"\xef\xbb\xbf{}",
        "\u00a0{}",
        b'{"a":"\xff"}',
        '{"a":1}'.encode("utf-16"),
        b"\x1f\x8b\x08{}",
        b"\xf3\x89\x9a\xc2{}",
        '{"n":' + "1" * 5_000 + "}",
        '{"a":' + "[" * 100_000 + "}",
        {"a": 1},
        memoryview(b"{}"),
    ],
)
def test_what_is_not_one_object_is_the_very_same_object_afterwards(data: Any) -> None:
    assert write(data) is data


def test_a_file_is_neither_read_nor_moved() -> None:
    file = io.BytesIO(b'{"a":1}')
    assert write(file) is file
    assert file.tell() == 0


@pytest.mark.parametrize("data", ['{"traceparent":"mine"}', '{"_hoptrace":"mine"}', '{"_hoptrace":{"a":1}}'])
def test_a_context_or_a_key_of_the_users_own_stays(data: str) -> None:
    assert write(data) is data


def test_a_key_that_data_came_with_is_replaced_in_its_place() -> None:
    received = write('{"a":1,"b":2}', SpanContext("c" * 32, "d" * 16)).replace('"b":2,', "", 1)[:-1] + ',"z":9}'
    sent = write(received)
    assert json.loads(sent)["_hoptrace"]["traceparent"] == format_traceparent(CONTEXT)
    assert list(json.loads(sent)) == list(json.loads(received))
    assert sent.count("_hoptrace") == 1


def test_when_there_is_less_room_the_tracestate_goes_first_and_then_the_context() -> None:
    full, bare = len(added()) + 1, len(added(BARE)) + 1
    assert extract_text(write('{"a":1}', room=full)) == CONTEXT
    assert extract_text(write('{"a":1}', room=full - 1)) == BARE
    assert extract_text(write('{"a":1}', room=bare)) == BARE
    assert write('{"a":1}', room=bare - 1) == '{"a":1}'


def test_of_one_call_a_megabyte_is_parsed_and_no_more() -> None:
    writer = Writer(NOW_MS)
    data = '{"a":"' + "x" * 400_000 + '"}'
    written = [writer.write(data, CONTEXT, 10_000) is not data for _ in range(4)]
    assert written == [True, True, False, False]


# --- limits, to the byte


def test_the_limits_are_the_documented_ones() -> None:
    assert (kinesis.RECORD_BYTES, kinesis.REQUEST_BYTES) == (1_048_576, 5_242_880)
    assert (firehose.RECORD_BYTES, firehose.REQUEST_BYTES) == (1_024_000, 4_000_000)
    assert iot.PAYLOAD_BYTES == 128_000


Inject = Callable[[dict[str, Any]], Any]


def of_kinesis(entry: dict[str, Any]) -> Any:
    return kinesis.RECORDS.inject(entry, BARE, Writer(NOW_MS))


def of_firehose(entry: dict[str, Any]) -> Any:
    return firehose.RECORDS.inject(entry, BARE, Writer(NOW_MS))


def of_iot(entry: dict[str, Any]) -> Any:
    return iot.inject(entry, BARE, NOW_MS)


@pytest.mark.parametrize(
    ("inject", "field", "more", "limit", "via"),
    [
        (of_kinesis, "Data", {"PartitionKey": "ü" * 10}, kinesis.RECORD_BYTES, 0),
        (of_firehose, "Data", {}, firehose.RECORD_BYTES, 0),
        (of_iot, "payload", {"topic": "t"}, iot.PAYLOAD_BYTES, len(',"via":"iot"')),
    ],
)
@pytest.mark.parametrize("spare", [-1, 0, 1])
def test_a_record_is_filled_to_its_limit_and_not_a_byte_further(
    inject: Inject, field: str, more: dict[str, Any], limit: int, via: int, spare: int
) -> None:
    beside = bytes_of(more.get("PartitionKey"))
    shell = '{"a":""}'
    fill = limit - len(shell) - beside - len(added(BARE)) - 1 - via - spare
    entry = {field: ('{"a":"' + "x" * fill + '"}').encode(), **more}
    before = copy.deepcopy(entry)
    written = inject(entry)
    assert entry == before
    if spare < 0:
        assert written is entry
    else:
        assert len(written[field]) + beside == limit - spare
        assert {**written, field: None} == {**entry, field: None}


@pytest.mark.parametrize(
    ("module", "limit", "largest"),
    [(kinesis, kinesis.REQUEST_BYTES, 1_000_000), (firehose, firehose.REQUEST_BYTES, 900_000)],
)
@pytest.mark.parametrize("spare", [-1, 0, 1])
def test_a_batch_is_filled_to_the_requests_limit_and_not_a_byte_further(
    module: Any, limit: int, largest: int, spare: int
) -> None:
    ours = len(added(BARE)) + 1
    small = {"Data": '{"a":1}'}
    rest = limit - 2 * len(small["Data"]) - 2 * ours - spare
    binary = [{"Data": b"x" * largest} for _ in range(rest // largest)]
    entries = [small, *binary, {"Data": b"x" * (rest % largest)}, small]
    written = module.RECORDS.inject_each(entries, lambda _: BARE, Writer(NOW_MS))
    changed = [one is not other for one, other in zip(written, entries, strict=True)]
    assert changed == [True, *[False] * (len(entries) - 2), spare >= 0]
    assert sum(bytes_of(entry["Data"]) for entry in written) <= limit


def test_a_partition_key_counts_with_the_request() -> None:
    ours = len(added(BARE)) + 1
    record = {"Data": b"{}", "PartitionKey": "k" * 200}
    full = {"Data": b"x" * 1_048_376, "PartitionKey": "k" * 200}
    spare = kinesis.REQUEST_BYTES - 4 * 1_048_576
    entries = [full] * 4 + [{"Data": b"x" * (spare - 202 - ours + 1 - 200), "PartitionKey": "k" * 200}, record]
    assert kinesis.RECORDS.inject_each(entries, lambda _: BARE, Writer(NOW_MS)) is not entries
    entries[4] = {**entries[4], "PartitionKey": "k" * 202}
    assert kinesis.RECORDS.inject_each(entries, lambda _: BARE, Writer(NOW_MS)) is entries


@pytest.mark.parametrize("entries", [None, "x", 7, [], [None, 7, "x"], [{}], [{"Data": None}], ({"Data": b"{}x"},)])
def test_batches_of_anything_else_come_back_as_they_are(entries: Any) -> None:
    for module in (kinesis, firehose):
        assert module.RECORDS.inject_each(entries, lambda _: CONTEXT, Writer(NOW_MS)) is entries


@pytest.mark.parametrize("entry", [None, "x", 7, {}, {"Data": None}, {"payload": None}, {"payload": object()}])
def test_parameters_of_anything_else_come_back_as_they_are(entry: Any) -> None:
    assert kinesis.RECORDS.inject(entry, CONTEXT, Writer(NOW_MS)) is entry
    assert firehose.RECORDS.inject(entry, CONTEXT, Writer(NOW_MS)) is entry
    assert iot.inject(entry, CONTEXT, NOW_MS) is entry


# --- back again


def kinesis_event(*data: bytes) -> Any:
    return {
        "Records": [
            {
                "eventSource": "aws:kinesis",
                "eventSourceARN": "arn:aws:kinesis:eu-west-1:1:stream/clicks",
                "eventID": "shardId-000000000001:4954",
                "kinesis": {"data": base64.b64encode(one).decode(), "sequenceNumber": "4954"},
            }
            for one in data
        ]
    }


@given(objects, st.booleans())
@settings(deadline=None)
def test_what_is_put_into_a_stream_comes_out_of_it(text: str, state: bool) -> None:
    context = CONTEXT if state else BARE
    data = write(text, context).encode("utf-8", "surrogatepass")
    (record,) = identify(kinesis_event(data)).records
    assert (record.context, record.carrier) == (context, "traceparent")


def test_data_is_decoded_only_when_it_may_be_json() -> None:
    def encoded(data: bytes) -> str:
        return base64.b64encode(data).decode()

    assert read(encoded(b' \n {"a":1}'), 100) == ' \n {"a":1}'
    assert read(encoded(b"[1]"), 100) == "[1]"
    assert read(encoded(b'{"a":1}'), 11) == ""
    for data in (b"", b"\xf3\x89\x9a\xc2{}", b"\x1f\x8b", b"plain", b"{\xff}"):
        assert read(encoded(data), 100) == ""
    assert read("{not base64", 100) == ""


def test_of_one_invocations_data_two_megabytes_are_decoded_and_the_others_have_their_pointers() -> None:
    data = write('{"a":"' + "x" * 300_000 + '"}').encode()
    records = identify(kinesis_event(*[data] * 8)).records
    found = [record.context is not None for record in records]
    assert found == sorted(found, reverse=True)
    # 400 KB of base64 and what it says, 300 KB: twice of that, and a third has no room.
    assert sum(found) == 2
    assert all(record.pointers == [("aws.kinesis", "clicks", "shardId-000000000001", "4954")] for record in records)


def test_plain_members_are_read_where_the_key_is_not() -> None:
    plain = json.dumps({"traceparent": format_traceparent(BARE), "a": 1}).encode()
    (record,) = identify(kinesis_event(plain)).records
    assert record.context == BARE


def test_an_event_of_a_bus_in_a_stream_has_both_hops() -> None:
    event = {
        "detail-type": "OrderPlaced",
        "source": "shop",
        "id": "e-1",
        "time": "2026-09-21T14:13:20Z",
        "detail": json.loads(write("{}", BARE)),
    }
    given_event = kinesis_event(json.dumps(event).encode())
    given_event["Records"][0]["kinesis"]["approximateArrivalTimestamp"] = NOW_MS / 1000 + 0.25
    (record,) = identify(given_event).records
    assert record.context == BARE
    assert [(hop.system, hop.start_ns) for hop in record.hops] == [
        ("aws.eventbridge", NOW_MS * 1_000_000),
        ("aws.kinesis", (NOW_MS + 250) * 1_000_000),
    ]


def test_a_message_over_iot_says_so() -> None:
    sent = iot.inject({"topic": "t", "payload": '{"a":1}'}, BARE, NOW_MS)
    arrival = identify(json.loads(sent["payload"]))
    assert (arrival.name, arrival.records[0].context) == ("iot", BARE)
