"""The front doors: who called through a connection, past an authorizer, by a schedule, and what is never recorded."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from golden import load
from scenarios import PRODUCER, SECOND
from scenarios_fronts import AUTHORIZER

from hoptrace.carriers.authorizer import inject_answer
from hoptrace.spans.context import format_traceparent
from hoptrace.testing import LambdaContext, recorder
from hoptrace.triggers import Arrival, identify, websocket
from tests.support.functions import function

MS = 1_000_000


@pytest.fixture(autouse=True)
def strangers() -> Iterator[None]:
    """An environment that has seen no connection being opened."""
    websocket._connections.clear()
    yield
    websocket._connections.clear()


def recorded(arrival: Arrival) -> str:
    """Everything that an arrival would put into spans, as text."""
    return json.dumps(
        [
            arrival.span_name,
            arrival.attributes,
            [[record.name, record.attributes, [hop.attributes for hop in record.hops]] for record in arrival.records],
        ]
    )


# --- WebSocket


def on_connection(file: str, connection: str, **more: Any) -> Any:
    event = load(file)
    event["requestContext"]["connectionId"] = connection
    return {**event, **more}


def opened(connection: str) -> Arrival:
    return identify(on_connection("recorded/websocket_connect.json", connection))


def said(connection: str, body: str = "hello") -> Arrival:
    return identify(on_connection("recorded/websocket_plain_message.json", connection, body=body))


def closed(connection: str) -> Arrival:
    return identify(on_connection("recorded/websocket_disconnect.json", connection))


def test_who_opened_a_connection_is_the_producer_of_what_is_said_on_it() -> None:
    assert opened("c-1").records[0].context == PRODUCER
    (record,) = said("c-1").records
    assert (record.context, record.carrier) == (PRODUCER, "connection")
    (record,) = closed("c-1").records
    assert (record.context, record.carrier) == (PRODUCER, "connection")


def test_a_connection_is_forgotten_when_it_ends_and_nobody_elses_with_it() -> None:
    opened("c-1")
    opened("c-2")
    closed("c-1")
    assert said("c-1").records[0].context is None
    assert said("c-2").records[0].context == PRODUCER


def test_a_thousand_connections_are_remembered_and_then_the_newest() -> None:
    for number in range(1_001):
        opened(f"c-{number}")
    assert said("c-0").records[0].context is None
    assert said("c-1").records[0].context == PRODUCER
    opened("c-1")  # is no new one, but the newest again
    opened("c-1001")
    assert said("c-1").records[0].context == PRODUCER
    assert said("c-2").records[0].context is None
    assert len(websocket._connections) == 1_000


@pytest.mark.parametrize(
    "body",
    [
        {"traceparent": format_traceparent(SECOND), "action": "order"},
        {"_hoptrace": {"traceparent": format_traceparent(SECOND), "sent": 1}},
    ],
)
def test_a_message_that_names_its_own_producer_has_that_one(body: Any) -> None:
    opened("c-1")
    (record,) = said("c-1", json.dumps(body)).records
    assert (record.context, record.carrier) == (SECOND, "traceparent")


DEEPER = json.dumps({"a": {"traceparent": format_traceparent(SECOND)}})


@pytest.mark.parametrize("body", ['"traceparent"', '{"traceparent": "x"}', DEEPER, '{"traceparent":', "["])
def test_a_message_that_only_looks_like_one_has_the_connections(body: str) -> None:
    opened("c-1")
    assert said("c-1", body).records[0].context == PRODUCER


def test_all_events_of_a_connection_meet_at_its_id_where_nobody_remembers() -> None:
    links = []
    for file in ("websocket_connect", "websocket_plain_message", "websocket_disconnect"):
        with recorder() as traced:
            run(traced, on_connection(f"recorded/{file}.json", "c-9"))
            (span,) = [span for span in traced.ended() if span["kind"] == 2]
            links.append({(link["trace_id"], link["span_id"]) for link in span["links"]})
        websocket._connections.clear()
    assert links[0] == links[1] == links[2]
    assert len(links[0]) == 1


def test_what_is_said_on_a_connection_is_not_recorded() -> None:
    arrival = said("c-1", '{"secret": "s3cret"}')
    assert "s3cret" not in recorded(arrival)
    assert "secret" not in recorded(opened("c-1"))


def test_the_way_of_a_message_begins_when_the_gateway_had_it() -> None:
    event = load("recorded/websocket_message.json")
    (hop,) = identify(event).records[0].hops
    assert (hop.name, hop.system) == ("API Gateway order", "aws.apigateway")
    assert hop.start_ns == event["requestContext"]["requestTimeEpoch"] * MS


# --- authorizers


def run(traced: Any, event: Any, answer: Any = None, **context: Any) -> Any:
    import hoptrace

    def handler(_event: Any, _context: Any) -> Any:
        return answer

    return hoptrace.trace(handler)(event, LambdaContext(**context))


def links_of(traced: Any) -> "set[tuple[str, str]]":
    (span,) = [span for span in traced.ended() if span["kind"] == 2]
    return {(link["trace_id"], link["span_id"]) for link in span.get("links", [])}


def without_context(event: Any) -> Any:
    event = copy.deepcopy(event)
    for headers in (event.get("headers"), event.get("multiValueHeaders")):
        if headers:
            headers.pop("traceparent", None)
            headers.pop("tracestate", None)
    request = event["requestContext"]
    if "authorizer" in request:
        (request["authorizer"].get("lambda") or request["authorizer"]).pop("traceparent", None)
    return event


@pytest.mark.parametrize(
    ("asked", "behind"),
    [
        ("documented/authorizer_http_v2.json", "recorded/api_gateway_http_authorized.json"),
        ("sam/apigateway-request-authorizer.json", "recorded/api_gateway_rest_authorized.json"),
        ("recorded/authorizer_websocket.json", "recorded/websocket_authorized.json"),
    ],
)
def test_an_authorizer_and_the_function_behind_it_meet_at_the_request(asked: str, behind: str) -> None:
    """As API Gateway has it: one request, one id, for both."""
    first, second = without_context(load(asked)), without_context(load(behind))
    first["requestContext"]["requestId"] = second["requestContext"]["requestId"] = "r-1"
    with recorder() as traced:
        run(traced, first)
        one = links_of(traced)
    with recorder() as traced:
        run(traced, second)
        other = links_of(traced)
    assert one & other
    first["requestContext"]["requestId"] = "r-2"
    with recorder() as traced:
        run(traced, first)
        assert not links_of(traced) & other


@pytest.mark.parametrize(
    "authorizer",
    [
        {"jwt": {"claims": {"sub": "x"}, "scopes": None}},
        {"iam": {"accountId": "1"}},
        {"claims": {"sub": "x"}},
        {"claims": None, "scopes": None},
        {},
        None,
        "x",
    ],
)
def test_where_no_function_decided_nothing_is_linked_to(authorizer: Any) -> None:
    for file in ("recorded/api_gateway_http_authorized.json", "recorded/api_gateway_rest_authorized.json"):
        event = load(file)
        event["requestContext"]["authorizer"] = authorizer
        (record,) = identify(event).records
        assert (record.pointers, record.links) == ([], [])


@pytest.mark.parametrize("authorizer", [{"lambda": None}, {"lambda": {}}])
def test_an_authorizer_that_said_no_more_than_yes_is_one_too(authorizer: Any) -> None:
    event = load("recorded/api_gateway_http_authorized.json")
    event["requestContext"]["authorizer"] = authorizer
    (record,) = identify(event).records
    assert record.pointers == [("aws.apigateway", event["requestContext"]["requestId"])]


@pytest.mark.parametrize("file", ["api_gateway_http_authorized", "api_gateway_rest_authorized", "websocket_authorized"])
def test_an_authorizers_span_is_linked_to_and_never_the_parent(file: str) -> None:
    """API Gateway keeps answers, so it may have been asked for another request, long ago."""
    (record,) = identify(load(f"recorded/{file}.json")).records
    assert record.context == PRODUCER
    assert record.links == [(AUTHORIZER, {"hoptrace.link": "authorizer"})]


def test_a_message_is_linked_to_who_let_its_connection_pass_but_not_to_that_request() -> None:
    event = on_connection("recorded/websocket_plain_message.json", "c-1")
    event["requestContext"]["authorizer"] = {"principalId": "me", "traceparent": format_traceparent(AUTHORIZER)}
    (record,) = identify(event).records
    assert record.links == [(AUTHORIZER, {"hoptrace.link": "authorizer"})]
    assert record.pointers == [("aws.apigateway", "c-1")]


POLICY = {"principalId": "me", "policyDocument": {"Version": "2012-10-17", "Statement": []}, "context": {"tenant": "a"}}
ASKED = "documented/authorizer_http_v2.json"


def test_an_authorizers_answer_is_the_very_object_unless_that_is_switched_on() -> None:
    for environ in ({}, {"HOPTRACE_INJECT_ENABLED": "kinesis"}):
        with recorder(environ) as traced:
            assert run(traced, load(ASKED), POLICY) is POLICY


@pytest.mark.parametrize("answer", [POLICY, {"isAuthorized": True}, {"isAuthorized": True, "context": None}])
def test_an_authorizers_answer_carries_its_span_in_a_copy_where_that_is_switched_on(answer: Any) -> None:
    before = copy.deepcopy(answer)
    with recorder({"HOPTRACE_INJECT_ENABLED": "authorizer"}) as traced:
        given = run(traced, load(ASKED), answer)
        (span,) = [span for span in traced.ended() if span["kind"] == 2]
    assert answer == before
    ours = given["context"].pop("traceparent")
    assert ours == f"00-{span['trace_id']}-{span['span_id']}-01"
    assert given == {**before, "context": before.get("context") or {}}
    json.dumps(given)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "allow",
        {"isAuthorized": False},
        {"isAuthorized": "true"},
        {"statusCode": 200},
        {"isAuthorized": True, "context": []},
        {"isAuthorized": True, "context": {"traceparent": "theirs"}},
    ],
)
def test_any_other_answer_of_an_authorizer_is_the_very_object(answer: Any) -> None:
    with recorder({"HOPTRACE_INJECT_ENABLED": "authorizer"}) as traced:
        assert run(traced, load(ASKED), answer) is answer


def test_no_other_functions_answer_is_touched() -> None:
    answer = dict(POLICY)
    with recorder({"HOPTRACE_INJECT_ENABLED": "authorizer"}) as traced:
        assert run(traced, load("recorded/api_gateway_http.json"), answer) is answer


def test_a_callers_baggage_does_not_reach_other_callers_by_way_of_a_kept_answer() -> None:
    context = copy.copy(PRODUCER)
    context.baggage = "user=jane"
    given = inject_answer({"isAuthorized": True}, context)
    assert given["context"] == {"traceparent": format_traceparent(PRODUCER), "tracestate": "vendor=1"}
    assert all(type(value) is str for value in given["context"].values())


@pytest.mark.parametrize("file", ["authorizer_rest_token", "authorizer_rest_request", "authorizer_http"])
def test_neither_token_nor_identity_is_recorded(file: str) -> None:
    event = load(f"recorded/{file}.json")
    assert "secret" in json.dumps(event)
    assert "secret" not in recorded(identify(event))


def test_an_authorizers_decision_is_no_http_response() -> None:
    arrival = identify(load("recorded/authorizer_http.json"))
    assert not arrival.is_http
    assert arrival.span_name is None
    assert arrival.attributes["http.route"] == "/users/{id}"


def test_in_lambda_an_authorizers_answer_has_its_span_and_a_connection_is_known_again(tmp_path: Path) -> None:
    app = "def handler(event, context):\n    return {'isAuthorized': True, 'context': {'tenant': 'a'}}\n"
    with function(tmp_path, app, environment={"HOPTRACE_INJECT_ENABLED": "authorizer"}) as desk:
        given = desk.invoke(load(ASKED))
        behind = desk.invoke(load("recorded/api_gateway_http.json"))
        desk.invoke(on_connection("recorded/websocket_connect.json", "c-1"))
        desk.invoke(on_connection("recorded/websocket_plain_message.json", "c-1"))
        asked, _, connect, message = [span for span in desk.spans() if span["kind"] == 2]
        hops = {span["span_id"]: span for span in desk.spans() if span["attributes"].get("hoptrace.hop")}
    assert given["context"] == {"tenant": "a", "traceparent": f"00-{asked['trace_id']}-{asked['span_id']}-01"}
    assert behind == {"isAuthorized": True, "context": {"tenant": "a"}}
    for span in (connect, message):
        assert span["trace_id"] == PRODUCER.trace_id
        assert hops[span["parent_id"]]["parent_id"] == PRODUCER.span_id


# --- AppSync


def test_a_field_is_described_without_what_its_user_asked() -> None:
    arrival = identify(load("sam/appsync-resolver.json"))
    assert arrival.attributes["graphql.operation.type"] == "mutation"
    assert arrival.attributes["hoptrace.graphql.field"] == "createSomething"
    for word in ("jdoe", "my identifier", "eyJraWQ"):
        assert word not in recorded(arrival)


def test_a_field_of_another_type_is_of_no_known_operation() -> None:
    event = load("recorded/appsync.json")
    event["info"]["parentTypeName"] = "Order"
    arrival = identify(event)
    assert arrival.span_name == "Order.order"
    assert "graphql.operation.type" not in arrival.attributes


def test_a_batch_of_one_fields_resolutions_is_one_request() -> None:
    arrival = identify([load("recorded/appsync.json") for _ in range(3)])
    assert (arrival.name, arrival.span_name) == ("appsync", "Query.order")
    assert [record.context for record in arrival.records] == [PRODUCER]
    assert arrival.attributes["hoptrace.graphql.batch_size"] == 3


# --- Cognito, IoT


def test_a_pools_trigger_is_known_and_none_of_its_user() -> None:
    event = load("documented/cognito_pre_sign_up.json")
    event["request"]["clientMetadata"]["traceparent"] = format_traceparent(SECOND)
    arrival = identify(event)
    assert arrival.attributes == {
        "hoptrace.cognito.trigger_source": "PreSignUp_SignUp",
        "hoptrace.cognito.user_pool_id": "us-east-1_AAAAAAAAA",
        "cloud.region": "us-east-1",
    }
    assert arrival.records[0].context == SECOND
    for word in ("testuser", "example.com", "identityId", "sampleValue"):
        assert word not in recorded(arrival) + recorded(identify(load("sam/cognito-sync-trigger.json")))


def test_a_message_says_that_it_came_through_iot_and_when() -> None:
    event = load("recorded/iot.json")
    (hop,) = identify(event).records[0].hops
    assert hop.start_ns == event["_hoptrace"]["sent"] * MS
    del event["_hoptrace"]["via"]
    assert identify(event).name == "other"
    assert identify(event).records[0].context == PRODUCER
    assert identify({"temperature": 21}).name == "other"


def test_a_devices_address_and_credential_are_not_recorded() -> None:
    arrival = identify(load("documented/iot_connected.json"))
    assert arrival.attributes["messaging.client.id"] == "186b5"
    for word in ("192.0.2.0", "12345678901234567890123456789012"):
        assert word not in recorded(arrival)


@pytest.mark.parametrize("kind", ["connected", "JOB", "THING_EVENT"])
def test_an_event_type_alone_is_no_event_of_iots(kind: str) -> None:
    assert identify({"eventType": kind, "order": 1}).name == "other"


# --- schedules

RUN = load("documented/scheduler_context_attributes.json")


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"schedule-arn": "schedule_arn", "scheduled-time": "scheduled_time"},
        {"schedule-arn": "scheduleArn", "scheduled-time": "scheduledTime", "attempt-number": "attemptNumber"},
        {name: f"aws.scheduler.{name}" for name in RUN},
    ],
)
def test_an_input_made_of_the_schedulers_keywords_is_known_by_any_usual_spelling(names: dict[str, str]) -> None:
    arrival = identify({names.get(name, name): value for name, value in RUN.items()})
    assert arrival.name == "scheduler"
    assert arrival.attributes["hoptrace.scheduler.schedule"] == "your-schedule"
    (hop,) = arrival.records[0].hops
    assert hop.start_ns == 1_647_975_583_000 * MS


def test_an_attempt_may_be_a_number_or_its_digits() -> None:
    for attempt in (2, "2"):
        assert identify({**RUN, "attempt-number": attempt}).attributes["hoptrace.scheduler.attempt"] == 2


@pytest.mark.parametrize(
    "event",
    [
        {"scheduleArn": RUN["schedule-arn"]},
        {"scheduleArn": RUN["schedule-arn"], "action": "delete"},
        {**RUN, "schedule-arn": "arn:aws:scheduler:eu-west-1:1:schedule-group/default"},
        {**RUN, "schedule-arn": "<aws.scheduler.schedule-arn>"},
        {"scheduled-time": RUN["scheduled-time"]},
    ],
)
def test_a_function_that_is_told_of_a_schedule_is_not_run_by_it(event: Any) -> None:
    assert identify(event).name == "other"


def test_who_put_a_context_into_a_schedules_input_is_its_producer() -> None:
    event = {**RUN, "_hoptrace": {"traceparent": format_traceparent(SECOND)}}
    assert identify(event).records[0].context == SECOND


def test_an_invocation_that_came_late_after_its_rule_fired_shows_the_wait() -> None:
    event = {**load("sam/cloudwatch-scheduled-event.json"), "time": "2026-09-21T14:13:20Z"}
    (hop,) = identify(event).records[0].hops
    assert (hop.name, hop.system) == ("EventBridge ExampleRule", "aws.eventbridge")
    assert hop.times(1_790_000_060_000 * MS) == (1_790_000_000_999 * MS, 1_790_000_060_000 * MS)
    assert hop.attributes["hoptrace.start.granularity"] == "1s"


# --- Application Load Balancer


def test_a_load_balancers_documented_multi_value_request_is_read() -> None:
    event = load("documented/alb_multi_value.json")
    event["multiValueHeaders"]["traceparent"] = [format_traceparent(SECOND)]
    arrival = identify(event)
    assert arrival.records[0].context == SECOND
    assert arrival.attributes["url.query"] == "myKey=REDACTED&myKey=REDACTED"
    assert arrival.attributes["client.address"] == "72.21.198.66"
    assert arrival.attributes["server.address"] == "lambda-846800462-us-east-2.elb.amazonaws.com"
    assert arrival.records[0].root == "5bdb40ca556d8b0c50dc66f0511bf520"
