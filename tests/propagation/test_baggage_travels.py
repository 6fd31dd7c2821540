"""Baggage: from who called, through every span of the invocation, to whoever is called, by real clients."""

import base64
import http.client
import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import requests
from awslambdaric.lambda_context import LambdaContext as RuntimeContext

import hoptrace
from hoptrace import clients
from hoptrace.spans import start_span
from hoptrace.spans.context import SpanContext
from hoptrace.testing import LambdaContext, recorder
from hoptrace.triggers import identify
from tests.clients.http_server import Server
from tests.support import moto

CALLER = f"00-{'a' * 32}-{'b' * 16}-01"
BAGGAGE = "tenant=acme,tier=gold;ttl=1"
EVENT = {
    "httpMethod": "GET",
    "resource": "/",
    "requestContext": {},
    "headers": {"TraceParent": CALLER, "Baggage": BAGGAGE},
}


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with moto.running() as address:
        yield address


@pytest.fixture
def server() -> Iterator[Any]:
    made: Any = Server()  # type: ignore[no-untyped-call]
    yield made
    made.close()


def client(service: str, address: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=address,
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def within(work: Any, event: Any = EVENT, **environ: str) -> Any:
    """Do this inside an invocation that was called with baggage; what was recorded."""
    with recorder({"AWS_LAMBDA_FUNCTION_NAME": "f", **environ}) as traced:
        clients.install()
        hoptrace.trace(lambda _event, _context: work())(event, LambdaContext())
        return traced


FORMATS = pytest.mark.parametrize(
    "listed", ["tracecontext,baggage", "b3,baggage", "b3multi,baggage", "tracecontext,b3,baggage"]
)


def event_of(listed: str) -> Any:
    """The call in whatever format is listed."""
    headers = {"Baggage": BAGGAGE}
    if "tracecontext" in listed:
        headers["TraceParent"] = CALLER
    else:
        headers["B3"] = f"{'a' * 32}-{'b' * 16}-1"
    return {**EVENT, "headers": headers}


def test_every_span_inside_the_invocation_has_the_callers_baggage() -> None:
    seen = []

    def work() -> None:
        outer = start_span("outer")
        seen.append(outer.context.baggage)
        current = hoptrace.current_span()
        assert current is not None
        seen.append(current.context.baggage)
        outer.end()

    within(work)
    assert seen == [BAGGAGE, BAGGAGE]


def test_a_call_without_baggage_hands_none_on() -> None:
    seen = []

    def work() -> None:
        current = hoptrace.current_span()
        assert current is not None
        seen.append(current.context.baggage)

    within(work, {**EVENT, "headers": {"TraceParent": CALLER}})
    within(work, {**EVENT, "headers": {"TraceParent": CALLER, "Baggage": "k=v\r\nX: 1"}})
    within(work, OTEL_PROPAGATORS="tracecontext")
    assert seen == ["", "", ""]


@FORMATS
def test_it_leaves_with_an_http_request(listed: str, server: Any) -> None:
    within(lambda: requests.get(server.url, timeout=5), event_of(listed), OTEL_PROPAGATORS=listed)
    assert server.headers("baggage") == [BAGGAGE]


def test_it_leaves_with_the_standard_librarys_requests_too(server: Any) -> None:
    def work() -> None:
        urllib.request.urlopen(server.url, timeout=5).close()
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        connection.request("GET", "/")
        connection.getresponse().read()
        connection.close()

    within(work)
    assert server.headers("baggage") == [BAGGAGE, BAGGAGE]


@FORMATS
def test_it_leaves_with_a_message_and_arrives_in_the_next_function(listed: str, aws: str) -> None:
    sqs, sns = client("sqs", aws), client("sns", aws)
    url = sqs.create_queue(QueueName=f"q-{abs(hash(listed))}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name=f"t-{abs(hash(listed))}")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def work() -> None:
        client("sqs", aws).send_message(QueueUrl=url, MessageBody="by queue")
        client("sqs", aws).send_message_batch(QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "by batch"}])
        client("sns", aws).publish(TopicArn=topic, Message="by topic")

    traced = within(work, event_of(listed), OTEL_PROPAGATORS=listed)
    senders = {span.context.span_id for span in traced.spans}
    messages: list[Any] = []
    while len(messages) < 3:
        messages += sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=2
        )["Messages"]
    with recorder({"OTEL_PROPAGATORS": listed}):
        for message in messages:
            (record,) = identify({"Records": [as_lambda_gets_it(message)]}).records
            assert record.context is not None
            assert record.context.baggage == BAGGAGE
            assert record.context.span_id in senders


