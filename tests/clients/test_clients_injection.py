"""What is really received when the user's code sends: the context, and the user's own data unchanged."""

import base64
import copy
import json
import uuid

import pytest

from hoptrace import clients, testing
from hoptrace.pointers import derive
from hoptrace.spans.context import format_traceparent, parse_traceparent, parse_xray

LAMBDAS = "Root=1-00000001-000000000000000000000001;Sampled=0;Lineage=1:e547cb94:0"
PUBLISHED = b"<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>"


def receive(sqs, url):
    found = []
    while True:
        got = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            AttributeNames=["All"],
        ).get("Messages", [])
        if not got:
            return sorted(found, key=lambda message: message["Body"])
        found += got
        for message in got:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


@pytest.fixture
def sqs(client):
    return client("sqs")


@pytest.fixture
def queue(sqs):
    return sqs.create_queue(QueueName=f"q-{uuid.uuid4()}")["QueueUrl"]


def sent(recorded):
    (span,) = [span for span in recorded.spans if span.name.startswith("send")]
    return span.context


def attributes(many):
    return {f"a{index}": {"DataType": "String", "StringValue": f"v{index}"} for index in range(many)}


def values_of(message):
    found = message.get("MessageAttributes", {})
    return {name: {key: one[key] for key in ("DataType", "StringValue")} for name, one in found.items()}


@pytest.mark.parametrize("many", [0, 1, 9])
def test_a_message_arrives_with_the_context_of_the_span_that_sent_it(many, sqs, queue, recorded):
    given = {"QueueUrl": queue, "MessageBody": "body \u00fc", "MessageAttributes": attributes(many)}
    before = copy.deepcopy(given)
    sqs.send_message(**given)
    assert given == before
    span = sent(recorded)
    (message,) = receive(sqs, queue)
    assert message["Body"] == "body \u00fc"
    traceparent = {"traceparent": {"DataType": "String", "StringValue": format_traceparent(span)}}
    assert values_of(message) == {**attributes(many), **traceparent}


def test_a_message_with_ten_attributes_goes_out_unchanged_and_has_the_context_in_the_trace_header(sqs, queue, recorded):
    sqs.send_message(QueueUrl=queue, MessageBody="body", MessageAttributes=attributes(10))
    span = sent(recorded)
    (message,) = receive(sqs, queue)
    assert values_of(message) == attributes(10)
    header = parse_xray(message["Attributes"]["AWSTraceHeader"])
    assert (header.trace_id, header.span_id) == (span.trace_id, span.span_id)


def test_every_message_of_a_batch_carries_the_context_and_its_own_attributes(sqs, queue, recorded):
    entries = [
        {"Id": str(index), "MessageBody": f"body {index}", "MessageAttributes": attributes(index)}
        for index in (0, 3, 9)
    ]
    before = copy.deepcopy(entries)
    sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    assert entries == before
    span = sent(recorded)
    for message, entry in zip(receive(sqs, queue), sorted(before, key=lambda one: one["MessageBody"]), strict=True):
        assert message["Body"] == entry["MessageBody"]
        found = values_of(message)
        assert found.pop("traceparent")["StringValue"] == format_traceparent(span)
        assert found == entry["MessageAttributes"]


def test_a_full_message_of_a_batch_goes_out_unchanged_and_has_the_context_in_the_trace_header(in_lambda, wire):
    sqs = wire("sqs")  # the emulator forgets system attributes of a batch, so this looks at what is sent
    full = {"Id": "1", "MessageBody": "b", "MessageAttributes": attributes(10)}
    built = []
    sqs.client.meta.events.register(
        "before-parameter-build.sqs.SendMessageBatch", lambda params, **_: built.extend(params["Entries"])
    )
    sqs.client.send_message_batch(QueueUrl="https://sqs/1/orders", Entries=[full])
    entry = dict(built[0])
    header = entry.pop("MessageSystemAttributes")["AWSTraceHeader"]["StringValue"]
    assert entry == full
    assert parse_xray(header).span_id == sent(in_lambda).span_id
    assert "Lineage=1:e547cb94:0" in header


