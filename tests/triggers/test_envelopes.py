"""Envelopes: what wraps what is found at any sensible depth, and no text makes the function wait."""

import copy
import json
import random
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from golden import EXPECTED, load
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scenarios import PRODUCER, SECOND

from hoptrace.lineage import lay_out
from hoptrace.pointers import derive
from hoptrace.settings import Settings
from hoptrace.spans.context import SpanContext, format_traceparent
from hoptrace.triggers import Record, identify
from hoptrace.triggers.envelopes import UNREAD

NOON_MS = 1_790_000_000_000
FUNCTION = "arn:aws:lambda:eu-west-1:1:function:worker:$LATEST"
EXECUTION = "arn:aws:states:eu-west-1:1:execution:orders:e-1"


def iso(ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms / 1000)) + f".{ms % 1000:03}Z"


def detail(context: SpanContext | None = PRODUCER, **more: Any) -> dict[str, Any]:
    return {"order": 1, **more, **({"_hoptrace": carried(context)} if context is not None else {})}


def carried(context: SpanContext) -> dict[str, str]:
    texts = {"traceparent": format_traceparent(context), "tracestate": context.trace_state}
    return {name: text for name, text in texts.items() if text}


def message(body: str, at: int = NOON_MS, attributes: dict[str, str] | None = None, **system: str) -> dict[str, Any]:
    return {
        "messageId": "m-1",
        "body": body,
        "attributes": {"SentTimestamp": str(at), "ApproximateReceiveCount": "1", **system},
        "messageAttributes": {
            name: {"stringValue": value, "dataType": "String"} for name, value in (attributes or {}).items()
        },
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:1:orders",
    }


def sqs(*messages: dict[str, Any]) -> dict[str, Any]:
    return {"Records": list(messages)}


def context_object(at: int = NOON_MS, given: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "Execution": {"Id": EXECUTION, "Input": {} if given is None else given, "StartTime": iso(at), "Name": "e-1"},
        "State": {"EnteredTime": iso(at + 10), "Name": "Charge", "RetryCount": 0},
        "StateMachine": {"Id": "arn:aws:states:eu-west-1:1:stateMachine:orders", "Name": "orders"},
        "Task": {"Token": "a secret"},
        **more,
    }


def only(event: Any) -> Record:
    (record,) = identify(event).records
    return record


# --- what can be around something: each takes a document, and gives one that has it inside


def in_notification(inner: Any, at: int) -> Any:
    arn = "arn:aws:sns:eu-west-1:1:news"
    stamp = iso(at)
    return {"Type": "Notification", "MessageId": "n", "TopicArn": arn, "Message": json.dumps(inner), "Timestamp": stamp}


def in_event(inner: Any, at: int) -> Any:
    return {"version": "0", "id": "e", "detail-type": "D", "source": "s", "time": iso(at), "detail": inner}


def in_destination(inner: Any, at: int) -> Any:
    asked = {"requestId": "r-1", "functionArn": FUNCTION, "condition": "RetriesExhausted", "approximateInvokeCount": 3}
    return {"version": "1.0", "timestamp": iso(at), "requestContext": asked, "requestPayload": inner}


def in_execution(inner: Any, at: int) -> Any:
    return {"context": context_object(at, inner)}


def in_pipe(inner: Any, at: int) -> Any:
    return [message(json.dumps(inner), at)]


AROUND: dict[str, tuple[Callable[[Any, int], Any], list[str]]] = {
    "notification": (in_notification, ["aws.sns"]),
    "event": (in_event, ["aws.eventbridge"]),
    "destination": (in_destination, ["aws.lambda"]),
    "execution": (in_execution, ["aws.step_functions", "aws.step_functions"]),
    "pipe": (in_pipe, ["aws_sqs"]),
}