def as_lambda_gets_it(message: Any) -> Any:
    return {
        "eventSource": "aws:sqs",
        "messageId": message["MessageId"],
        "body": message["Body"],
        "messageAttributes": {
            name: {"stringValue": value.get("StringValue", ""), "dataType": value["DataType"]}
            for name, value in message.get("MessageAttributes", {}).items()
        },
    }


class Sent(Exception):
    """What would have gone over the wire."""


def body_of(service: str, call: Any, listed: str) -> Any:
    """The parameters of one AWS call as botocore would send them."""
    sent = []

    def work() -> None:
        made = client(service, "http://127.0.0.1:9")

        def stop(request: Any, **_: Any) -> Any:
            sent.append(request)
            raise Sent

        made.meta.events.register("before-send.*.*", stop)
        with pytest.raises(Sent):
            call(made)

    within(work, event_of(listed), OTEL_PROPAGATORS=listed)
    return sent[0]


@FORMATS
def test_it_leaves_with_an_event(listed: str) -> None:
    entry = {"Source": "shop", "DetailType": "OrderPlaced", "Detail": '{"order": 1}'}
    request = body_of("events", lambda made: made.put_events(Entries=[entry]), listed)
    (sent,) = json.loads(request.body)["Entries"]
    detail = json.loads(sent["Detail"])
    with recorder({"OTEL_PROPAGATORS": listed}):
        (record,) = identify({"detail-type": "OrderPlaced", "source": "shop", "detail": detail}).records
    assert record.context is not None
    assert (record.context.trace_id, record.context.baggage) == ("a" * 32, BAGGAGE)


@FORMATS
def test_it_leaves_with_an_invocation(listed: str) -> None:
    request = body_of("lambda", lambda made: made.invoke(FunctionName="next", Payload=b"{}"), listed)
    document = json.loads(base64.b64decode(request.headers["X-Amz-Client-Context"]))
    assert set(document["w3c"]) <= {"traceparent", "tracestate", "baggage"}
    context = RuntimeContext("r", document, None, 0, "arn:aws:lambda:eu-west-1:1:function:next")
    with recorder({"OTEL_PROPAGATORS": listed}):
        arrival = identify({}, context)
    (record,) = arrival.records
    assert arrival.name == "lambda"
    assert record.context is not None
    assert (record.context.trace_id, record.context.baggage) == ("a" * 32, BAGGAGE)


def test_an_invocation_without_room_for_baggage_goes_without() -> None:
    from hoptrace.carriers.client_context import CLIENT_CONTEXT_BYTES, extract_client_context, inject_client_context

    seen = set()
    for length in range(0, 3_000, 7):
        context = SpanContext("a" * 32, "b" * 16, 1, "v=1", baggage="k=" + "v" * length)
        encoded = inject_client_context(None, context)
        assert encoded is not None
        assert len(encoded) <= CLIENT_CONTEXT_BYTES
        document = json.loads(base64.b64decode(encoded))
        kept = "baggage" in document["custom"]
        seen.add((kept, "baggage" in document.get("w3c", {})))
        found = extract_client_context(RuntimeContext("r", document, None, 0))
        assert found is not None
        assert (found.trace_id, found.trace_state) == ("a" * 32, "v=1")
        assert bool(found.baggage) == kept
    # Twice, then once, then not at all.
    assert seen == {(True, True), (True, False), (False, False)}