def test_a_first_in_first_out_queue_keeps_its_group_and_gets_the_context(sqs, recorded):
    url = sqs.create_queue(
        QueueName=f"q-{uuid.uuid4()}.fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    )["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="body", MessageGroupId="g")
    span = sent(recorded)
    (message,) = receive(sqs, url)
    assert message["Attributes"]["MessageGroupId"] == "g"
    assert values_of(message)["traceparent"]["StringValue"] == format_traceparent(span)


def test_a_resource_sends_the_context_too(aws, sqs, queue, recorded):
    import boto3

    resource = boto3.resource(
        "sqs", endpoint_url=aws, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="s"
    )
    resource.Queue(queue).send_message(MessageBody="body")
    span = sent(recorded)
    (message,) = receive(sqs, queue)
    assert values_of(message)["traceparent"]["StringValue"] == format_traceparent(span)


def test_a_context_that_the_user_sends_is_theirs(sqs, queue, recorded):
    theirs = {"traceparent": {"DataType": "String", "StringValue": "theirs"}}
    sqs.send_message(QueueUrl=queue, MessageBody="body", MessageAttributes=theirs)
    (message,) = receive(sqs, queue)
    assert values_of(message) == theirs


@pytest.mark.parametrize("raw", ["true", "false"])
@pytest.mark.parametrize("batch", [False, True])
def test_a_published_message_arrives_behind_the_topic_with_the_context(raw, batch, client, sqs, queue, recorded):
    sns = client("sns")
    topic = sns.create_topic(Name=f"t-{uuid.uuid4()}")["TopicArn"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": raw})
    given = {"Message": "text", "MessageAttributes": attributes(2)}
    before = copy.deepcopy(given)
    if batch:
        sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[{"Id": "1", **given}])
    else:
        sns.publish(TopicArn=topic, **given)
    assert given == before
    span = sent(recorded)
    (message,) = receive(sqs, queue)
    if raw == "true":
        assert message["Body"] == "text"
        assert values_of(message)["traceparent"]["StringValue"] == format_traceparent(span)
    else:
        body = json.loads(message["Body"])
        assert body["Message"] == "text"
        assert body["MessageAttributes"]["traceparent"]["Value"] == format_traceparent(span)


def test_an_event_arrives_behind_its_rule_with_the_context_and_the_detail_unchanged(client, sqs, queue, recorded):
    events = client("events")
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    source = f"shop.{uuid.uuid4()}"
    events.put_rule(Name="paid", EventPattern=json.dumps({"source": [source]}))
    events.put_targets(Rule="paid", Targets=[{"Id": "q", "Arn": arn}])
    entries = [{"Source": source, "DetailType": "Paid", "Detail": '{"b": 1.50, "a": "x"}'}]
    before = copy.deepcopy(entries)
    events.put_events(Entries=entries)
    assert entries == before
    span = sent(recorded)
    (message,) = receive(sqs, queue)
    detail = json.loads(message["Body"])["detail"]
    assert parse_traceparent(detail.pop("_hoptrace")["traceparent"]).span_id == span.span_id
    assert detail == {"b": 1.50, "a": "x"}


def client_context(wire):
    carried = wire.header("X-Amz-Client-Context")
    return json.loads(base64.b64decode(carried)) if carried else None


def test_a_function_that_is_invoked_gets_the_context_and_its_payload_to_the_byte(wire, recorded):
    lambda_ = wire("lambda")
    theirs = base64.b64encode(b'{"custom": {"k": "v"}}').decode()
    lambda_.client.invoke(FunctionName="billing", Payload=b'{ "a":1 }', ClientContext=theirs)
    (span,) = recorded.spans
    assert lambda_.requests[-1].body == b'{ "a":1 }'
    traceparent = format_traceparent(span.context)
    assert client_context(lambda_) == {
        "custom": {"k": "v", "traceparent": traceparent},
        "w3c": {"traceparent": traceparent},
    }


@pytest.mark.parametrize("kind", ["Event", "DryRun"])
def test_an_asynchronous_invocation_gets_no_client_context(kind, wire, recorded):
    lambda_ = wire("lambda")
    lambda_.client.invoke(FunctionName="billing", Payload=b"{}", InvocationType=kind)
    assert len(recorded.spans) == 1
    assert client_context(lambda_) is None
    assert lambda_.requests[-1].body == b"{}"


