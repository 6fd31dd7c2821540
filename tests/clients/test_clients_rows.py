"""Every row of the services' table, called for real: the span that a call must leave."""

import base64
import io
import json
import zipfile

import pytest
from rows_of_stores import ANY
from rows_of_stores import CASES as STORES

from hoptrace.services import SERVICES
from hoptrace.services import service as rows_of
from hoptrace.spans import CLIENT, ERROR, PRODUCER, UNSET

ACCOUNT = "123456789012"


def queue(client):
    return client("sqs").create_queue(QueueName="orders")["QueueUrl"]


def received(client):
    url = queue(client)
    client("sqs").send_message(QueueUrl=url, MessageBody="to delete")
    (message,) = client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=1)["Messages"]
    return {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}


def topic(client):
    return client("sns").create_topic(Name="orders")["TopicArn"]


def stream(client):
    kinesis = client("kinesis")
    if "clicks" not in kinesis.list_streams()["StreamNames"]:
        kinesis.create_stream(StreamName="clicks", ShardCount=1)
    return kinesis.describe_stream(StreamName="clicks")["StreamDescription"]


def function(client):
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "def handler(event, context): return event")
    iam, lambda_ = client("iam"), client("lambda")
    try:
        role = iam.create_role(RoleName="billing", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        lambda_.create_function(
            FunctionName="billing",
            Runtime="python3.12",
            Role=role,
            Handler="app.handler",
            Code={"ZipFile": code.getvalue()},
        )
    except (iam.exceptions.EntityAlreadyExistsException, lambda_.exceptions.ResourceConflictException):
        pass
    return "billing"


def machine(client):
    steps = client("stepfunctions")
    made = steps.list_state_machines()["stateMachines"]
    if made:
        return made[0]["stateMachineArn"]
    return steps.create_state_machine(
        name="flow",
        definition=json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}),
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/flow",
    )["stateMachineArn"]


def secret(client):
    secrets = client("secretsmanager")
    try:
        return secrets.create_secret(Name="db", SecretString="hunter2")["ARN"]
    except secrets.exceptions.ResourceExistsException:
        return secrets.describe_secret(SecretId="db")["ARN"]


SQS = {"messaging.system": "aws_sqs", "messaging.destination.name": "orders", "aws.sqs.queue.url": ANY}
SNS = {
    "messaging.system": "aws.sns",
    "messaging.destination.name": "orders",
    "aws.sns.topic.arn": f"arn:aws:sns:eu-west-1:{ACCOUNT}:orders",
}
KINESIS = {
    "messaging.system": "aws.kinesis",
    "messaging.destination.name": "clicks",
    "aws.kinesis.stream_name": "clicks",
}
SEND = {"messaging.operation.name": "send", "messaging.operation.type": "send"}
RECEIVE = {"messaging.operation.name": "receive", "messaging.operation.type": "receive"}
DELETE = {"messaging.operation.name": "delete", "messaging.operation.type": "settle"}
BATCH = {"messaging.batch.message_count": 2, "hoptrace.messaging.message_ids": [ANY, ANY]}
INVOKED = {"faas.invoked_name": "billing", "faas.invoked_provider": "aws", "faas.invoked_region": "eu-west-1"}

