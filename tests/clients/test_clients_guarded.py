"""Throttles and retries, models, and the services that guard something: what is told of them, and what never is."""

import contextlib
import io
import json

import botocore.exceptions
import pytest
from botocore.config import Config

from hoptrace import spans
from hoptrace.spans import CLIENT, ERROR

STANDARD = {"config": Config(retries={"total_max_attempts": 3, "mode": "standard"})}
LEGACY = {"config": Config(retries={"total_max_attempts": 3, "mode": "legacy"})}
ROLE = "arn:aws:iam::123456789012:role/reader"


def refused(code, status=400):
    return status, {"x-amzn-RequestId": "r"}, json.dumps({"__type": code, "message": "m"}).encode()


FINE = (200, {}, b"{}")


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _seconds: None)


@pytest.mark.parametrize("mode", [STANDARD, LEGACY], ids=["standard", "legacy"])
def test_a_throttle_that_botocore_retried_is_told_though_the_call_went_well(mode, wire, recorded):
    code = "ProvisionedThroughputExceededException"
    dynamodb = wire("dynamodb", refused(code), refused("InternalServerError", 500), FINE, **mode)
    dynamodb.client.list_tables()
    (span,) = recorded.spans
    assert span.status == (spans.UNSET, "")
    assert span.attributes["hoptrace.aws.throttle_count"] == 1
    assert span.attributes["hoptrace.aws.retry_reasons"] == [code, "InternalServerError"]
    assert span.attributes["http.request.resend_count"] == 2


@pytest.mark.parametrize(
    "code", ["ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException", "SlowDown"]
)
def test_a_throttle_that_was_never_overcome_is_the_error_and_each_is_counted(code, wire, recorded):
    dynamodb = wire("dynamodb", refused(code), **STANDARD)
    with pytest.raises(botocore.exceptions.ClientError):
        dynamodb.client.list_tables()
    (span,) = recorded.spans
    assert (span.status[0], span.attributes["error.type"]) == (ERROR, code)
    assert span.attributes["hoptrace.aws.throttle_count"] == len(dynamodb.requests)
    # The last attempt's failure is the error, not the reason of a retry.
    assert span.attributes.get("hoptrace.aws.retry_reasons", []) == [code] * (len(dynamodb.requests) - 1)


def test_a_status_of_429_is_a_throttle_whatever_it_is_called(wire, recorded):
    with pytest.raises(botocore.exceptions.ClientError):
        wire("lambda", refused("Anything", 429), **STANDARD).client.list_functions()
    assert recorded.spans[0].attributes["hoptrace.aws.throttle_count"] >= 1


def test_an_error_that_is_no_throttle_counts_as_none(wire, recorded):
    with pytest.raises(botocore.exceptions.ClientError):
        wire("dynamodb", refused("ResourceNotFoundException"), **STANDARD).client.describe_table(TableName="none")
    assert not [key for key in recorded.spans[0].attributes if key.startswith("hoptrace.aws.")]


KINESIS_ENTRIES = [{"SequenceNumber": "1", "ShardId": "s"}, {"ErrorCode": "ProvisionedThroughputExceededException"}]
THROTTLED_ENTRIES = {
    "kinesis": (
        "put_records",
        {"StreamName": "clicks", "Records": [{"Data": b"a", "PartitionKey": "p"}] * 3},
        {"FailedRecordCount": 2, "Records": [*KINESIS_ENTRIES, KINESIS_ENTRIES[1]]},
    ),
    "events": (
        "put_events",
        {"Entries": [{"Source": "a", "DetailType": "b", "Detail": "{}"}] * 2},
        {"FailedEntryCount": 1, "Entries": [{"EventId": "1"}, {"ErrorCode": "ThrottlingException"}]},
    ),
    "sqs": (
        "send_message_batch",
        {"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/1/q", "Entries": [{"Id": "a", "MessageBody": "b"}]},
        {"Successful": [], "Failed": [{"Id": "a", "SenderFault": False, "Code": "KmsThrottled"}]},
    ),
}


@pytest.mark.parametrize("service", THROTTLED_ENTRIES)
def test_entries_that_were_throttled_in_a_call_that_succeeded_count_as_a_throttle_of_it(service, wire, recorded):
    method, params, answer = THROTTLED_ENTRIES[service]
    getattr(wire(service, (200, {}, json.dumps(answer).encode()), **STANDARD).client, method)(**params)
    (span,) = recorded.spans
    assert span.status[0] == ERROR
    assert span.attributes["hoptrace.aws.throttle_count"] == 1
    assert "hoptrace.aws.retry_reasons" not in span.attributes


def test_entries_that_were_refused_for_another_reason_are_no_throttle(wire, recorded):
    method, params, _ = THROTTLED_ENTRIES["events"]
    answer = {"FailedEntryCount": 1, "Entries": [{"EventId": "1"}, {"ErrorCode": "MalformedDetail"}]}
    getattr(wire("events", (200, {}, json.dumps(answer).encode())).client, method)(**params)
    assert "hoptrace.aws.throttle_count" not in recorded.spans[0].attributes


