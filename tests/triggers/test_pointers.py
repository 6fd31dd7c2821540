"""Both ends meet: the span of a real call, and the reader of the event that the call really caused."""

import base64
import copy
import hashlib
import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import boto3
import pytest
from real_aws import REGION, RealAws
from scenarios_streams import bucket, follow, stream, table

from hoptrace import clients, testing
from hoptrace.pointers import POINTER, derive
from hoptrace.services import dynamodb_keys
from hoptrace.spans import Span
from hoptrace.triggers import Arrival, Record, identify

ALL = "kinesis,firehose,s3,iot-data,dynamodb"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAws]:
    aws = RealAws(tmp_path_factory.mktemp("ministack"))
    yield aws
    aws.close()


@pytest.fixture
def recorded() -> Iterator[Any]:
    dynamodb_keys.forget()
    with testing.recorder() as recorder:
        clients.install()
        yield recorder
    dynamodb_keys.forget()


@pytest.fixture
def injecting() -> Iterator[Any]:
    dynamodb_keys.forget()
    with testing.recorder({"HOPTRACE_INJECT_ENABLED": ALL}) as recorder:
        clients.install()
        yield recorder
    dynamodb_keys.forget()


def span(recorder: Any, method: str) -> Span:
    """The only span of a call of this operation."""
    (found,) = [one for one in recorder.spans if one.attributes.get("rpc.method") == method]
    return found  # type: ignore[no-any-return]


def points(call: Span) -> set[tuple[str, str, str]]:
    return {
        (link.context.trace_id, link.context.span_id, str(link.attributes[POINTER]))
        for link in call.links
        if POINTER in (link.attributes or {})
    }


def looks(record: Record) -> set[tuple[str, str, str]]:
    return {(derive(words).trace_id, derive(words).span_id, words[0]) for words in record.pointers}


def test_a_message_that_carries_nothing_meets_its_sender_at_its_id(aws: RealAws) -> None:
    url, arn = aws.queue("met")
    with testing.recorder({"HOPTRACE_INJECT_DISABLED": "sqs"}) as recorder:
        clients.install()
        aws.client("sqs").send_message(QueueUrl=url, MessageBody="x")
        entries = [{"Id": n, "MessageBody": n} for n in "ab"]
        aws.client("sqs").send_message_batch(QueueUrl=url, Entries=entries)
    aws.map(arn, aws.function("met"))
    records: list[Record] = []
    while len(records) < 3:
        records += identify(aws.event_for("met")).records
    sent = points(span(recorder, "SendMessage")) | points(span(recorder, "SendMessageBatch"))
    assert len(sent) == 3
    assert set().union(*map(looks, records)) == sent


def test_a_message_that_carries_its_context_needs_no_pointer(aws: RealAws, recorded: Any) -> None:
    url, _ = aws.queue("carried")
    aws.client("sqs").send_message(QueueUrl=url, MessageBody="x")
    assert span(recorded, "SendMessage").links == []


def test_a_notification_meets_its_publisher_at_its_id(aws: RealAws) -> None:
    topic = aws.topic("met-topic")
    _, queue = aws.queue("met-topic-queue", aws.function("met_in_sqs"))
    aws.subscribe(topic, "lambda", aws.function("met_sns"))
    aws.subscribe(topic, "sqs", queue)
    with testing.recorder({"HOPTRACE_INJECT_DISABLED": "sns"}) as recorder:
        clients.install()
        aws.client("sns").publish(TopicArn=topic, Message="x")
    sent = points(span(recorder, "Publish"))
    assert len(sent) == 1
    for function in ("met_sns", "met_in_sqs"):
        (record,) = identify(aws.event_for(function)).records
        assert looks(record) == sent


def test_of_a_batch_of_which_one_message_had_no_room_every_message_is_pointed_at(aws: RealAws, recorded: Any) -> None:
    topic = aws.topic("crowded-topic")
    full = {f"a{n}": {"DataType": "String", "StringValue": "v"} for n in range(10)}
    entries = [{"Id": "a", "Message": "x"}, {"Id": "b", "Message": "y", "MessageAttributes": full}]
    aws.client("sns").publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
    assert len(points(span(recorded, "PublishBatch"))) == 2


def test_an_event_meets_who_put_it_at_its_id(aws: RealAws) -> None:
    aws.rule("met-rule", "shop.met", aws.function("met_bus"))
    with testing.recorder({"HOPTRACE_INJECT_DISABLED": "events"}) as recorder:
        clients.install()
        aws.client("events").put_events(Entries=[{"Source": "shop.met", "DetailType": "T", "Detail": "{}"}])
    (record,) = identify(aws.event_for("met_bus")).records
    assert looks(record) == points(span(recorder, "PutEvents"))
    assert len(record.pointers) == 1


