"""The parts of an arrival that a reader of a trace sees: names, attributes, times, and who called."""

import base64
import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from golden import EXPECTED, load
from scenarios import PRODUCER, SECOND

from hoptrace.carriers import eventbridge as to_bus
from hoptrace.carriers.client_context import inject_client_context
from hoptrace.spans.context import format_traceparent
from hoptrace.triggers import TRIGGERS, Arrival, Hop, identify
from hoptrace.triggers.arrival import chain, from_iso, from_ms
from hoptrace.triggers.http import redact_query

MS = 1_000_000
NOON_MS = 1_790_000_000_000


def sqs_message(body: str = "x", **more: Any) -> dict[str, Any]:
    return {
        "messageId": "m-1",
        "body": body,
        "attributes": {"SentTimestamp": str(NOON_MS + 500), "ApproximateReceiveCount": "3"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:1:orders",
        **more,
    }


def notification(message: str, timestamp: str = "2026-09-21T14:13:20.250Z") -> str:
    return json.dumps(
        {
            "Type": "Notification",
            "MessageId": "n-1",
            "TopicArn": "arn:aws:sns:eu-west-1:1:news",
            "Message": message,
            "Timestamp": timestamp,
        }
    )


def bus_event(**more: Any) -> dict[str, Any]:
    event = {
        "version": "0",
        "id": "e-1",
        "detail-type": "OrderPlaced",
        "source": "shop",
        "time": "2026-09-21T14:13:20Z",
        "resources": [],
        "detail": {},
    }
    return {**event, **more}


def of_sqs(*messages: dict[str, Any]) -> Arrival:
    return identify({"Records": list(messages)})


# --- messages


def test_every_record_of_a_batch_keeps_its_own_id_producer_and_name() -> None:
    event = load("recorded/sqs.json")
    arrival = identify(event)
    assert [record.item_id for record in arrival.records] == [message["messageId"] for message in event["Records"]]
    assert [record.context for record in arrival.records] == [PRODUCER, SECOND]
    assert {record.name for record in arrival.records} == {"process orders"}
    assert arrival.partial_failures
    assert arrival.attributes["messaging.batch.message_count"] == 2
    assert "messaging.message.id" not in arrival.attributes


def test_a_queues_hop_says_how_often_it_was_received_and_when_first() -> None:
    hop = identify(load("sam/sqs-receive-message.json")).records[0].hops[0]
    assert (hop.name, hop.start_ns, hop.end_ns) == ("SQS MyQueue", 1_523_232_000_000 * MS, None)
    assert hop.attributes["hoptrace.sqs.receive_count"] == 1
    assert hop.attributes["hoptrace.sqs.first_received"] == 1_523_232_000_001 * MS


def test_each_hop_ends_where_the_next_begins() -> None:
    inner = json.dumps(bus_event(detail={"_hoptrace": {"sent": NOON_MS + 100}}))
    hops = of_sqs(sqs_message(notification(inner))).records[0].hops
    assert [(hop.name, hop.start_ns // MS - NOON_MS, hop.end_ns and hop.end_ns // MS - NOON_MS) for hop in hops] == [
        ("EventBridge OrderPlaced", 100, 250),
        ("SNS news", 250, 500),
        ("SQS orders", 500, None),
    ]


def test_a_time_cut_to_its_second_never_draws_a_hop_before_what_sent_it() -> None:
    """2026-09-21T14:13:20.000Z may have been any moment of that second; the message was queued in the middle of it."""
    inner = json.dumps(bus_event(detail={"_hoptrace": {"sent": NOON_MS + 400}}))
    hops = of_sqs(sqs_message(notification(inner, "2026-09-21T14:13:20.000Z"))).records[0].hops
    assert [hop.start_ns // MS - NOON_MS for hop in hops] == [400, 500, 500]


def test_an_event_without_our_key_says_that_its_time_is_coarse() -> None:
    (hop,) = identify(bus_event()).records[0].hops
    assert hop.start_ns == (NOON_MS + 999) * MS
    assert hop.attributes["hoptrace.start.granularity"] == "1s"


def test_who_sent_a_replayed_event_in_its_first_life_is_linked_to_and_is_no_parent() -> None:
    woken = bus_event(**{"replay-name": "again"})
    woken["detail"]["_hoptrace"] = {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "sent": 1}
    record = identify(woken).records[0]
    assert record.context is None
    ((producer, about),) = record.links
    assert (producer.trace_id, producer.span_id, about) == ("a" * 32, "b" * 16, {"hoptrace.link": "replay"})


def test_a_replayed_event_has_no_hop() -> None:
    """Archive replays keep the first life's time: a wait of days that nobody waited."""
    record = identify(bus_event(**{"replay-name": "again"})).records[0]
    assert record.hops == []
    assert record.attributes["hoptrace.eventbridge.replay"] == "again"


def test_a_message_whose_own_attribute_names_its_producer_is_not_searched_for_an_older_one() -> None:
    attributes = {"traceparent": {"stringValue": format_traceparent(SECOND), "dataType": "String"}}
    body = notification(json.dumps(bus_event(detail={"_hoptrace": {"traceparent": format_traceparent(PRODUCER)}})))
    record = of_sqs(sqs_message(body, messageAttributes=attributes)).records[0]
    assert record.context == SECOND
    assert [hop.system for hop in record.hops] == ["aws_sqs"]


def test_a_body_that_only_mentions_the_words_is_not_an_envelope() -> None:
    for body in ("TopicArn", '{"TopicArn": "x"}', '["detail-type"]', '{"detail-type": "x", "source": 5}'):
        record = of_sqs(sqs_message(body)).records[0]
        assert [hop.system for hop in record.hops] == ["aws_sqs"]
        assert record.context is None


@pytest.mark.parametrize("body", ['{"TopicArn": ', '{"detail-type":' + "[" * 100_000, '{"_hoptrace": nope}'])
def test_a_broken_envelope_costs_the_batch_nothing(body: str) -> None:
    attributes = {"traceparent": {"stringValue": format_traceparent(SECOND), "dataType": "String"}}
    arrival = of_sqs(sqs_message(body), sqs_message(messageAttributes=attributes))
    assert arrival.name == "sqs"
    assert [record.context for record in arrival.records] == [None, SECOND]
    assert [len(record.hops) for record in arrival.records] == [1, 1]


def test_six_megabytes_of_envelopes_are_read_up_to_a_bound_and_the_trace_header_beyond() -> None:
    header = f"Root=1-{SECOND.trace_id[:8]}-{SECOND.trace_id[8:]};Parent={SECOND.span_id};Sampled=1"
    detail = {"_hoptrace": {"traceparent": format_traceparent(PRODUCER)}, "fill": "x" * 590_000}
    message = sqs_message(json.dumps(bus_event(detail=detail)))
    message["attributes"]["AWSTraceHeader"] = header
    started = time.perf_counter()
    arrival = of_sqs(*[message] * 10)
    took = time.perf_counter() - started
    assert [record.carrier for record in arrival.records] == ["traceparent"] * 3 + ["xray"] * 7
    assert took < 1


@pytest.mark.parametrize("more", ["", ";Sampled=0", ";Parent=53995c3f42cd8ad8;Sampled=0;Lineage=ac449cae:0"])
def test_a_trace_header_that_names_no_recorded_span_gives_its_trace_id_alone(more: str) -> None:
    """What every function without X-Ray sends says Sampled=0 and names a parent that exists nowhere."""
    message = sqs_message()
    message["attributes"]["AWSTraceHeader"] = "Root=1-5759e988-bd862e3fe1be46a994272793" + more
    record = of_sqs(message).records[0]
    assert (record.context, record.carrier, record.root) == (None, "", "5759e988bd862e3fe1be46a994272793")


def test_a_schedule_says_when_it_was_due_and_by_which_rule() -> None:
    arrival = identify(load("sam/cloudwatch-scheduled-event.json"))
    assert arrival.attributes == {"faas.time": "1970-01-01T00:00:00Z", "hoptrace.eventbridge.rule": "ExampleRule"}


# --- requests


def test_a_request_is_described_by_the_conventions_and_without_secrets() -> None:
    arrival = identify(load("recorded/function_url.json"))
    host = arrival.attributes.pop("server.address")
    assert str(host).endswith(".lambda-url.us-east-1.on.aws")
    assert arrival.attributes == {
        "http.request.method": "GET",
        "url.path": "/users/1",
        "url.scheme": "https",
        "url.query": "q=a%20b&token=REDACTED",
        "client.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "user_agent.original": "curl/8.1",
    }
    assert arrival.is_http


def test_a_rest_apis_decoded_query_is_encoded_again() -> None:
    event = load("recorded/api_gateway_rest.json")
    event["multiValueQueryStringParameters"] = {"q": ["a b", "ü&="], "api_key": ["geheim"]}
    attributes = identify(event).attributes
    assert attributes["url.query"] == "q=a%20b&q=%C3%BC%26%3D&api_key=REDACTED"
    assert attributes["url.path"] == "/prod/users/1"
    assert attributes["http.route"] == "/users/{id}"


@pytest.mark.parametrize(
    ("query", "redacted"),
    [
        ("", ""),
        ("a=1&b", "a=1&b"),
        ("X-Amz-Signature=abc&X-Amz-Credential=d&a=1", "X-Amz-Signature=REDACTED&X-Amz-Credential=REDACTED&a=1"),
        ("access_token=a=b&sig=c&code=d", "access_token=REDACTED&sig=REDACTED&code=REDACTED"),
        ("PASSWORD=x&token", "PASSWORD=REDACTED&token"),
        ("to%6ben=x", "to%6ben=REDACTED"),
    ],
)
def test_values_of_keys_that_look_like_secrets_are_taken_out(query: str, redacted: str) -> None:
    assert redact_query(query) == redacted


def test_an_unknown_method_is_named_other() -> None:
    event = load("recorded/api_gateway_rest.json")
    event["httpMethod"] = "BREW"
    arrival = identify(event)
    assert arrival.span_name == "HTTP /users/{id}"
    assert arrival.attributes["http.request.method"] == "_OTHER"
    assert arrival.attributes["http.request.method_original"] == "BREW"


def test_a_load_balancer_with_multi_value_headers_only_is_read_too() -> None:
    event = load("recorded/alb.json")
    event["multiValueHeaders"] = {name: [value] for name, value in event.pop("headers").items()}
    event["multiValueQueryStringParameters"] = {"q": ["a%20b"]}
    del event["queryStringParameters"]
    arrival = identify(event)
    assert arrival.records[0].context == PRODUCER
    assert arrival.attributes["url.query"] == "q=a%20b"
    assert arrival.records[0].root == event["multiValueHeaders"]["x-amzn-trace-id"][0][7:].replace("-", "")


def test_attributes_are_bounded() -> None:
    event = load("recorded/api_gateway_http.json")
    event["rawPath"] = "/" + "x" * 1_000_000
    event["rawQueryString"] = "q=" + "y" * 1_000_000
    assert all(len(str(value)) <= 2048 for value in identify(event).attributes.values())


# --- direct invocations


def context_of(encoded: str | None) -> Any:
    document = json.loads(base64.b64decode(encoded or "e30="))
    return SimpleNamespace(client_context=SimpleNamespace(custom=document["custom"], env=None, client=None))


def test_a_direct_invocation_has_its_caller_as_producer() -> None:
    arrival = identify({"order": 1}, context_of(inject_client_context(None, PRODUCER)))
    assert (arrival.name, arrival.faas_trigger) == ("lambda", "other")
    assert [(record.context, record.carrier) for record in arrival.records] == [(PRODUCER, "client_context")]


def test_who_sends_an_http_event_on_to_another_function_is_its_caller() -> None:
    arrival = identify(load("recorded/alb.json"), context_of(inject_client_context(None, SECOND)))
    assert arrival.name == "alb"
    assert [(record.context, record.carrier) for record in arrival.records] == [(SECOND, "client_context")]


def test_a_batch_keeps_its_producers_whoever_called() -> None:
    arrival = identify(load("recorded/sqs.json"), context_of(inject_client_context(None, SECOND)))
    assert [record.context for record in arrival.records] == [PRODUCER, SECOND]


def test_an_event_of_no_known_shape_may_carry_headers_or_the_reserved_key() -> None:
    assert identify({"headers": {"Traceparent": format_traceparent(SECOND)}}).records[0].context == SECOND
    detail = json.loads(to_bus.inject_entry({"Detail": "{}"}, PRODUCER, 1)["Detail"])
    assert identify(detail).records[0].context == PRODUCER
    assert identify({"headers": {}, "a": 1}).records == []


def test_a_plain_event_is_other_and_has_no_records() -> None:
    for event in ({}, None, [], "x", 7, {"Records": None}, {"Records": []}, {"headers": None}):
        arrival = identify(event)
        assert (arrival.name, arrival.records, arrival.span_name) == ("other", [], None)


# --- times


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2026-09-21T14:13:20Z", NOON_MS),
        ("2026-09-21T14:13:20.250Z", NOON_MS + 250),
        ("2026-09-21T14:13:20.250000Z", NOON_MS + 250),
        ("2024-02-29T23:59:59Z", 1_709_251_199_000),
        ("2024-03-01T00:00:00Z", 1_709_251_200_000),
        ("2000-01-01T00:00:00Z", None),
        ("1970-01-01T00:00:00.000Z", None),
        ("9999-12-31T23:59:59Z", None),
        ("2026-13-21T14:13:20Z", None),
        ("2026-09-21 14:13:20Z", None),
        ("2026-09-21T14:13:20+02:00", None),
        ("2026-09-21T14:13:2xZ", None),
        ("", None),
        ("٢٠٢٦-09-21T14:13:20Z", None),
    ],
)
def test_times_are_read_as_aws_writes_them(text: str, milliseconds: int | None) -> None:
    assert from_iso(text) == (None if milliseconds is None else milliseconds * MS)


@pytest.mark.parametrize("value", [None, 0, -1, 1, 1_790_000_000, 2**62, 1e300])
def test_a_number_that_is_no_time_is_none(value: float | None) -> None:
    assert from_ms(value) is None


def test_hops_out_of_order_are_drawn_without_length_not_backwards() -> None:
    hops = chain([Hop("a", "x", 500), None, Hop("b", "x", 300), Hop("c", "x", 400)])
    assert [(hop.name, hop.start_ns, hop.end_ns) for hop in hops] == [
        ("a", 300, 300),
        ("b", 300, 400),
        ("c", 400, None),
    ]
    assert hops[-1].times(350) == (350, 350)
    assert hops[1].times(350) == (300, 350)
    assert hops[1].times(1000) == (300, 400)


def test_only_the_trigger_that_fits_is_imported() -> None:
    """A cold start does not pay for the others."""
    import subprocess
    import sys

    code = (
        "import json,sys; from hoptrace.triggers import identify;"
        "identify(json.load(sys.stdin), None); print(*[name for name in sys.modules if name.startswith('hoptrace')])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], input="{}", capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert not {f"hoptrace.triggers.{module}" for _, _, module in TRIGGERS} & set(loaded)
    assert "hoptrace.carriers" not in loaded


def test_nothing_is_imported_that_the_runtime_client_has_not_loaded() -> None:
    import subprocess
    import sys

    code = (
        "import sys, json, awslambdaric.bootstrap; before = set(sys.modules)\n"
        "from hoptrace.triggers import TRIGGERS, identify; import hoptrace.carriers\n"
        "from hoptrace.lineage import lay_out; from hoptrace.settings import settings\n"
        "for event in json.load(sys.stdin): lay_out(identify(event), 'f', 1, 'r', None, settings())\n"
        "print(*sorted(name for name in set(sys.modules) - before if not name.startswith('hoptrace')))"
    )
    events = json.dumps([load(file) for file in EXPECTED])
    loaded = subprocess.run(
        [sys.executable, "-c", code], input=events, capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    # What makes one span current needs a context variable, which costs a third of a millisecond; base64 and compressed
    # logs need what decodes them, in C.
    # What has no context is met at a digest, which is not worth loading OpenSSL for.
    assert set(loaded) <= {"contextvars", "_contextvars", "binascii", "zlib", "_sha2", "_sha256"}