def test_what_dynamodb_left_undone_of_a_batch_is_counted(wire, recorded):
    put = {"PutRequest": {"Item": {"id": {"S": "1"}}}}
    key = {"id": {"S": "1"}}
    for answer in (
        {"UnprocessedItems": {"orders": [put, put], "users": [put]}},
        {"UnprocessedItems": {}},
        {"Responses": {}, "UnprocessedKeys": {"orders": {"Keys": [key, key]}}},
    ):
        client = wire("dynamodb", (200, {}, json.dumps(answer).encode())).client
        if "Responses" in answer:
            client.batch_get_item(RequestItems={"orders": {"Keys": [key]}})
        else:
            client.batch_write_item(RequestItems={"orders": [put]})
    told = [span.attributes.get("hoptrace.dynamodb.unprocessed_count") for span in recorded.spans]
    assert told == [3, None, 2]


def test_a_connection_that_failed_is_a_reason_too(wire, recorded):
    sqs = wire("sqs", **STANDARD)
    calls = []

    def once(**_):
        calls.append(1)
        if len(calls) == 1:
            raise botocore.exceptions.ConnectTimeoutError(endpoint_url="https://x")

    sqs.client.meta.events.register_first("before-send.sqs.ListQueues", once)
    sqs.client.list_queues()
    (span,) = recorded.spans
    assert span.attributes["hoptrace.aws.retry_reasons"] == ["botocore.exceptions.ConnectTimeoutError"]
    assert "hoptrace.aws.throttle_count" not in span.attributes


def test_whether_there_is_a_retry_is_botocores_decision_alone(wire, recorded):
    from hoptrace import clients

    def attempts(traced):
        dynamodb = wire("dynamodb", refused("ThrottlingException"), **STANDARD)
        (clients.install if traced else clients.uninstall)()
        with contextlib.suppress(botocore.exceptions.ClientError):
            dynamodb.client.list_tables()
        return len(dynamodb.requests)

    assert attempts(traced=False) == attempts(traced=True) == 3


def test_capacity_is_told_where_the_call_asked_for_it(wire, recorded):
    one = {"TableName": "orders", "CapacityUnits": 2.5}
    single = wire("dynamodb", (200, {}, json.dumps({"ConsumedCapacity": one}).encode())).client
    single.get_item(TableName="orders", Key={"id": {"S": "1"}}, ReturnConsumedCapacity="TOTAL")
    many = wire("dynamodb", (200, {}, json.dumps({"ConsumedCapacity": [one, one], "Responses": {}}).encode())).client
    many.batch_get_item(RequestItems={"orders": {"Keys": [{"id": {"S": "1"}}]}}, ReturnConsumedCapacity="TOTAL")
    wire("dynamodb").client.get_item(TableName="orders", Key={"id": {"S": "1"}})
    told = [span.attributes.get("aws.dynamodb.consumed_capacity") for span in recorded.spans]
    text = '{"TableName":"orders","CapacityUnits":2.5}'
    assert told == [[text], [text, text], None]


def test_a_conversation_with_a_model_is_told_by_its_model_and_tokens_only(wire, recorded):
    answer = {
        "output": {"message": {"role": "assistant", "content": [{"text": "PRIVATE"}]}},
        "stopReason": "end_turn",
        "usage": {
            "inputTokens": 10,
            "outputTokens": 5,
            "totalTokens": 115,
            "cacheReadInputTokens": 100,
            "cacheWriteInputTokens": 0,
        },
        "metrics": {"latencyMs": 1},
    }
    bedrock = wire("bedrock-runtime", (200, {}, json.dumps(answer).encode())).client
    got = bedrock.converse(
        modelId="arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-3-v1:0",
        messages=[{"role": "user", "content": [{"text": "PRIVATE"}]}],
        system=[{"text": "PRIVATE"}],
        inferenceConfig={"maxTokens": 512, "temperature": 0.5, "topP": 1, "stopSequences": ["PRIVATE"]},
    )
    assert got["output"] == answer["output"]
    (span,) = recorded.spans
    assert (span.name, span.kind) == ("chat eu.anthropic.claude-3-v1:0", CLIENT)
    told = {key: value for key, value in span.attributes.items() if key.startswith("gen_ai.")}
    assert told == {
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-3-v1:0",
        "gen_ai.request.max_tokens": 512,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 1.0,
        "gen_ai.usage.input_tokens": 110,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 100,
        "gen_ai.response.finish_reasons": ["end_turn"],
    }
    assert "PRIVATE" not in json.dumps(recorded.records)


