"""What a call's span tells when things go wrong, and what the user's code must not notice of it."""

import concurrent.futures
import copy
import io
import json
import traceback

import botocore.exceptions
import botocore.stub
import pytest

from hoptrace import clients, spans
from hoptrace.spans import CLIENT, ERROR, PRODUCER, UNSET

EVENTS = {"Entries": [{"Source": "s", "DetailType": "t", "Detail": "{}"}] * 2}


def test_a_service_error_is_recorded_with_its_code_and_its_request(client, recorded):
    sqs = client("sqs")
    with pytest.raises(sqs.exceptions.QueueDoesNotExist) as caught:
        sqs.get_queue_url(QueueName="nobody")
    (span,) = recorded.spans
    response = caught.value.response
    assert span.attributes["error.type"] == response["Error"]["Code"]
    assert span.attributes["aws.request_id"] == response["ResponseMetadata"]["RequestId"]
    assert span.attributes["http.response.status_code"] == 400
    assert span.status == (ERROR, str(caught.value))
    (event,) = span.events
    assert event.attributes["exception.type"] == "botocore.errorfactory.QueueDoesNotExist"
    assert "in _make_api_call" in event.attributes["exception.stacktrace"]


def test_a_connection_that_fails_is_recorded_by_the_exceptions_type(wire, recorded):
    sqs = wire("sqs")

    def broken(**_):
        raise botocore.exceptions.ConnectTimeoutError(endpoint_url="https://x")

    sqs.client.meta.events.register_first("before-send.sqs.ListQueues", broken)
    with pytest.raises(botocore.exceptions.ConnectTimeoutError):
        sqs.client.list_queues()
    (span,) = recorded.spans
    assert span.attributes["error.type"] == "botocore.exceptions.ConnectTimeoutError"
    assert span.status[0] == ERROR


def test_refused_parameters_are_recorded_without_what_was_passed(wire, recorded):
    sqs = wire("sqs").client
    with pytest.raises(botocore.exceptions.ParamValidationError) as caught:
        sqs.send_message(QueueUrl="https://sqs/1/q", MessageBody={"card": "PRIVATE"})
    assert "PRIVATE" in str(caught.value)  # the user's exception is botocore's own
    (span,) = recorded.spans
    assert span.attributes["error.type"] == "botocore.exceptions.ParamValidationError"
    assert span.events[0].attributes["exception.type"] == "botocore.exceptions.ParamValidationError"
    assert "in _make_api_call" in span.events[0].attributes["exception.stacktrace"]
    assert "PRIVATE" not in json.dumps(recorded.records)


def test_events_that_the_bus_refused_are_an_error_of_a_call_that_succeeded(wire, recorded):
    body = b'{"FailedEntryCount":1,"Entries":[{"EventId":"1"},{"ErrorCode":"InternalFailure","ErrorMessage":"m"}]}'
    answer = wire("events", (200, {}, body)).client.put_events(**EVENTS)
    assert answer["FailedEntryCount"] == 1
    (span,) = recorded.spans
    assert (span.name, span.kind) == ("send default", PRODUCER)
    assert span.attributes["error.type"] == "InternalFailure"
    assert span.attributes["hoptrace.messaging.failed_count"] == 1
    assert span.attributes["messaging.message.id"] == "1"
    assert span.status == (ERROR, "1 of the entries were refused")


@pytest.mark.parametrize("stream", [False, True])
def test_a_function_that_fails_is_an_error_of_the_call_that_invoked_it(stream, wire, recorded):
    if stream:
        lambda_ = wire("lambda", (200, {}, b""))
        lambda_.client.invoke_with_response_stream(FunctionName="arn:aws:lambda:us-east-2:1:function:f:live")
        expected = (UNSET, "")  # what the stream will tell, only the user's reading tells
    else:
        lambda_ = wire("lambda", (200, {"X-Amz-Function-Error": "Unhandled"}, b"{}"))
        lambda_.client.invoke(FunctionName="arn:aws:lambda:us-east-2:1:function:f:live")
        expected = (ERROR, "the function that was invoked failed")
    (span,) = recorded.spans
    assert span.status == expected
    assert span.attributes.get("error.type") == (None if stream else "Unhandled")
    assert span.attributes["faas.invoked_name"] == "f"
    assert span.attributes["faas.invoked_region"] == "us-east-2"


