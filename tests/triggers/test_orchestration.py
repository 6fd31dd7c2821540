"""Pipes and state machines: each record as its source's own, each state's function in its execution's trace."""

import copy
import json
from typing import Any

import pytest
from golden import load
from scenarios import PRODUCER, SECOND
from wrapping import EXECUTION, NOON_MS, context_object, detail, in_event, iso, message, only

from hoptrace.lineage import lay_out
from hoptrace.pointers import derive
from hoptrace.settings import Settings
from hoptrace.triggers import identify

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
    assert attributes["hoptrace.step_functions.retry_count"] == 2
    assert attributes["hoptrace.step_functions.redrive_count"] == 1
    assert attributes["hoptrace.step_functions.map_index"] == 4
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