@pytest.mark.parametrize(
    ("model", "done"),
    [("anthropic.claude-3-v1:0", "generate_content"), ("amazon.titan-embed-text-v2:0", "embeddings")],
)
def test_a_models_own_call_tells_tokens_from_its_headers_and_leaves_its_body(model, done, wire, recorded):
    headers = {"x-amzn-bedrock-input-token-count": "7", "x-amzn-bedrock-output-token-count": "3"}
    bedrock = wire("bedrock-runtime", (200, headers, b'{"completion": "PRIVATE"}')).client
    answer = bedrock.invoke_model(modelId=model, body=b'{"prompt": "PRIVATE"}', guardrailIdentifier="g1")
    (span,) = recorded.spans
    assert json.loads(answer["body"].read()) == {"completion": "PRIVATE"}
    assert span.name == f"{done} {model}"
    assert span.attributes["gen_ai.usage.input_tokens"] == 7
    assert span.attributes["gen_ai.usage.output_tokens"] == 3
    assert span.attributes["aws.bedrock.guardrail.id"] == "g1"
    assert "PRIVATE" not in json.dumps(recorded.records)


@pytest.mark.parametrize("operation", ["converse_stream", "invoke_model_with_response_stream"])
def test_a_models_stream_is_left_for_the_user_to_read(operation, wire, recorded):
    bedrock = wire("bedrock-runtime", (200, {}, b"")).client
    given = {"body": b"{}"} if operation.startswith("invoke") else {"messages": []}
    answer = getattr(bedrock, operation)(modelId="m.n", **given)
    (span,) = recorded.spans
    assert span.end_time
    stream = answer["body" if operation.startswith("invoke") else "stream"]
    assert type(stream).__name__ == "EventStream"
    assert list(stream) == []
    assert not [key for key in span.attributes if key.startswith("gen_ai.usage")]


def test_a_search_in_a_knowledge_base_and_an_agents_call_are_named_by_their_ids(wire, recorded):
    agents = wire("bedrock-agent-runtime").client
    agents.retrieve(knowledgeBaseId="KB12345678", retrievalQuery={"text": "PRIVATE"})
    (span,) = recorded.spans
    assert span.name == "BedrockAgentRuntime.Retrieve"
    assert span.attributes["aws.bedrock.knowledge_base.id"] == "KB12345678"
    assert "PRIVATE" not in json.dumps(recorded.records)


def test_parameters_are_told_by_name_and_path_and_their_values_never(client, recorded):
    ssm = client("ssm")
    ssm.put_parameter(Name="/shop/db", Value="hunter2", Type="SecureString", Overwrite=True)
    assert ssm.get_parameter(Name="/shop/db", WithDecryption=True)["Parameter"]["Value"] == "hunter2"
    ssm.get_parameters(Names=["/shop/db", "/none"])
    ssm.get_parameters_by_path(Path="/shop")
    told = [
        {key: value for key, value in span.attributes.items() if key.startswith("hoptrace.ssm")}
        for span in recorded.spans
    ]
    assert told == [
        {"hoptrace.ssm.parameter.name": "/shop/db"},
        {"hoptrace.ssm.parameter.name": "/shop/db", "hoptrace.ssm.decrypt": True},
        {"hoptrace.ssm.parameter.names": ["/shop/db", "/none"], "hoptrace.ssm.invalid_count": 1},
        {"hoptrace.ssm.parameter.path": "/shop"},
    ]
    assert "hunter2" not in json.dumps(recorded.records)


def test_keys_and_roles_are_told_and_what_they_guard_never(client, recorded):
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]
    sealed = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"PRIVATE", EncryptionContext={"for": "PRIVATE"})
    kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext={"for": "PRIVATE"})
    client("sts").assume_role(RoleArn=ROLE, RoleSessionName="PRIVATE", ExternalId="PRIVATE")
    _, encrypt, decrypt, assume = recorded.spans
    assert encrypt.attributes["hoptrace.kms.key_id"] == key["Arn"]
    assert decrypt.attributes["hoptrace.kms.key_id"] == key["Arn"]
    assert assume.attributes["hoptrace.sts.role.arn"] == ROLE
    text = json.dumps(recorded.records)
    assert "PRIVATE" not in text
    assert "SecretAccessKey" not in text


def test_an_execution_that_failed_is_an_error_of_the_call_that_waited_for_it(wire, recorded):
    body = {"executionArn": "arn:aws:states:r:1:express:flow:x:y", "status": "FAILED", "error": "Odd", "cause": "c"}
    answered = {**body, "startDate": 1, "stopDate": 2}
    wire("stepfunctions", (200, {}, json.dumps(answered).encode())).client.start_sync_execution(
        stateMachineArn="arn:aws:states:eu-west-1:123456789012:stateMachine:flow"
    )
    (span,) = recorded.spans
    assert span.status == (ERROR, "the execution that was started failed")
    assert span.attributes["error.type"] == "Odd"


def test_a_body_that_botocore_would_stream_out_is_not_read_by_us(client, recorded):
    class Once(io.BytesIO):
        reads = 0

        def read(self, *arguments):
            type(self).reads += 1
            return super().read(*arguments)

    s3 = client("s3")
    with contextlib.suppress(botocore.exceptions.ClientError):
        s3.create_bucket(Bucket="guarded", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="guarded", Key="k", Body=Once(b"x" * 1000))
    traced = Once.reads
    Once.reads = 0
    from hoptrace import clients

    clients.uninstall()
    s3.put_object(Bucket="guarded", Key="k", Body=Once(b"x" * 1000))
    assert Once.reads == traced