@pytest.mark.parametrize("name", ["f", "f:live", "1:function:f", "1:function:f:live", "arn:aws:lambda:r:1:function:f"])
def test_a_function_is_named_without_account_and_alias(name, wire, recorded):
    wire("lambda").client.invoke(FunctionName=name)
    assert recorded.spans[0].attributes["faas.invoked_name"] == "f"


def test_retries_are_one_span_that_counts_them(wire, recorded, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    dynamodb = wire("dynamodb", (500, {}, b"{}"), (200, {"x-amzn-RequestId": "r"}, b"{}"))
    dynamodb.client.list_tables()
    (span,) = recorded.spans
    assert span.attributes["http.request.resend_count"] == 1
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["aws.request_id"] == "r"
    assert len(dynamodb.requests) == 2


def test_the_tables_of_batches_and_transactions_are_named(wire, recorded):
    dynamodb = wire("dynamodb").client
    key = {"id": {"S": "PRIVATE"}}
    dynamodb.batch_get_item(RequestItems={"bbb": {"Keys": [key]}, "aaa": {"Keys": [key]}})
    dynamodb.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": "arn:aws:dynamodb:r:1:table/ccc", "Item": key}},
            {"Delete": {"TableName": "ccc", "Key": key}},
        ]
    )
    dynamodb.execute_statement(Statement="SELECT * FROM d WHERE id = 'PRIVATE'")
    batch, transaction, statement = recorded.spans
    assert batch.attributes["aws.dynamodb.table_names"] == ["bbb", "aaa"]
    assert "db.collection.name" not in batch.attributes
    assert transaction.attributes["aws.dynamodb.table_names"] == ["ccc"]
    assert transaction.attributes["db.collection.name"] == "ccc"
    assert "aws.dynamodb.table_names" not in statement.attributes
    assert "PRIVATE" not in json.dumps(recorded.records)


def test_receiving_nothing_is_a_call_that_received_none(wire, recorded):
    wire("sqs").client.receive_message(QueueUrl="https://sqs/1/orders")
    (span,) = recorded.spans
    assert span.name == "receive orders"
    assert span.attributes["messaging.batch.message_count"] == 0
    assert "messaging.message.id" not in span.attributes


def test_events_for_two_buses_have_no_single_destination(wire, recorded):
    entries = [{**EVENTS["Entries"][0], "EventBusName": name} for name in ("a", "arn:aws:events:r:1:event-bus/b")]
    events = wire("events").client
    events.put_events(Entries=entries)
    events.put_events(Entries=entries[1:])
    both, one = recorded.spans
    assert both.name == "send"
    assert "messaging.destination.name" not in both.attributes
    assert one.name == "send b"


def test_a_call_is_the_child_of_the_span_around_it_and_is_current_while_it_runs(wire, recorded):
    outer = spans.start_span("outer")
    seen = []
    dynamodb = wire("dynamodb").client
    dynamodb.meta.events.register("before-call.dynamodb.ListTables", lambda **_: seen.append(spans.current_span()))
    token = spans.activate(outer)
    try:
        dynamodb.list_tables()
        assert spans.current_span() is outer
    finally:
        spans.restore(token)
    (call,) = recorded.spans
    assert call.parent_id == outer.context.span_id
    assert call.context.trace_id == outer.context.trace_id
    assert seen == [call]


def test_a_call_inside_a_call_is_its_child(wire, recorded):
    sts = wire("sts", (200, {}, b"<R><GetCallerIdentityResult/></R>")).client
    dynamodb = wire("dynamodb").client
    dynamodb.meta.events.register("before-call.dynamodb.ListTables", lambda **_: sts.get_caller_identity() and None)
    dynamodb.list_tables()
    inner, outer = recorded.spans
    assert (inner.name, outer.name) == ("STS.GetCallerIdentity", "DynamoDB.ListTables")
    assert inner.parent_id == outer.context.span_id


def test_threads_that_share_a_client_each_leave_their_own_spans(in_lambda, wire):
    dynamodb = wire("dynamodb")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _index: dynamodb.client.list_tables(), range(64)))
    assert len(in_lambda.spans) == 64
    carried = {request.headers["X-Amzn-Trace-Id"] for request in dynamodb.requests}
    assert len(carried) == 64


