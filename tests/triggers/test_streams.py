"""What is read of streams, tables, buckets, brokers and logs, value by value."""

import base64
import copy
import gzip
import json
import time
from typing import Any

import pytest
from golden import load
from hypothesis import given, settings
from hypothesis import strategies as st
from scenarios import PRODUCER, SECOND

from hoptrace.lineage import lay_out
from hoptrace.propagation import BAGGAGE, TRACEPARENT, TRACESTATE
from hoptrace.settings import Settings
from hoptrace.spans.context import format_traceparent
from hoptrace.triggers import identify
from hoptrace.triggers.log_data import beginning
from hoptrace.triggers.s3 import unquoted

MS = 1_000_000
NOON_MS = 1_790_000_000_000


# --- Kinesis and DynamoDB


def test_a_record_of_a_stream_is_described_by_the_conventions() -> None:
    arrival = identify(load("recorded/kinesis.json"))
    assert (arrival.partial_failures, arrival.ordered) == (True, True)
    record = arrival.records[0]
    event = load("recorded/kinesis.json")["Records"][0]
    number = event["kinesis"]["sequenceNumber"]
    assert (record.item_id, record.name) == (number, "process clicks")
    assert record.attributes == {
        "messaging.system": "aws.kinesis",
        "messaging.operation.type": "process",
        "messaging.destination.name": "clicks",
        "messaging.destination.partition.id": "shardId-000000000000",
        "messaging.message.id": number,
        "aws.kinesis.stream_name": "clicks",
    }
    assert record.pointers == [("aws.kinesis", "clicks", "shardId-000000000000", number)]
    assert record.hops[0].name == "Kinesis clicks"
    assert (
        record.since_ns == record.hops[0].start_ns == round(event["kinesis"]["approximateArrivalTimestamp"] * 1000) * MS
    )
    assert arrival.attributes["messaging.batch.message_count"] == 3


def test_neither_partition_keys_nor_data_nor_items_are_recorded() -> None:
    kinesis, table = load("recorded/kinesis.json"), load("recorded/dynamodb.json")
    kinesis["Records"][0]["kinesis"]["partitionKey"] = "PRIVATE"
    table["Records"][0]["dynamodb"]["Keys"]["pk"] = {"S": "PRIVATE"}
    table["Records"][0]["dynamodb"]["NewImage"]["state"] = {"S": "PRIVATE"}
    for event in (kinesis, table):
        arrival = identify(event)
        told = [arrival.attributes, *(record.attributes for record in arrival.records)]
        told += [hop.attributes for record in arrival.records for hop in record.hops]
        assert "PRIVATE" not in json.dumps(told)


@pytest.mark.parametrize(
    "seconds", [1_790_000_000.123, 1_790_000_000.999, 1_790_000_000, "1790000000.5", 1_545_084_650.987]
)
def test_seconds_with_a_fraction_are_read_to_the_millisecond(seconds: Any) -> None:
    event = load("sam/kinesis-get-records.json")
    event["Records"][0]["kinesis"]["approximateArrivalTimestamp"] = seconds
    (record,) = identify(event).records
    assert record.since_ns == round(float(seconds) * 1000) * MS


def test_a_change_of_an_item_is_described_by_the_conventions() -> None:
    arrival = identify(load("sam/dynamodb-update.json"))
    assert (arrival.partial_failures, arrival.ordered) == (True, True)
    assert [record.item_id[-1] for record in arrival.records] == ["1", "2", "3"]
    assert [record.attributes["faas.document.operation"] for record in arrival.records] == ["insert", "edit", "delete"]
    assert arrival.attributes["db.collection.name"] == "ExampleTableWithStream"
    record = arrival.records[0]
    assert record.name == "process ExampleTableWithStream"
    assert record.attributes["hoptrace.dynamodb.event"] == "INSERT"
    assert record.attributes["db.system.name"] == "aws.dynamodb"
    # A time cut to its second is taken as its end, so that nothing begins before what caused it.
    assert record.hops[0].start_ns == 1_428_537_600_999 * MS
    assert record.hops[0].coarse