@given(st.lists(st.sampled_from(sorted(AROUND)), max_size=6))
@settings(max_examples=300, deadline=None)
def test_whatever_wraps_whatever_the_producer_and_the_way_are_found(kinds: list[str]) -> None:
    """Six around one another, in a queue; what a failed function was woken by was drawn by that function."""
    inner: Any = detail()
    systems: list[str] = []
    for step, kind in enumerate(kinds):
        around, hops = AROUND[kind]
        # A detail is always an object.
        assume(kind != "event" or isinstance(inner, dict))
        inner = around(inner, NOON_MS + 1_000 * step + 1)
        systems = hops if kind == "destination" else [*systems, *hops]
    event = sqs(message(json.dumps(inner), NOON_MS + 60_000))
    before = copy.deepcopy(event)
    record = only(event)
    assert record.context == PRODUCER
    assert [hop.system for hop in record.hops] == [*systems, "aws_sqs"]
    assert all(one.end_ns == other.start_ns for one, other in zip(record.hops, record.hops[1:], strict=False))
    assert all(one.start_ns <= other.start_ns for one, other in zip(record.hops, record.hops[1:], strict=False))
    assert UNREAD not in record.attributes
    assert event == before


def test_what_is_nested_deeper_than_anybody_nests_stays_closed_and_says_so() -> None:
    inner: Any = detail()
    for step in range(9):
        inner = in_destination(inner, NOON_MS + step)
    record = only(sqs(message(json.dumps(inner))))
    assert record.context is None
    assert record.attributes[UNREAD] is True
    assert record.attributes["hoptrace.origin.invocation_id"] == "r-1"


def test_what_is_too_large_stays_closed_and_says_so() -> None:
    large = sqs(message(json.dumps(in_event(detail(fill="x" * 2_200_000), NOON_MS))))
    assert only(large).attributes[UNREAD] is True
    assert only(large).context is None


def test_a_users_own_text_is_not_said_to_be_unread() -> None:
    assert UNREAD not in only(sqs(message(json.dumps({"order": "x" * 3_000_000})))).attributes


def test_a_batch_of_one_trace_in_a_message_has_one_producer_and_one_of_several_has_links() -> None:
    mine, also = carried(PRODUCER), carried(SECOND)
    same = only(in_destination(sqs(message("a", attributes=mine), message("b", attributes=mine)), NOON_MS))
    assert (same.context, same.links) == (PRODUCER, [])
    several = only(in_destination(sqs(message("a", attributes=mine), message("b", attributes=also)), NOON_MS))
    assert several.context is None
    assert [context for context, _ in several.links] == [PRODUCER, SECOND]


