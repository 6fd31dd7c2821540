"""What came of another function or of another queue: whose end it was, and who began it."""

import json

import pytest
from golden import load
from scenarios import PRODUCER
from wrapping import FUNCTION, NOON_MS, carried, detail, in_destination, in_event, message, only, sqs

from hoptrace.lineage import lay_out
from hoptrace.settings import Settings
from hoptrace.triggers import identify


@pytest.mark.parametrize("source", ["lambda", "aws.lambda"])
def test_a_destination_on_a_bus_says_whose_end_it_is(source: str) -> None:
    event = in_event(in_destination(detail(), NOON_MS), NOON_MS + 1_000)
    event |= {"source": source, "detail-type": "Lambda Function Invocation Result - Failure"}
    arrival = identify(event)
    assert arrival.records[0].context == PRODUCER
    assert arrival.attributes["hoptrace.origin.function_arn"] == FUNCTION
    assert arrival.attributes["hoptrace.origin.condition"] == "RetriesExhausted"
    assert arrival.attributes["hoptrace.origin.invoke_count"] == 3


def test_a_function_and_what_came_of_it_are_in_one_trace() -> None:
    """Both without a context: the trace header that Lambda hands on is what both join."""
    root = "5759e988bd862e3fe1be46a994272793"
    payload = {"plain": True}
    knobs = Settings({})
    first = lay_out(identify(payload), "worker", NOON_MS * 10**6, "r-1", root, knobs)
    then = lay_out(identify(in_destination(payload, NOON_MS)), "told", NOON_MS * 10**6, "r-2", root, knobs)
    assert first.invocation.context.trace_id == then.invocation.context.trace_id == root
    event = sqs(message("x", attributes=carried(PRODUCER)))
    first = lay_out(identify(event), "worker", NOON_MS * 10**6, "r-1", root, knobs)
    then = lay_out(identify(in_destination(event, NOON_MS)), "told", NOON_MS * 10**6, "r-2", root, knobs)
    assert first.invocation.context.trace_id == then.invocation.context.trace_id == PRODUCER.trace_id


def test_a_stream_batch_that_was_given_up_has_no_payload_and_is_a_destination_all_the_same() -> None:
    event = in_destination(None, NOON_MS) | {"KinesisBatchInfo": {"shardId": "shardId-0", "batchSize": 10}}
    del event["requestPayload"]
    arrival = identify(event)
    assert (arrival.name, arrival.records[0].context) == ("destination", None)


@pytest.mark.parametrize("body", ["", "plain", "7", "[]", '{"order": 1}', '{"Records": []}'])
def test_a_dead_letter_of_any_event_says_whose_it_is(body: str) -> None:
    attributes = {"RequestID": "r-1", "ErrorCode": "200", "ErrorMessage": "no " * 1_000}
    record = only(sqs(message(body, attributes=attributes)))
    assert record.attributes["hoptrace.origin.invocation_id"] == "r-1"
    assert record.attributes["hoptrace.origin.error_code"] == 200
    assert len(str(record.attributes["hoptrace.origin.error_message"])) == 1_024
    assert [hop.system for hop in record.hops] == ["aws_sqs"]


def test_a_dead_letter_of_a_plain_event_has_that_events_producer() -> None:
    """Text that shows no sign of an envelope is opened too, since the attributes say what it is."""
    body = json.dumps({"headers": carried(PRODUCER), "requestContext": {"elb": {}}})
    assert only(sqs(message(body, attributes={"RequestID": "r", "ErrorCode": "200"}))).context == PRODUCER


def test_an_event_that_a_rule_could_not_deliver_keeps_its_way_and_says_what_went_wrong() -> None:
    attributes = {
        "RULE_ARN": "arn:aws:events:eu-west-1:1:rule/orders",
        "TARGET_ARN": FUNCTION,
        "ERROR_CODE": "NO_PERMISSIONS",
        "ERROR_MESSAGE": "not authorized",
    }
    record = only(sqs(message(json.dumps(in_event(detail(), NOON_MS)), NOON_MS + 5_000, attributes)))
    assert record.context == PRODUCER
    assert [hop.system for hop in record.hops] == ["aws.eventbridge", "aws_sqs"]
    assert record.attributes["hoptrace.eventbridge.rule"] == "orders"
    assert record.attributes["hoptrace.origin.target_arn"] == FUNCTION
    assert record.attributes["hoptrace.origin.error_code"] == "NO_PERMISSIONS"


def test_a_dead_letter_queue_says_which_queue_gave_up_and_draws_both() -> None:
    event = load("recorded/sqs_dead_letter.json")
    record = only(event)
    assert record.attributes["hoptrace.sqs.dead_letter_source"] == "arn:aws:sqs:us-east-1:000000000000:tries-once"
    assert "hoptrace.sqs.redriven" not in record.attributes
    assert [hop.name for hop in record.hops] == ["SQS tries-once", "SQS gave-up"]
    assert record.hops[0].attributes["messaging.destination.name"] == "tries-once"


def test_a_message_that_was_moved_back_says_so_and_still_points_at_its_producer() -> None:
    event = load("recorded/sqs_dead_letter.json")
    # As StartMessageMoveTask leaves it in the queue that it was given up in.
    event["Records"][0]["eventSourceARN"] = event["Records"][0]["attributes"]["DeadLetterQueueSourceArn"]
    record = only(event)
    assert record.attributes["hoptrace.sqs.redriven"] is True
    assert record.context == PRODUCER


def test_a_replayed_event_in_a_queue_has_no_hop_of_its_first_life() -> None:
    record = only(sqs(message(json.dumps(in_event(detail(), NOON_MS) | {"replay-name": "again"}))))
    assert [hop.system for hop in record.hops] == ["aws_sqs"]
    assert record.attributes["hoptrace.eventbridge.replay"] == "again"


def test_what_s3_sends_to_try_a_queue_is_nobodys_and_names_the_bucket() -> None:
    record = only(load("recorded/s3_test_event_in_sqs.json"))
    assert record.attributes["aws.s3.bucket"] == "tested"
    assert record.attributes["hoptrace.s3.event"] == "s3:TestEvent"


@pytest.mark.parametrize("file", ["s3_in_sqs", "s3_in_sns_in_sqs", "s3_in_eventbridge", "s3_in_eventbridge_in_sqs"])
def test_an_object_points_at_who_wrote_it_however_it_came(file: str) -> None:
    record = only(load(f"recorded/{file}.json"))
    ((kind, _request),) = record.pointers
    assert kind == "aws.s3"
    assert record.attributes["aws.s3.key"] == "in/an order.json"