def test_the_writers_own_clock_is_more_exact_than_the_tables() -> None:
    event = load("recorded/dynamodb.json")
    sent = int(event["Records"][0]["dynamodb"]["NewImage"]["_hoptrace"]["M"]["sent"]["N"])
    record = identify(event).records[0]
    assert record.hops[0].start_ns == sent * MS
    assert not record.hops[0].coarse


def test_the_age_of_the_iterator_is_the_last_records() -> None:
    event = load("recorded/kinesis.json")
    for position, seconds in enumerate((60, 20, 5)):
        event["Records"][position]["kinesis"]["approximateArrivalTimestamp"] = NOON_MS / 1000 - seconds
    lineage = lay_out(identify(event), "f", NOON_MS * MS, "r", None, Settings({}))
    assert lineage.invocation.attributes["hoptrace.iterator.age"] == 5.0
    assert lineage.invocation.attributes["hoptrace.message.age"] == 60.0
    assert [span.attributes["hoptrace.message.age"] for _, span in lineage.records] == [60.0, 20.0, 5.0]


def test_what_is_no_stream_has_no_iterator() -> None:
    lineage = lay_out(identify(load("recorded/sqs.json")), "f", time.time_ns(), "r", None, Settings({}))
    assert "hoptrace.iterator.age" not in lineage.invocation.attributes


def test_ten_thousand_records_are_counted_and_as_many_read_as_are_linked_to() -> None:
    """And the last one, whose age is the iterator's."""
    event = load("sam/kinesis-get-records.json")
    event["Records"] = event["Records"] * 10_000
    arrival = identify(event)
    assert len(arrival.records) == 10_000
    assert [record.item_id != "" for record in arrival.records] == [True] * 1_000 + [False] * 8_999 + [True]
    lineage = lay_out(arrival, "f", time.time_ns(), "r", None, Settings({}))
    assert lineage.invocation.attributes["hoptrace.batch.untraced_records"] == 9_900


# --- Firehose


def test_a_transformed_record_was_in_the_stream_that_feeds_it_first() -> None:
    arrival = identify(load("documented/firehose_from_kinesis.json"))
    first, second = arrival.records
    assert (first.item_id, second.item_id) == ("record1", "record2")
    assert [hop.name for hop in first.hops] == ["Kinesis EXAMPLE", "Firehose EXAMPLE"]
    assert first.pointers == [
        (
            "aws.kinesis",
            "EXAMPLE",
            "shardId-000000000000",
            "49546986683135544286507457936321625675700192471156785154",
        )
    ]
    assert not arrival.partial_failures


# --- S3


def test_a_notification_is_described_by_the_conventions() -> None:
    event = load("recorded/s3.json")
    arrival = identify(event)
    thing = event["Records"][0]["s3"]["object"]
    assert arrival.attributes == {
        "aws.s3.bucket": "uploads",
        "aws.s3.key": "a b/ü+%41.json",
        "faas.document.collection": "uploads",
        "faas.document.name": "a b/ü+%41.json",
        "faas.document.operation": "insert",
        "faas.document.time": event["Records"][0]["eventTime"],
        "hoptrace.s3.event": "ObjectCreated:Put",
        "hoptrace.s3.etag": thing["eTag"],
        "hoptrace.s3.size": 2,
    }
    (record,) = arrival.records
    assert record.hops[0].name == "S3 uploads"
    assert record.pointers == [("aws.s3", event["Records"][0]["responseElements"]["x-amz-request-id"])]


def test_a_removal_is_a_removal() -> None:
    attributes = identify(load("sam/s3-delete.json")).attributes
    assert attributes["faas.document.operation"] == "delete"
    assert attributes["aws.s3.key"] == "test/key"
    assert "hoptrace.s3.size" not in attributes


@given(st.text(max_size=40))
def test_a_key_is_decoded_as_it_was_spelt(key: str) -> None:
    from urllib.parse import quote_plus, unquote_plus

    try:
        spelt = quote_plus(key, safe="/")
    except UnicodeEncodeError:
        return
    assert unquoted(spelt) == key
    assert unquoted(key) == unquote_plus(key)