# (service, row, what to set up, operation, parameters, span's name, kind, attributes beside those of every call)
CASES = [
    (
        "sqs",
        "SendMessage",
        queue,
        "SendMessage",
        lambda url: {"QueueUrl": url, "MessageBody": "PRIVATE"},
        "send orders",
        PRODUCER,
        {**SQS, **SEND, "messaging.message.id": ANY},
    ),
    (
        "sqs",
        "SendMessageBatch",
        queue,
        "SendMessageBatch",
        lambda url: {"QueueUrl": url, "Entries": [{"Id": i, "MessageBody": "PRIVATE"} for i in "ab"]},
        "send orders",
        PRODUCER,
        {**SQS, **SEND, **BATCH},
    ),
    (
        "sqs",
        "ReceiveMessage",
        queue,
        "ReceiveMessage",
        lambda url: {"QueueUrl": url, "MaxNumberOfMessages": 1},
        "receive orders",
        CLIENT,
        {**SQS, **RECEIVE, "messaging.batch.message_count": ANY, "messaging.message.id": None},
    ),
    (
        "sqs",
        "DeleteMessage",
        received,
        "DeleteMessage",
        lambda found: found,
        "delete orders",
        CLIENT,
        {**SQS, **DELETE},
    ),
    (
        "sqs",
        "DeleteMessageBatch",
        queue,
        "DeleteMessageBatch",
        lambda url: {"QueueUrl": url, "Entries": [{"Id": i, "ReceiptHandle": i} for i in "ab"]},
        "delete orders",
        CLIENT,
        {
            **SQS,
            **DELETE,
            "messaging.batch.message_count": 2,
            "error.type": None,
            "hoptrace.messaging.failed_count": None,
        },
    ),
    (
        "sqs",
        None,
        queue,
        "GetQueueAttributes",
        lambda url: {"QueueUrl": url},
        "SQS.GetQueueAttributes",
        CLIENT,
        {"aws.sqs.queue.url": ANY},
    ),
    (
        "sns",
        "Publish",
        topic,
        "Publish",
        lambda arn: {"TopicArn": arn, "Message": "PRIVATE", "Subject": "PRIVATE"},
        "send orders",
        PRODUCER,
        {**SNS, **SEND, "messaging.message.id": ANY},
    ),
    (
        "sns",
        "PublishBatch",
        topic,
        "PublishBatch",
        lambda arn: {"TopicArn": arn, "PublishBatchRequestEntries": [{"Id": i, "Message": "PRIVATE"} for i in "ab"]},
        "send orders",
        PRODUCER,
        {**SNS, **SEND, **BATCH},
    ),
    (
        "sns",
        None,
        topic,
        "GetTopicAttributes",
        lambda arn: {"TopicArn": arn},
        "SNS.GetTopicAttributes",
        CLIENT,
        {"aws.sns.topic.arn": SNS["aws.sns.topic.arn"]},
    ),
    (
        "events",
        "PutEvents",
        lambda _client: None,
        "PutEvents",
        lambda _: {"Entries": [{"Source": "shop", "DetailType": "Paid", "Detail": '{"card": "PRIVATE"}'}] * 2},
        "send default",
        PRODUCER,
        {"messaging.system": "aws.eventbridge", "messaging.destination.name": "default", **SEND, **BATCH},
    ),
    ("events", None, lambda _client: None, "ListEventBuses", lambda _: {}, "EventBridge.ListEventBuses", CLIENT, {}),
    (
        "kinesis",
        "PutRecord",
        stream,
        "PutRecord",
        lambda _: {"StreamName": "clicks", "Data": b"PRIVATE", "PartitionKey": "PRIVATE"},
        "send clicks",
        PRODUCER,
        {**KINESIS, **SEND, "messaging.message.id": ANY},
    ),
    (
        "kinesis",
        "PutRecords",
        stream,
        "PutRecords",
        lambda found: {
            "StreamARN": found["StreamARN"],
            "Records": [{"Data": b"PRIVATE", "PartitionKey": "PRIVATE"}] * 2,
        },
        "send clicks",
        PRODUCER,
        {**KINESIS, **SEND, "messaging.batch.message_count": 2},
    ),
    (
        "kinesis",
        "GetRecords",
        lambda client: client("kinesis").get_shard_iterator(
            StreamName=stream(client)["StreamName"], ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
        ),
        "GetRecords",
        lambda found: {
            "ShardIterator": found["ShardIterator"],
            "StreamARN": f"arn:aws:kinesis:eu-west-1:{ACCOUNT}:stream/clicks",
        },
        "receive clicks",
        CLIENT,
        {**KINESIS, **RECEIVE, "messaging.batch.message_count": ANY},
    ),
    (
        "kinesis",
        None,
        stream,
        "DescribeStreamSummary",
        lambda _: {"StreamName": "clicks"},
        "Kinesis.DescribeStreamSummary",
        CLIENT,
        {"aws.kinesis.stream_name": "clicks"},
    ),
    (
        "lambda",
        "Invoke",
        function,
        "Invoke",
        lambda name: {"FunctionName": name, "Payload": b'"PRIVATE"'},
        "Lambda.Invoke",
        CLIENT,
        INVOKED,
    ),
    (
        "lambda",
        "InvokeAsync",
        function,
        "InvokeAsync",
        lambda name: {"FunctionName": name, "InvokeArgs": b'"PRIVATE"'},
        "Lambda.InvokeAsync",
        CLIENT,
        INVOKED,
    ),
    (
        "lambda",
        None,
        function,
        "GetFunction",
        lambda name: {"FunctionName": name},
        "Lambda.GetFunction",
        CLIENT,
        {},
    ),
    (
        "stepfunctions",
        "StartExecution",
        machine,
        "StartExecution",
        lambda arn: {"stateMachineArn": arn, "input": '"PRIVATE"'},
        "SFN.StartExecution",
        CLIENT,
        {"aws.step_functions.state_machine.arn": ANY, "hoptrace.step_functions.execution_arn": ANY},
    ),
    (
        "stepfunctions",
        None,
        machine,
        "DescribeStateMachine",
        lambda arn: {"stateMachineArn": arn},
        "SFN.DescribeStateMachine",
        CLIENT,
        {"aws.step_functions.state_machine.arn": ANY},
    ),
    (
        "secretsmanager",
        None,
        secret,
        "GetSecretValue",
        lambda _: {"SecretId": "db"},
        "SecretsManager.GetSecretValue",
        CLIENT,
        {"aws.secretsmanager.secret.arn": ANY},
    ),
    *STORES,
]

