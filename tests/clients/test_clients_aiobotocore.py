"""aiobotocore, and aioboto3 where it is installed, against a real server: botocore's own spans and carriers."""

import asyncio
import contextlib
import importlib.util
import inspect
import json
import re
import weakref

import botocore.exceptions
import pytest
from aiobotocore.client import AioBaseClient
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

import hoptrace
from hoptrace import clients, spans, testing
from hoptrace.spans import CLIENT, ERROR, PRODUCER, start_span
from tests.clients import http_server

KEYS = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "secret", "region_name": "eu-west-1"}
TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01")


def run(service, url, steps, **config):
    """`steps(client)` with a client of this service."""

    async def whole():
        options = AioConfig(s3={"addressing_style": "path"}, **config)
        async with get_session().create_client(service, endpoint_url=url, config=options, **KEYS) as client:
            return await steps(client)

    return asyncio.run(whole())


@pytest.fixture
def server():
    with http_server.running() as found:
        yield found


def test_a_call_has_botocores_span_and_its_context_travels(aws, recorded):
    async def steps(sqs):
        url = (await sqs.create_queue(QueueName="async-orders"))["QueueUrl"]
        mine = {"QueueUrl": url, "MessageBody": "b"}
        await sqs.send_message(**mine)
        assert set(mine) == {"QueueUrl", "MessageBody"}
        return await sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])

    (message,) = run("sqs", aws, steps)["Messages"]
    create, send, receive = recorded.spans
    assert [(span.name, span.kind) for span in recorded.spans] == [
        ("SQS.CreateQueue", CLIENT),
        ("send async-orders", PRODUCER),
        ("receive async-orders", CLIENT),
    ]
    assert send.attributes["messaging.message.id"] == message["MessageId"]
    assert receive.attributes["messaging.message.id"] == message["MessageId"]
    assert message["MessageAttributes"]["traceparent"]["StringValue"].split("-")[2] == send.context.span_id
    assert create.attributes["server.port"] == int(aws.rpartition(":")[2])


def test_a_service_error_is_the_clients_own_and_is_recorded(aws, recorded):
    async def steps(sqs):
        with pytest.raises(sqs.exceptions.QueueDoesNotExist) as caught:
            await sqs.get_queue_url(QueueName="nobody")
        return caught.value

    error = run("sqs", aws, steps)
    (span,) = recorded.spans
    assert span.attributes["error.type"] == error.response["Error"]["Code"]
    assert span.status == (ERROR, str(error))