@pytest.mark.parametrize(
    "target",
    [
        {"PhoneNumber": "+15555550123"},
        {"TargetArn": "arn:aws:sns:eu-west-1:123456789012:endpoint/APNS/app/5e3e9847-3183-3f18-a7e8-671c3a57d4b3"},
    ],
)
def test_what_goes_to_a_person_carries_nothing_and_names_nobody(target, wire, recorded):
    sns = wire("sns", (200, {}, PUBLISHED))
    sns.client.publish(Message="hello", **target)
    assert "traceparent" not in str(sns.requests[-1].body)
    (span,) = recorded.spans
    assert span.name == "send"
    assert "+1555" not in str(span.attributes)
    assert "5e3e9847" not in str(span.attributes)


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [
        ("sqs", "SendMessage", {"QueueUrl": "https://sqs/1/q", "MessageBody": "b"}),
        ("sns", "Publish", {"TopicArn": "arn:aws:sns:eu-west-1:1:t", "Message": "b"}),
        ("events", "PutEvents", {"Entries": [{"Source": "s", "DetailType": "t", "Detail": "{}"}]}),
        ("lambda", "Invoke", {"FunctionName": "f"}),
    ],
)
def test_the_switch_of_a_service_leaves_its_calls_alone_and_still_records_them(
    service, operation, params, wire, monkeypatch
):
    from hoptrace import clients, testing

    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "checkout")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", LAMBDAS)
    seen = []
    for disabled in ("", service):
        environ = {"AWS_LAMBDA_FUNCTION_NAME": "checkout", "HOPTRACE_INJECT_DISABLED": disabled}
        with testing.recorder(environ) as recorder:
            clients.install()
            made = wire(service, (200, {}, PUBLISHED)) if service == "sns" else wire(service)
            made.client._make_api_call(operation, params)
            (span,) = recorder.spans
        sent = str(made.requests[-1].body) + str(dict(made.requests[-1].headers))
        # The client context is base64, so its span id is looked for in what it decodes to.
        sent += json.dumps(client_context(made))
        seen.append(span.context.span_id in sent)
        if disabled:
            assert made.header("X-Amzn-Trace-Id") == LAMBDAS
    assert seen == [True, False]


def test_in_lambda_every_call_carries_our_span_in_the_trace_header_and_keeps_the_lineage(in_lambda, wire):
    dynamodb = wire("dynamodb")
    dynamodb.client.get_item(TableName="orders", Key={"id": {"S": "1"}})
    (span,) = in_lambda.spans
    header = dynamodb.header("X-Amzn-Trace-Id")
    found = dict(part.split("=", 1) for part in header.split(";"))
    trace = span.context.trace_id
    assert found["Root"] == f"1-{trace[:8]}-{trace[8:]}"
    assert found["Parent"] == span.context.span_id
    assert found["Lineage"] == "1:e547cb94:0"


def test_each_call_has_its_own_span_in_the_header(in_lambda, wire):
    dynamodb = wire("dynamodb")
    for _ in range(3):
        dynamodb.client.list_tables()
        assert f"Parent={in_lambda.spans[-1].context.span_id}" in dynamodb.header("X-Amzn-Trace-Id")
    assert len({span.context.span_id for span in in_lambda.spans}) == 3


def test_a_trace_header_that_the_user_sets_is_theirs(in_lambda, wire):
    dynamodb = wire("dynamodb")
    dynamodb.client.meta.events.register_first(
        "before-call.dynamodb.ListTables", lambda params, **_: params["headers"].update({"X-Amzn-Trace-Id": "theirs"})
    )
    dynamodb.client.list_tables()
    assert dynamodb.header("X-Amzn-Trace-Id") == "theirs"


def test_outside_lambda_no_header_is_added(recorded, wire):
    dynamodb = wire("dynamodb")
    dynamodb.client.list_tables()
    assert dynamodb.header("X-Amzn-Trace-Id") is None