# --- Kinesis


def read_stream(aws: RealAws, arn: str, function: str) -> Arrival:
    follow(aws, arn, aws.function(function))
    return identify(aws.event_for(function))


def test_records_meet_who_put_them_at_their_sequence_numbers(aws: RealAws, recorded: Any) -> None:
    arn = stream(aws, "met-stream")
    kinesis = aws.client("kinesis")
    kinesis.put_record(StreamName="met-stream", Data=b"1", PartitionKey="a")
    kinesis.put_records(StreamARN=arn, Records=[{"Data": n, "PartitionKey": n} for n in "23"])
    arrival = read_stream(aws, arn, "met_stream")
    one, two = points(span(recorded, "PutRecord")), points(span(recorded, "PutRecords"))
    assert (len(one), len(two)) == (1, 2)
    assert set().union(*map(looks, arrival.records)) == one | two
    assert all(record.context is None for record in arrival.records)


def test_records_that_were_asked_to_carry_it_have_the_context_of_the_span_that_put_them(
    aws: RealAws, injecting: Any
) -> None:
    arn = stream(aws, "told-stream")
    given = {"StreamName": "told-stream", "Records": [{"Data": d, "PartitionKey": "a"} for d in (b'{"n":1}\n', b"no")]}
    before = copy.deepcopy(given)
    aws.client("kinesis").put_records(**given)
    assert given == before
    told, untold = read_stream(aws, arn, "told_stream").records
    call = span(injecting, "PutRecords")
    assert told.context is not None
    assert (told.context.trace_id, told.context.span_id) == (call.context.trace_id, call.context.span_id)
    assert untold.context is None
    assert looks(untold) <= points(call)


def test_records_carry_nothing_unless_it_was_asked_for(aws: RealAws, recorded: Any) -> None:
    arn = stream(aws, "plain-stream")
    aws.client("kinesis").put_record(StreamName="plain-stream", Data=b'{"n":1}', PartitionKey="a")
    follow(aws, arn, aws.function("plain_stream"))
    event = aws.event_for("plain_stream")
    assert base64.b64decode(event["Records"][0]["kinesis"]["data"]) == b'{"n":1}'


# --- DynamoDB


def resource(aws: RealAws, name: str) -> Any:
    session = boto3.session.Session("test", "test", region_name=REGION)
    return session.resource("dynamodb", endpoint_url=aws.url).Table(name)


def changes(aws: RealAws, arn: str, function: str, count: int) -> list[Record]:
    follow(aws, arn, aws.function(function))
    records: list[Record] = []
    while len(records) < count:
        records += identify(aws.event_for(function)).records
    return records


def test_a_change_meets_who_wrote_it_at_the_items_key(aws: RealAws, recorded: Any) -> None:
    """Typed and native calls, and what the stream has of them, derive the same."""
    arn = table(aws, "met-orders")
    client, native = aws.client("dynamodb"), resource(aws, "met-orders")
    client.update_item(TableName="met-orders", Key={"pk": {"S": "a\nb"}, "sk": {"N": "1"}})
    native.delete_item(Key={"pk": "a\nb", "sk": 1})
    native.put_item(Item={"pk": "c", "sk": Decimal("2.50"), "state": "new"})
    records = changes(aws, arn, "met_orders", 3)
    updated, deleted, put = (points(span(recorded, name)) for name in ("UpdateItem", "DeleteItem", "PutItem"))
    assert len(updated) == 1
    assert updated == deleted == looks(records[0]) == looks(records[1])
    # What a key is, the update before has said.
    assert put == looks(records[2])


def test_a_put_points_nowhere_while_nobody_said_what_the_key_is(aws: RealAws, recorded: Any) -> None:
    table(aws, "unknown-orders")
    native = resource(aws, "unknown-orders")
    native.put_item(Item={"pk": "c", "sk": 1})
    assert points(span(recorded, "PutItem")) == set()
    native.get_item(Key={"pk": "c", "sk": 1})
    native.put_item(Item={"pk": "d", "sk": 1})
    assert len(points([one for one in recorded.spans if one.attributes["rpc.method"] == "PutItem"][-1])) == 1


def test_the_settings_say_what_the_key_is(aws: RealAws) -> None:
    arn = table(aws, "said-orders")
    dynamodb_keys.forget()
    with testing.recorder({"HOPTRACE_DYNAMODB_KEYS": "other:id; said-orders : sk, pk"}) as recorder:
        clients.install()
        aws.client("dynamodb").put_item(TableName="said-orders", Item={"pk": {"S": "a"}, "sk": {"N": "1"}})
    (record,) = changes(aws, arn, "said_orders", 1)
    assert looks(record) == points(span(recorder, "PutItem"))
    assert len(record.pointers) == 1