def corpus():
    """Calls of many shapes: name, service, what is called with a client."""
    entry = {"Id": "1", "MessageBody": "b"}
    return [
        ("list queues", "sqs", lambda c: c.list_queues(QueueNamePrefix="none")),
        ("no such queue", "sqs", lambda c: c.get_queue_url(QueueName="none")),
        ("a missing parameter", "sqs", lambda c: c.send_message(QueueUrl="x")),
        ("a wrong type", "sqs", lambda c: c.send_message(QueueUrl="x", MessageBody=1)),
        (
            "attributes of a wrong type",
            "sqs",
            lambda c: c.send_message(QueueUrl="x", MessageBody="b", MessageAttributes=[]),
        ),
        ("entries of a wrong type", "sqs", lambda c: c.send_message_batch(QueueUrl="x", Entries={"Id": "1"})),
        ("an entry of a wrong type", "sqs", lambda c: c.send_message_batch(QueueUrl="x", Entries=["a", None])),
        ("an unknown parameter", "sqs", lambda c: c.send_message_batch(QueueUrl="x", Entries=[{**entry, "No": 1}])),
        ("a positional argument", "sqs", lambda c: c.list_queues("x")),
        ("an unknown method", "sqs", lambda c: c.no_such_method()),
        ("an unknown operation", "sqs", lambda c: c._make_api_call("NoSuch", {})),
        ("parameters that are none", "sqs", lambda c: c._make_api_call("ListQueues", None)),
        ("parameters by keyword", "sqs", lambda c: c._make_api_call(operation_name="ListQueues", api_params={})),
        ("events of a wrong type", "events", lambda c: c.put_events(Entries=[1])),
        (
            "a detail that is no JSON",
            "events",
            lambda c: c.put_events(Entries=[{"Source": "s", "DetailType": "d", "Detail": "{"}]),
        ),
        ("no topic", "sns", lambda c: c.publish(TopicArn="arn:aws:sns:eu-west-1:123456789012:none", Message="m")),
        ("no function", "lambda", lambda c: c.invoke(FunctionName="none", ClientContext="not base64")),
        ("a client context of a wrong type", "lambda", lambda c: c.invoke(FunctionName="none", ClientContext={"a": 1})),
        ("no table", "dynamodb", lambda c: c.get_item(TableName="none", Key={"id": {"S": "1"}})),
        ("no bucket", "s3", lambda c: c.get_object(Bucket="none", Key="k")),
        ("a page", "dynamodb", lambda c: list(c.get_paginator("list_tables").paginate())),
        (
            "a waiter",
            "s3",
            lambda c: c.get_waiter("bucket_exists").wait(Bucket="none", WaiterConfig={"Delay": 0, "MaxAttempts": 2}),
        ),
        ("no secret", "secretsmanager", lambda c: c.get_secret_value(SecretId="none")),
        (
            "a presigned URL",
            "s3",
            lambda c: c.generate_presigned_url("get_object", {"Bucket": "b", "Key": "k"}).split("?")[0],
        ),
    ]


def outcome(call, made):
    try:
        result = call(made)
    except BaseException as error:
        tail = [frame.name for frame in traceback.extract_tb(error.__traceback__)][-1]
        context = [type(one) for one in (error.__context__, error.__cause__)]
        return (
            type(error).__qualname__,
            str(error),
            error.args,
            without_times(getattr(error, "response", None)),
            tail,
            context,
        )
    return without_times(result)