# What no emulator of ours answers, shown in `test_clients_calls.py` and `test_clients_step_functions.py` by answers of
# AWS's shape over the wire.
ELSEWHERE = {
    ("lambda", "InvokeWithResponseStream"),
    ("stepfunctions", "SendTaskSuccess"),
    ("stepfunctions", "StartSyncExecution"),
}
# Shown in `test_clients_guarded.py`.
GUARDED = ("ssm", "kms", "sts", "bedrock-runtime", "bedrock-agent-runtime")


def test_every_row_of_the_table_has_a_case():
    rows = {
        (service, operation)
        for service, entry in ((name, rows_of(name)) for name in SERVICES)
        for operation in (*entry.rows, None)
    }
    rows = {row for row in rows if row[0] not in GUARDED}
    assert rows - ELSEWHERE == {case[:2] for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=[f"{case[0]}.{case[3]}" for case in CASES])
def test_a_call_leaves_one_span_by_the_conventions(case, client, recorded):
    service, _, set_up, operation, params, name, kind, attributes = case
    given = params(set_up(client))
    del recorded.spans[:]
    made = client(service)
    answer = made._make_api_call(operation, given)
    (span,) = recorded.spans
    assert (span.name, span.kind, span.parent_id) == (name, kind, "")
    found = dict(span.attributes)
    assert found.pop("rpc.system.name") == "aws-api"
    assert found.pop("rpc.method") == operation
    assert found.pop("cloud.region") == "eu-west-1"
    assert found.pop("server.address") == "127.0.0.1"
    assert found.pop("server.port") == int(made.meta.endpoint_url.rpartition(":")[2])
    assert found.pop("http.response.status_code") == answer["ResponseMetadata"]["HTTPStatusCode"]
    assert found.pop("aws.request_id", None) == answer["ResponseMetadata"].get("RequestId")
    for key, value in attributes.items():  # None: may be there or not, by what the emulator answers
        if value is None:
            found.pop(key, None)
        else:
            assert same(found.pop(key, "(missing)"), value), key
    assert found == {}
    assert span.status == (UNSET, "") or ("error.type" in span.attributes and span.status[0] == ERROR)


@pytest.mark.parametrize("case", CASES, ids=[f"{case[0]}.{case[3]}" for case in CASES])
def test_nothing_of_what_the_user_sends_or_gets_is_in_the_record(case, client, recorded):
    service, _, set_up, operation, params, *_ = case
    given = params(set_up(client))
    client(service)._make_api_call(operation, given)
    text = json.dumps(recorded.records, default=str)
    for private in ("PRIVATE", base64.b64encode(b"PRIVATE").decode(), "hunter2"):
        assert private not in text


def same(found, wanted):
    if wanted is ANY:
        return found != "(missing)" and found not in ("", None)
    if isinstance(wanted, list) and isinstance(found, list):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    return found == wanted and type(found) is type(wanted)