@pytest.mark.parametrize("key", ["%", "%4", "%zz", "a%2", "%%41", "%C3", "+%2B"])
def test_a_key_that_is_spelt_wrongly_is_decoded_as_far_as_it_goes(key: str) -> None:
    from urllib.parse import unquote_plus

    assert unquoted(key) == unquote_plus(key)


# --- Kafka


def signed(text: str) -> list[int]:
    return [byte - 256 if byte > 127 else byte for byte in text.encode()]


def kafka_event(*headers: dict[str, Any]) -> Any:
    event = load("documented/kafka_msk.json")
    template = event["records"]["mytopic-0"][0]
    event["records"] = {
        f"mytopic-{position}": [{**template, "partition": position, "headers": [{"other": [1]}, one]}]
        for position, one in enumerate(headers)
    }
    return event


def test_every_record_of_every_partition_has_the_producer_of_its_headers() -> None:
    one = {"traceparent": signed(format_traceparent(PRODUCER)), "tracestate": signed("vendor=1")}
    two = {"Traceparent": signed(format_traceparent(SECOND))}
    arrival = identify(kafka_event(one, two, {"x": signed("ü")}))
    assert [record.context for record in arrival.records] == [PRODUCER, SECOND, None]
    assert [record.carrier for record in arrival.records] == ["traceparent", "traceparent", ""]
    record = arrival.records[1]
    assert record.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.destination.name": "mytopic",
        "messaging.destination.partition.id": "1",
        "messaging.kafka.offset": 15,
    }
    assert (record.item_id, record.name) == ("mytopic-1:15", "process mytopic")
    assert record.since_ns == 1_545_084_650_987 * MS
    assert arrival.attributes["messaging.batch.message_count"] == 3
    assert arrival.attributes["messaging.destination.name"] == "mytopic"
    assert (arrival.partial_failures, arrival.ordered) == (True, True)


def test_of_a_header_that_comes_twice_the_last_counts() -> None:
    event = kafka_event({"traceparent": signed(format_traceparent(PRODUCER))})
    event["records"]["mytopic-0"][0]["headers"].append({"traceparent": signed(format_traceparent(SECOND))})
    assert identify(event).records[0].context == SECOND


@pytest.mark.parametrize(
    "value",
    [
        [],
        [1.5],
        [200],
        [-129],
        ["a"],
        [None],
        None,
        7,
        {"a": 1},
        [True],
        signed("ü" * 30),
        [48] * 10_000,
        [[48]],
        [number + 256 for number in signed(format_traceparent(PRODUCER))],
    ],
)
def test_a_header_that_is_no_text_is_none(value: Any) -> None:
    assert identify(kafka_event({"traceparent": value})).records[0].context is None


def test_a_cluster_of_ones_own_is_read_alike() -> None:
    arrival = identify(load("documented/kafka_self_managed.json"))
    assert (arrival.name, arrival.records[0].hops[0].system) == ("kafka", "kafka")


# --- MQ


def test_an_activemq_message_has_the_producer_of_its_properties() -> None:
    event = load("documented/mq_active.json")
    event["messages"][0]["properties"] = {"TraceParent": format_traceparent(PRODUCER), TRACESTATE: "vendor=1"}
    arrival = identify(event)
    assert [record.context for record in arrival.records] == [PRODUCER, None]
    record = arrival.records[0]
    assert record.attributes["messaging.system"] == "activemq"
    assert record.attributes["messaging.destination.name"] == "testQueue"
    assert record.attributes["messaging.message.conversation_id"] == "myJMSCoID"
    assert record.hops[0].name == "ActiveMQ testQueue"
    assert record.since_ns == 1_598_827_811_958 * MS
    assert arrival.attributes["messaging.system"] == "activemq"