def test_batches_and_transactions_point_at_every_item(aws: RealAws, recorded: Any) -> None:
    arn = table(aws, "many-orders")
    client = aws.client("dynamodb")

    def key(name: str) -> Any:
        return {"pk": {"S": name}, "sk": {"N": "1"}}

    client.get_item(TableName="many-orders", Key=key("x"))
    client.batch_write_item(RequestItems={"many-orders": [{"PutRequest": {"Item": key(name)}} for name in "abce"]})
    client.batch_write_item(RequestItems={"many-orders": [{"DeleteRequest": {"Key": key("e")}}]})
    client.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": "many-orders", "Item": key("d")}},
            {"Delete": {"TableName": "many-orders", "Key": key("a")}},
            {
                "Update": {
                    "TableName": "many-orders",
                    "Key": key("b"),
                    "UpdateExpression": "SET t = :t",
                    "ExpressionAttributeValues": {":t": {"S": "x"}},
                }
            },
        ]
    )
    records = changes(aws, arn, "many_orders", 8)
    put, deleted = (points(one) for one in recorded.spans if one.attributes["rpc.method"] == "BatchWriteItem")
    transaction = points(span(recorded, "TransactWriteItems"))
    assert (len(put), len(deleted), len(transaction)) == (4, 1, 3)
    assert set().union(*map(looks, records)) == put | transaction
    assert looks(records[4]) == deleted


@pytest.mark.parametrize("form", ["typed", "native"])
def test_an_item_that_was_asked_to_carry_it_has_the_context_until_somebody_else_writes(
    form: str, aws: RealAws, injecting: Any
) -> None:
    name = f"told-orders-{form}"
    arn = table(aws, name)
    if form == "typed":
        item: Any = {"pk": {"S": "a"}, "sk": {"N": "1"}}
        before = copy.deepcopy(item)
        aws.client("dynamodb").put_item(TableName=name, Item=item)
    else:
        item = {"pk": "a", "sk": 1}
        before = copy.deepcopy(item)
        resource(aws, name).put_item(Item=item)
    assert item == before
    resource(aws, name).update_item(
        Key={"pk": "a", "sk": 1}, UpdateExpression="SET t = :t", ExpressionAttributeValues={":t": "x"}
    )
    put, updated = changes(aws, arn, f"told_{form}", 2)
    call = span(injecting, "PutItem")
    assert put.context is not None
    assert (put.context.trace_id, put.context.span_id) == (call.context.trace_id, call.context.span_id)
    assert updated.context is None
    assert looks(updated) == points(span(injecting, "UpdateItem"))


def test_every_put_of_a_batch_and_a_transaction_carries_it(aws: RealAws, injecting: Any) -> None:
    name = "told-many"
    arn = table(aws, name)
    with resource(aws, name).batch_writer() as batch:
        for pk in "ab":
            batch.put_item(Item={"pk": pk, "sk": 1})
    item = {"pk": {"S": "c"}, "sk": {"N": "1"}}
    actions = [{"Put": {"TableName": name, "Item": item}}]
    before = copy.deepcopy(actions)
    client = aws.client("dynamodb")
    client.transact_write_items(TransactItems=actions)
    # Sent again under its token, a transaction has to be the very same.
    token = {"TransactItems": [{"Put": {"TableName": name, "Item": {**item, "pk": {"S": "d"}}}}]}
    client.transact_write_items(ClientRequestToken="once", **token)
    assert actions == before
    records = changes(aws, arn, "told_many", 4)
    batch_call = span(injecting, "BatchWriteItem").context.span_id
    spans = [record.context.span_id if record.context is not None else "" for record in records]
    (transaction, _) = [one for one in injecting.spans if one.attributes["rpc.method"] == "TransactWriteItems"]
    assert spans == [batch_call, batch_call, transaction.context.span_id, ""]


# --- S3


def test_a_notification_of_s3_meets_who_wrote_the_object_at_the_requests_id(aws: RealAws, recorded: Any) -> None:
    """MiniStack gives the notification a request id of its own; S3 gives it the answer's, which is put there here."""
    arn = aws.function("met_uploads")
    events = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    bucket(aws, "met-uploads", LambdaFunctionConfigurations=[{"LambdaFunctionArn": arn, "Events": events}])
    client = aws.client("s3")
    for operation, answer in (
        ("PutObject", client.put_object(Bucket="met-uploads", Key="a", Body=b"x")),
        ("CopyObject", client.copy_object(Bucket="met-uploads", Key="b", CopySource="met-uploads/a")),
        ("DeleteObject", client.delete_object(Bucket="met-uploads", Key="a")),
    ):
        event = aws.event_for("met_uploads")
        event["Records"][0]["responseElements"]["x-amz-request-id"] = answer["ResponseMetadata"]["RequestId"]
        (record,) = identify(event).records
        assert len(record.pointers) == 1
        assert looks(record) == points(span(recorded, operation)), operation