def test_a_body_that_streams_is_left_for_the_user_to_read(aws, recorded):
    async def steps(s3):
        with contextlib.suppress(botocore.exceptions.ClientError):
            await s3.create_bucket(Bucket="async-stream", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        await s3.put_object(Bucket="async-stream", Key="k", Body=b"x" * 100_000)
        answer = await s3.get_object(Bucket="async-stream", Key="k")
        ended = len(recorded.spans)
        async with answer["Body"] as body:
            assert len(await body.read()) == 100_000
        assert len(recorded.spans) == ended

    run("s3", aws, steps)
    assert recorded.spans[-1].name == "S3.GetObject"
    assert recorded.spans[-1].attributes["aws.s3.key"] == "k"


def test_pages_and_waiters_are_one_call_each_and_a_presigned_address_is_none(aws, recorded):
    async def dynamodb(client):
        return [page async for page in client.get_paginator("list_tables").paginate()]

    async def s3(client):
        waiter = client.get_waiter("bucket_exists")
        with pytest.raises(botocore.exceptions.WaiterError):
            await waiter.wait(Bucket="none", WaiterConfig={"Delay": 0, "MaxAttempts": 2})
        assert "Signature" in await client.generate_presigned_url("get_object", {"Bucket": "b", "Key": "k"})

    assert len(run("dynamodb", aws, dynamodb)) == 1
    run("s3", aws, s3)
    assert [span.name for span in recorded.spans] == ["DynamoDB.ListTables", "S3.HeadBucket", "S3.HeadBucket"]


def test_fifty_calls_at_once_are_each_their_own_span_and_carry_it(server, in_lambda):
    async def steps(sts):
        outer = start_span("outer")
        token = spans.activate(outer)
        await asyncio.gather(*(sts.get_caller_identity() for _ in range(50)))
        assert spans.current_span() is outer
        spans.restore(token)
        return outer

    outer = run("sts", server.url, steps)
    assert [span.name for span in in_lambda.spans] == ["STS.GetCallerIdentity"] * 50
    assert {span.parent_id for span in in_lambda.spans} == {outer.context.span_id}
    carried = {re.search("Parent=([0-9a-f]{16})", sent).group(1) for sent in server.headers("x-amzn-trace-id")}
    assert carried == {span.context.span_id for span in in_lambda.spans}


def test_what_its_session_sends_makes_no_span_and_carries_no_traceparent(server, recorded):
    async def steps(sts):
        await sts.get_caller_identity()

    run("sts", server.url, steps)
    assert [span.name for span in recorded.spans] == ["STS.GetCallerIdentity"]
    assert server.headers("traceparent") == [None]


if importlib.util.find_spec("aiobotocore.httpxsession") is not None:  # older versions have no session by httpx

    def test_what_its_session_sends_by_httpx_makes_no_span_either(server, recorded):
        from aiobotocore.httpxsession import HttpxSession

        async def steps(sts):
            await sts.get_caller_identity()

        run("sts", server.url, steps, http_session_cls=HttpxSession)
        assert [span.name for span in recorded.spans] == ["STS.GetCallerIdentity"]
        assert server.headers("traceparent") == [None]


def test_retries_are_one_span_that_counts_them(server, recorded):
    async def steps(dynamodb):
        with pytest.raises(botocore.exceptions.ClientError):
            await dynamodb.list_tables()

    run("dynamodb", f"{server.url}/throttled", steps, retries={"mode": "standard", "total_max_attempts": 2})
    (span,) = recorded.spans
    assert span.attributes["http.request.resend_count"] == 1
    assert span.attributes["error.type"] == "ThrottlingException"
    assert span.attributes["hoptrace.aws.throttle_count"] == 2
    assert span.attributes["hoptrace.aws.retry_reasons"] == ["ThrottlingException"]


def test_a_call_that_is_cancelled_is_cancelled_and_says_so(server, recorded):
    async def steps(sts):
        task = asyncio.create_task(sts.get_caller_identity())
        while not server.seen:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return spans.current_span()

    assert run("sts", f"{server.url}/slow/2", steps) is None
    (span,) = recorded.spans
    assert span.attributes["error.type"] == "asyncio.exceptions.CancelledError"


def test_the_users_parameters_and_secrets_are_in_no_record(aws, recorded):
    async def steps(secrets):
        with contextlib.suppress(botocore.exceptions.ClientError):
            await secrets.create_secret(Name="async-db", SecretString="hunter2")
        return (await secrets.get_secret_value(SecretId="async-db"))["SecretString"]

    assert run("secretsmanager", aws, steps) == "hunter2"
    assert "hunter2" not in json.dumps(recorded.records)


def test_a_denied_action_is_never_sent_and_what_models_mark_is_not_recorded(server):
    async def steps(sqs):
        with pytest.raises(hoptrace.Denied, match="sqs:ListQueues"):
            await sqs.list_queues()

    environ = {"HOPTRACE_POLICY": "block", "HOPTRACE_POLICY_DENY": "sqs:List*", "HOPTRACE_CAPTURE": "aws"}
    with testing.recorder(environ) as recorder:
        clients.install()
        run("sqs", server.url, steps)
        assert server.seen == []
        assert recorder.spans[0].attributes["hoptrace.policy.denied"] == "sqs:list*"

        async def keyed(s3):
            with contextlib.suppress(botocore.exceptions.ClientError):
                await s3.head_object(
                    Bucket="b", Key="k", SSECustomerKey="of-no-word" * 3, SSECustomerAlgorithm="AES256"
                )

        run("s3", server.url, keyed)
        assert '"SSECustomerKey":"REDACTED"' in recorder.spans[1].attributes["hoptrace.aws.request"]
        assert "of-no-word" not in json.dumps(recorder.records)


def test_the_method_is_a_coroutine_still_and_its_own_again_when_taken_back(recorded):
    assert inspect.iscoroutinefunction(AioBaseClient._make_api_call)
    clients.uninstall()
    assert "hoptrace" not in AioBaseClient.__dict__["_make_api_call"].__code__.co_filename


def test_a_client_is_not_kept_alive(server, recorded):
    kept = []

    async def steps(sts):
        await sts.get_caller_identity()
        kept.append(weakref.ref(sts.meta.events))

    run("sts", server.url, steps)
    import gc

    gc.collect()
    assert kept[0]() is None


if importlib.util.find_spec("aioboto3") is not None:

    def test_resources_and_the_managed_transfer_of_aioboto3_are_calls_too(aws, recorded):
        import aioboto3

        async def whole():
            session = aioboto3.Session(**KEYS)
            async with session.resource("dynamodb", endpoint_url=aws) as dynamodb:
                with contextlib.suppress(botocore.exceptions.ClientError):
                    await dynamodb.create_table(
                        TableName="async-orders",
                        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                        BillingMode="PAY_PER_REQUEST",
                    )
                table = await dynamodb.Table("async-orders")
                await table.put_item(Item={"id": "1"})
                return (await table.get_item(Key={"id": "1"}))["Item"]

        assert asyncio.run(whole()) == {"id": "1"}
        names = [span.name for span in recorded.spans]
        assert names[-2:] == ["DynamoDB.PutItem", "DynamoDB.GetItem"]
        assert recorded.spans[-1].attributes["db.collection.name"] == "async-orders"