def test_a_batch_that_was_sent_on_as_it_was_has_its_producer_and_nothing_of_its_way() -> None:
    record = only(sqs(message(json.dumps(sqs(message("x" * 10_000, attributes=carried(PRODUCER)))), NOON_MS + 5_000)))
    assert record.context == PRODUCER
    assert [(hop.name, hop.start_ns // 10**6 - NOON_MS) for hop in record.hops] == [("SQS orders", 5_000)]


def test_a_message_without_a_producer_in_a_message_leaves_its_pointer() -> None:
    (record,) = identify(in_destination(sqs(message("a")), NOON_MS)).records
    assert record.pointers == [("aws_sqs", "m-1")]


def test_what_another_function_was_called_with_says_nothing_of_this_one_but_the_producer() -> None:
    inner = load("recorded/function_url.json")
    record = only(in_destination(inner, NOON_MS))
    assert record.context == PRODUCER
    assert [hop.name for hop in record.hops] == ["Lambda destination of worker"]
    assert not [key for key in record.attributes if key.startswith(("http.", "url.", "user_agent"))]


# --- destinations and dead letters


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


# --- pipes


@pytest.mark.parametrize("file", ["sqs", "kinesis", "dynamodb"])
def test_a_pipes_record_is_read_as_its_sources_own(file: str) -> None:
    event = load(f"recorded/{file}.json")
    bare = [{**record, **record.pop("kinesis", {})} for record in copy.deepcopy(event["Records"])]
    piped, own = identify(bare), identify(event)
    assert (piped.name, piped.partial_failures) == ("pipes", own.partial_failures)
    assert piped.ordered == own.ordered
    assert [
        (one.context, one.item_id, one.pointers, [(hop.name, hop.start_ns) for hop in one.hops], one.attributes)
        for one in piped.records
    ] == [
        (one.context, one.item_id, one.pointers, [(hop.name, hop.start_ns) for hop in one.hops], one.attributes)
        for one in own.records
    ]


def test_an_array_that_a_pipe_enriched_keeps_each_members_own_context() -> None:
    members = [detail(PRODUCER), {"order": 2}, in_event(detail(SECOND), NOON_MS)]
    arrival = identify(members)
    assert arrival.name == "pipes"
    assert [record.context for record in arrival.records] == [PRODUCER, None, SECOND]
    assert not arrival.partial_failures


@pytest.mark.parametrize("event", [[], [1], [None], [[]], [{}], ["x"], [{"order": 1}]])
def test_any_other_array_is_nobodys(event: Any) -> None:
    assert identify(event).name == "other"


def test_a_rabbitmq_record_of_a_pipe_names_its_queue() -> None:
    assert identify(load("documented/pipes_rabbitmq.json")).attributes["messaging.destination.name"] == "pizzaQueue"


# --- Step Functions


def test_all_functions_of_an_execution_meet_without_any_context() -> None:
    """Siblings in a trace that the execution's ARN names; who started it links to the same."""
    events = [context_object(), {"any": context_object(State={"Name": "Ship", "EnteredTime": iso(NOON_MS)})}]
    records = [only(event) for event in events]
    meeting = derive(("aws.states", EXECUTION))
    knobs = Settings({})
    own_roots = ("1" * 32, "2" * 32)
    for event, record, root in zip(events, records, own_roots, strict=True):
        assert (record.context, record.root) == (None, meeting.trace_id)
        laid = lay_out(identify(event), "f", NOON_MS * 10**6, "r", root, knobs)
        assert laid.invocation.context.trace_id == meeting.trace_id
        assert [(link.context.trace_id, link.context.span_id) for link in laid.invocation.links] == [
            (meeting.trace_id, meeting.span_id)
        ]


def test_branches_are_siblings_never_children_of_one_another() -> None:
    given = detail()
    given["_hoptrace"]["via"] = "states"
    branches = [
        {"input": given, "context": context_object(given=given, State={"Name": name, "EnteredTime": iso(NOON_MS)})}
        for name in ("Charge", "Reserve")
    ]
    first, second = (lay_out(identify(event), "f", NOON_MS * 10**6, "r", None, Settings({})) for event in branches)
    assert first.invocation.context.trace_id == second.invocation.context.trace_id == PRODUCER.trace_id
    assert first.hops[0].parent_id == second.hops[0].parent_id == PRODUCER.span_id
    of_first = {span.context.span_id for span in (first.invocation, *first.hops)}
    assert not of_first & {span.parent_id for span in (second.invocation, *second.hops)}


def test_the_time_in_a_state_machine_and_in_its_state_are_two_hops() -> None:
    record = only(context_object())
    assert [(hop.name, hop.start_ns // 10**6 - NOON_MS) for hop in record.hops] == [
        ("Step Functions orders", 0),
        ("orders Charge", 10),
    ]


def test_retries_redrives_and_the_item_of_a_map_are_told_and_the_token_never() -> None:
    event = context_object(Map={"Item": {"Index": 4, "Value": "x"}})
    event["State"]["RetryCount"] = 2
    event["Execution"]["RedriveCount"] = 1
    attributes = identify(event).attributes
    assert attributes["aws.step_functions.state.retry_count"] == 2
    assert attributes["aws.step_functions.execution.redrive_count"] == 1
    assert attributes["aws.step_functions.map.index"] == 4
    assert "a secret" not in str(attributes)


def test_an_item_of_a_map_over_messages_has_its_own_producer() -> None:
    messages = [message(json.dumps(detail(one))) for one in (PRODUCER, SECOND)]
    whole = only(context_object(given=messages))
    assert [context for context, _ in whole.links] == [PRODUCER, SECOND]
    item = only(context_object(given=messages, Map={"Item": {"Index": 1, "Value": messages[1]}}))
    assert item.context == SECOND


def test_an_execution_that_another_started_points_at_that_one_too() -> None:
    parent = EXECUTION.replace("orders", "parent")
    record = only(context_object(given={"AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": parent}))
    assert record.pointers == [("aws.states", EXECUTION), ("aws.states", parent)]


def test_what_branches_of_several_traces_come_to_is_linked_to_all() -> None:
    branches = [detail(PRODUCER), detail(SECOND)]
    for branch in branches:
        branch["_hoptrace"]["via"] = "states"
    record = only(branches)
    assert record.context is None
    assert [context for context, _ in record.links] == [PRODUCER, SECOND]


def test_an_object_that_only_looks_a_little_like_the_context_object_is_not_one() -> None:
    for event in (
        {"Execution": {"Id": "x"}, "StateMachine": {}},
        {"Execution": {"Id": EXECUTION}},
        {"StateMachine": 1},
    ):
        assert identify(event).name == "other"


# --- never slow, never raising, never changing


def hostile(kind: str) -> str:
    """2 MiB of text, each made to cost in its own way."""
    size = 2 * 1024 * 1024
    if kind == "objects":
        inner: Any = {"fill": "y" * 100}
        for step in range(40):
            inner = in_destination(inner, NOON_MS + step)
        return json.dumps(in_event({"many": [inner] * (size // len(json.dumps(inner)) - 2)}, NOON_MS))
    if kind == "texts":
        # Each level doubles the escapes of the one inside.
        inner = {"fill": '"' * 15_000}
        for step in range(6):
            inner = in_notification(inner, NOON_MS + step)
        return json.dumps(inner)
    if kind == "tells":
        words = '"detail-type" "TopicArn" "Records" "_hoptrace" "StateMachine" '
        return json.dumps({"Records": words * (size // (len(words) + 14))})
    if kind in ("records", "pipe", "objects of a bucket"):
        one = load("recorded/s3.json")["Records"][0] if kind == "objects of a bucket" else message("{}")
        many = [one] * (size // (len(json.dumps(one)) + 2) - 10)
        return json.dumps(many if kind == "pipe" else {"Records": many})
    if kind == "wide":
        return json.dumps({"Execution": 1, "StateMachine": 2, **{f"k{index}": {} for index in range(size // 16)}})
    return json.dumps({"detail-type": "d", "source": "s", "detail": {"_hoptrace": {}, "fill": "x" * (size - 200)}})


@pytest.mark.parametrize(
    "kind", ["objects", "texts", "tells", "records", "pipe", "objects of a bucket", "wide", "fill"]
)
def test_two_megabytes_of_hostile_nesting_cost_no_more_than_parsing_them_a_few_times(kind: str) -> None:
    text = hostile(kind)
    assert len(text) > 200_000
    event = sqs(message(text))

    def took(call: Callable[[], Any]) -> float:
        begun = time.process_time()
        call()
        return time.process_time() - begun

    parse = min(took(lambda: json.loads(text)) for _ in range(5))
    read = min(took(lambda: identify(event)) for _ in range(5))
    # As it is parsed once, what is beyond that is what our reading adds.
    assert read < 3 * parse + 0.01, (kind, read, parse)


@given(st.randoms(use_true_random=False), st.sampled_from(sorted(EXPECTED)), st.integers(1, 10))
@settings(max_examples=150, deadline=None)
def test_any_golden_event_nested_at_random_is_read_without_a_change(
    chance: random.Random, file: str, depth: int
) -> None:
    inner = load(file)
    for step in range(depth):
        inner = AROUND[chance.choice(sorted(AROUND))][0](inner, NOON_MS + step)
    event = sqs(message(json.dumps(inner)))
    before = copy.deepcopy(event)
    arrival = identify(event, SimpleNamespace(client_context=None))
    assert arrival.name == "sqs"
    assert event == before
    assert all(hop.end_ns is None or hop.start_ns <= hop.end_ns for hop in arrival.records[0].hops)