def test_s3_over_a_bus_meets_at_the_requests_id_and_not_at_the_events(aws: RealAws) -> None:
    arn = aws.function("met_bus_uploads")
    events = aws.client("events")
    events.put_rule(Name="met-bus", EventPattern=json.dumps({"detail": {"bucket": {"name": ["met-bus-uploads"]}}}))
    events.put_targets(Rule="met-bus", Targets=[{"Id": "1", "Arn": arn}])
    bucket(aws, "met-bus-uploads", EventBridgeConfiguration={})
    aws.client("s3").put_object(Bucket="met-bus-uploads", Key="a b+.json", Body=b"xyz")
    event = aws.event_for("met_bus_uploads")
    arrival = identify(event)
    (record,) = arrival.records
    assert record.pointers == [("aws.s3", event["detail"]["request-id"])]
    assert arrival.attributes["aws.s3.bucket"] == "met-bus-uploads"
    assert arrival.attributes["aws.s3.key"] == "a b+.json"
    assert arrival.attributes["faas.document.operation"] == "insert"
    assert arrival.attributes["hoptrace.s3.size"] == 3


def test_whoever_gets_an_object_is_linked_to_who_wrote_it(aws: RealAws, injecting: Any) -> None:
    client = aws.client("s3")
    client.create_bucket(Bucket="told-uploads")
    given = {"Bucket": "told-uploads", "Key": "a", "Body": b"x", "Metadata": {"Mine": "1"}}
    before = copy.deepcopy(given)
    client.put_object(**given)
    assert given == before
    writer = span(injecting, "PutObject")
    assert client.get_object(Bucket="told-uploads", Key="a")["Metadata"]["mine"] == "1"
    client.head_object(Bucket="told-uploads", Key="a")
    for operation in ("GetObject", "HeadObject"):
        (link,) = span(injecting, operation).links
        assert (link.context.trace_id, link.context.span_id) == (writer.context.trace_id, writer.context.span_id)


def test_a_copy_has_its_copiers_context_only_when_its_metadata_is_replaced(aws: RealAws, injecting: Any) -> None:
    client = aws.client("s3")
    client.create_bucket(Bucket="copies")
    client.put_object(Bucket="copies", Key="a", Body=b"x")
    sent: list[bool] = []
    client.meta.events.register(
        "before-parameter-build.s3.CopyObject", lambda params, **_: sent.append("Metadata" in params)
    )
    client.copy_object(Bucket="copies", Key="b", CopySource="copies/a")
    client.copy_object(Bucket="copies", Key="c", CopySource="copies/a", MetadataDirective="REPLACE")
    assert sent == [False, True]
    put = span(injecting, "PutObject")
    copies = [one for one in injecting.spans if one.attributes["rpc.method"] == "CopyObject"]
    for key, writer in (("a", put), ("b", put), ("c", copies[1])):
        traceparent = client.head_object(Bucket="copies", Key=key)["Metadata"]["traceparent"]
        assert traceparent.split("-")[2] == writer.context.span_id, key


def test_an_upload_in_parts_carries_it_from_its_start_and_points_from_its_end(aws: RealAws, injecting: Any) -> None:
    client = aws.client("s3")
    client.create_bucket(Bucket="parts")
    upload = client.create_multipart_upload(Bucket="parts", Key="a")["UploadId"]
    part = client.upload_part(Bucket="parts", Key="a", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    client.complete_multipart_upload(Bucket="parts", Key="a", UploadId=upload, MultipartUpload=parts)
    started = span(injecting, "CreateMultipartUpload")
    traceparent = client.head_object(Bucket="parts", Key="a")["Metadata"]["traceparent"]
    assert traceparent.split("-")[2] == started.context.span_id
    assert points(started) == points(span(injecting, "UploadPart")) == set()
    assert len(points(span(injecting, "CompleteMultipartUpload"))) == 1


@pytest.mark.parametrize("missing", [(), ("_sha2",), ("_sha2", "_sha256")])
def test_a_point_is_the_documented_digest_whichever_module_makes_it(
    missing: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hoptrace.pointers._found", [])
    for module in missing:
        monkeypatch.setitem(sys.modules, module, None)
    digest = hashlib.sha256("aws_sqs\nn\u00famero".encode()).hexdigest()
    point = derive(("aws_sqs", "n\u00famero"))
    assert (point.trace_id, point.span_id) == (digest[:32], digest[32:48])