def test_a_presigned_url_is_no_call_and_carries_nothing(in_lambda, wire):
    sqs = wire("sqs")
    url = sqs.client.generate_presigned_url("send_message", {"QueueUrl": "https://sqs/1/q", "MessageBody": "b"})
    s3 = wire("s3").client.generate_presigned_url("get_object", {"Bucket": "b", "Key": "k"})
    post = wire("s3").client.generate_presigned_post("b", "k")
    assert in_lambda.spans == []
    for text in (url, s3, json.dumps(post)):
        assert "trace" not in text.lower()


@pytest.mark.parametrize("structure", [None, "json"])
def test_who_publishes_a_text_for_each_protocol_points_at_it_too_since_its_attributes_are_not_sent(
    structure, client, recorded
):
    sns = client("sns")
    topic = sns.create_topic(Name=f"t-{uuid.uuid4()}")["TopicArn"]
    entry = {"Message": json.dumps({"default": "x"})}
    if structure:
        entry["MessageStructure"] = structure
    one = sns.publish(TopicArn=topic, **entry)["MessageId"]
    both = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[{"Id": "1", **entry}])["Successful"]
    spans = [span for span in recorded.spans if span.name.startswith("send")]
    for span, number in zip(spans, (one, both[0]["MessageId"]), strict=True):
        meeting = derive(("aws.sns", number))
        assert [link.context.span_id for link in span.links] == ([meeting.span_id] if structure else [])


def without_room(recorded, name):
    (span,) = [span for span in recorded.spans if span.name.startswith(name)]
    return span.attributes.get("hoptrace.context.without_room")


def test_a_call_counts_the_messages_that_had_no_room(sqs, queue, recorded):
    mine = {"traceparent": {"DataType": "String", "StringValue": "mine"}}
    sqs.send_message_batch(
        QueueUrl=queue,
        Entries=[
            {"Id": "0", "MessageBody": "x"},
            {"Id": "1", "MessageBody": "x", "MessageAttributes": attributes(10)},
            {"Id": "2", "MessageBody": "x" * 65_500},
            {"Id": "3", "MessageBody": "x", "MessageAttributes": mine},
        ],
    )
    assert without_room(recorded, "send") == 2


def test_a_call_with_room_for_all_counts_nothing(sqs, queue, recorded):
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    assert without_room(recorded, "send") is None


@pytest.mark.parametrize(
    ("service", "call", "parameters", "answer"),
    [
        ("sns", "publish", {"TopicArn": "arn:aws:sns:eu-west-1:1:t", "Message": "x" * 262_144}, PUBLISHED),
        (
            "events",
            "put_events",
            {"Entries": [{"Source": "s", "DetailType": "d", "Detail": json.dumps({"fill": "x" * 999_980})}]},
            b"{}",
        ),
        (
            "lambda",
            "invoke",
            {"FunctionName": "f", "ClientContext": base64.b64encode(b'{"a":"' + b"x" * 2_670 + b'"}').decode()},
            b"{}",
        ),
        (
            "kinesis",
            "put_record",
            {"StreamName": "s", "PartitionKey": "p", "Data": b'{"a":"%s"}' % (b"x" * 1_048_560)},
            b"{}",
        ),
        ("s3", "put_object", {"Bucket": "b", "Key": "k", "Metadata": {"a": "x" * 2_030}}, b""),
        ("dynamodb", "put_item", {"TableName": "t", "Item": {"pk": {"S": "x" * 399_990}}}, b"{}"),
        (
            "stepfunctions",
            "start_execution",
            {"stateMachineArn": "arn:aws:m", "input": '{"a":"%s"}' % ("x" * 262_130)},
            b"{}",
        ),
    ],
)
def test_whatever_the_carrier_a_call_without_room_says_so(service, call, parameters, answer, wire):
    with testing.recorder({"HOPTRACE_INJECT_ENABLED": "kinesis,s3,dynamodb,stepfunctions"}) as recorder:
        clients.install()
        getattr(wire(service, (200, {}, answer)).client, call)(**parameters)
        (span,) = recorder.spans
    assert span.attributes["hoptrace.context.without_room"] == 1
    with testing.recorder({"OTEL_PROPAGATORS": "none"}) as recorder:
        clients.install()
        getattr(wire(service, (200, {}, answer)).client, call)(**parameters)
        (span,) = recorder.spans
    assert "hoptrace.context.without_room" not in span.attributes