@pytest.mark.parametrize("spell", [lambda text: {"bytes": signed(text)}, lambda text: text])
def test_a_rabbitmq_message_has_the_producer_of_its_headers(spell: Any) -> None:
    event = load("documented/mq_rabbit.json")
    (message,) = event["rmqMessagesByQueue"]["pizzaQueue::/"]
    message["basicProperties"]["headers"][TRACEPARENT] = spell(format_traceparent(PRODUCER))
    message["basicProperties"]["headers"][TRACESTATE] = spell("vendor=1")
    message["basicProperties"]["headers"][BAGGAGE] = spell("a=1")
    event["rmqMessagesByQueue"]["other::/v"] = [copy.deepcopy(message)]
    event["rmqMessagesByQueue"]["other::/v"][0]["basicProperties"]["headers"] = None
    arrival = identify(event)
    first, second = arrival.records
    assert first.context is not None
    assert (first.context.span_id, first.context.trace_state, first.context.baggage) == (
        PRODUCER.span_id,
        "vendor=1",
        "a=1",
    )
    assert second.context is None
    assert [record.attributes["messaging.destination.name"] for record in arrival.records] == ["pizzaQueue", "other"]
    assert arrival.attributes["messaging.system"] == "rabbitmq"
    assert "messaging.destination.name" not in arrival.attributes
    assert first.hops == []


# --- CloudWatch Logs


def packed(document: Any) -> str:
    return base64.b64encode(gzip.compress(json.dumps(document).encode(), mtime=0)).decode()


HEAD = {
    "messageType": "DATA_MESSAGE",
    "owner": "123456789012",
    "logGroup": "/shop/orders",
    "logStream": "s",
    "subscriptionFilters": ["errors"],
}


def test_logs_are_described_without_a_line_of_them() -> None:
    arrival = identify(load("recorded/cloudwatch_logs.json"))
    assert arrival.attributes == {
        "hoptrace.logs.group": "/shop/orders",
        "hoptrace.logs.stream": "2026/11/23",
        "hoptrace.logs.filter": "errors",
        "hoptrace.logs.message_type": "DATA_MESSAGE",
    }
    assert [hop.name for hop in arrival.records[0].hops] == ["CloudWatch Logs /shop/orders"]


def test_a_hundred_megabytes_of_lines_are_not_unpacked() -> None:
    events = [{"id": "1", "timestamp": NOON_MS, "message": "x" * 100_000_000}]
    data = packed({**HEAD, "logEvents": events})
    assert len(data) < 1_000_000
    started = time.perf_counter()
    arrival = identify({"awslogs": {"data": data}})
    assert time.perf_counter() - started < 0.1
    assert arrival.attributes["hoptrace.logs.group"] == "/shop/orders"
    assert arrival.records[0].since_ns == NOON_MS * MS


def test_six_megabytes_of_base64_are_decoded_at_their_beginning_only() -> None:
    import random

    noise = random.Random(0).randbytes(4_000_000).hex()
    data = packed({**HEAD, "logEvents": [{"id": "1", "timestamp": NOON_MS, "message": noise}]})
    assert len(data) > 5_000_000
    started = time.perf_counter()
    arrival = identify({"awslogs": {"data": data}})
    assert time.perf_counter() - started < 0.1
    assert arrival.records[0].since_ns == NOON_MS * MS
    # What stands behind is not looked at, or it would be found to be no base64.
    assert identify({"awslogs": {"data": data[:100_000] + "ü"}}).attributes == arrival.attributes


@given(st.integers(0, 400))
@settings(deadline=None)
def test_logs_that_break_off_anywhere_give_what_was_whole_before(end: int) -> None:
    document = {**HEAD, "logEvents": [{"id": "1", "timestamp": NOON_MS, "message": "x"}]}
    cut = json.dumps(document)[:end]
    data = base64.b64encode(gzip.compress(cut.encode())).decode()
    found = beginning(data).raw
    assert found.items() <= {**document, "logEvents": found.get("logEvents")}.items()


@pytest.mark.parametrize(
    "data", ["x", "!!!!", "AAAA", base64.b64encode(b"{}").decode(), packed([]), packed(None), packed("x")]
)
def test_data_that_is_none_says_nothing(data: str) -> None:
    arrival = identify({"awslogs": {"data": data}})
    assert (arrival.name, arrival.attributes) == ("cloudwatch_logs", {})