def without_times(value):
    if isinstance(value, dict):
        varying = ("RequestId", "date", "x-amzn-requestid", "HostId", "CreationDate", "x-amz-request-id")
        return {key: without_times(one) for key, one in value.items() if key not in varying}
    if hasattr(value, "read"):
        return type(value), value.read()
    return [without_times(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("case", corpus(), ids=[case[0] for case in corpus()])
def test_results_and_errors_are_those_of_an_untraced_call(case, client, recorded):
    _, service, call = case
    clients.uninstall()
    before = outcome(call, client(service))
    assert recorded.spans == []
    clients.install()
    assert outcome(call, client(service)) == before
    if "presigned" not in case[0] and "positional" not in case[0] and "unknown method" not in case[0]:
        assert recorded.spans != []


def test_an_error_raised_while_another_is_handled_keeps_the_users_context(client, recorded):
    sqs = client("sqs")
    with pytest.raises(sqs.exceptions.QueueDoesNotExist) as caught:
        try:
            raise KeyError("the user's")
        except KeyError:
            sqs.get_queue_url(QueueName="nobody")
    assert isinstance(caught.value.__context__, KeyError)
    assert caught.value.__cause__ is None


def test_the_answer_is_the_very_object_that_botocore_made(wire, recorded):
    made = []
    dynamodb = wire("dynamodb").client
    dynamodb.meta.events.register("after-call.dynamodb.ListTables", lambda parsed, **_: made.append(parsed))
    assert dynamodb.list_tables() is made[0]


def test_a_streaming_body_is_left_for_the_user_to_read(client, recorded):
    s3 = client("s3")
    s3.create_bucket(Bucket="stream", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    body = io.BytesIO(b"x" * 100_000)
    s3.put_object(Bucket="stream", Key="k", Body=body)
    answer = s3.get_object(Bucket="stream", Key="k")
    assert next(answer["Body"].iter_chunks(7)) == b"x" * 7
    assert len(answer["Body"].read()) == 100_000 - 7


def test_pages_are_one_call_each(wire, recorded):
    s3 = wire(
        "dynamodb",
        (200, {}, b'{"TableNames":["a"],"LastEvaluatedTableName":"aaa"}'),
        (200, {}, b'{"TableNames":["b"]}'),
    )
    assert s3.client.get_paginator("list_tables").paginate().build_full_result() == {"TableNames": ["a", "b"]}
    assert [span.name for span in recorded.spans] == ["DynamoDB.ListTables"] * 2


def test_botocores_own_stubber_works_on(wire, recorded):
    sqs = wire("sqs").client
    with botocore.stub.Stubber(sqs) as stub:
        stub.add_response("list_queues", {"QueueUrls": ["u"]}, {})
        stub.add_client_error("list_queues", "Denied")
        assert sqs.list_queues()["QueueUrls"] == ["u"]
        with pytest.raises(botocore.exceptions.ClientError):
            sqs.list_queues()
    fine, denied = recorded.spans
    assert (fine.status[0], denied.attributes["error.type"]) == (UNSET, "Denied")


class Hostile(dict):
    """A mapping that breaks whoever looks into it."""

    def get(self, *_):
        raise RuntimeError("hostile")

    __getitem__ = __contains__ = __iter__ = get


def test_whatever_breaks_in_us_the_call_goes_on(wire, recorded, monkeypatch):
    from hoptrace import guard

    monkeypatch.setattr(guard, "LOUD", False)
    dynamodb = wire("dynamodb", (200, {}, b'{"TableNames":["a"]}')).client
    monkeypatch.setattr("hoptrace.clients.calls.start_span", Hostile().get)
    assert dynamodb.list_tables()["TableNames"] == ["a"]
    monkeypatch.undo()
    monkeypatch.setattr(guard, "LOUD", False)
    monkeypatch.setattr("hoptrace.clients.calls._answer", Hostile().get)
    outer = spans.current_span()
    assert dynamodb.list_tables()["TableNames"] == ["a"]
    assert spans.current_span() is outer
    monkeypatch.setattr("hoptrace.carriers.sqs.inject_entry", Hostile().get)
    sqs = wire("sqs").client
    sqs.send_message(QueueUrl="https://sqs/1/q", MessageBody="b")
    assert spans.current_span() is outer
    assert guard.errors["clients.botocore.begin: RuntimeError"] >= 1
    assert guard.errors["clients.botocore.end: RuntimeError"] >= 1
    assert len(recorded.spans) == 2


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_error_of_the_call_passes_through_and_ends_the_span(stop, wire, recorded):
    dynamodb = wire("dynamodb").client

    def interrupted(**_):
        raise stop

    dynamodb.meta.events.register_first("before-call.dynamodb.ListTables", interrupted)
    with pytest.raises(stop):
        dynamodb.list_tables()
    (span,) = recorded.spans
    assert span.attributes["error.type"] == stop.__name__
    assert spans.current_span() is None


def test_the_callers_parameters_are_the_same_objects_with_the_same_content(wire, recorded):
    params = {"QueueUrl": "https://sqs/1/q", "MessageBody": "b", "MessageAttributes": {}}
    before = copy.deepcopy(params)
    parts = [id(one) for one in params.values()]
    wire("sqs").client._make_api_call("SendMessage", params)
    assert params == before
    assert [id(one) for one in params.values()] == parts


def test_the_service_of_a_call_without_a_row_is_named_too(wire, recorded):
    wire("ecs").client.describe_clusters(clusters=["PRIVATE"])
    (span,) = recorded.spans
    assert (span.name, span.kind) == ("ECS.DescribeClusters", CLIENT)
    assert span.attributes["server.address"] == "ecs.eu-west-1.amazonaws.com"
    assert span.attributes["server.port"] == 443
    assert "PRIVATE" not in json.dumps(recorded.records)
