"""What is recorded of which payload: streams are left to be read, guarded services are never told, off is off."""

import asyncio
import http.client
import io
import json
import subprocess
import sys
import time
import urllib.request

import pytest
import requests
import urllib3

import hoptrace
from hoptrace import capture, clients, testing
from tests.clients.conftest import Wire
from tests.clients.http_server import Server
from tests.clients.libraries import there
from tests.support import moto

BODIES = {"HOPTRACE_CAPTURE": "http"}
REQUEST, RESPONSE = "hoptrace.http.request.body", "hoptrace.http.response.body"
DOCUMENT = b'{"order":17,"token":"hunter2"}'
TOLD = '{"order":17,"token":"REDACTED"}'


@pytest.fixture(scope="module")
def server():
    made = Server()
    yield made
    made.close()


@pytest.fixture
def bodies():
    with testing.recorder(BODIES) as recorder:
        clients.install()
        yield lambda: [
            tuple(span.attributes.get(name) for name in (REQUEST, RESPONSE))
            for span in recorder.spans
            if span.kind == 3
        ]


def test_bodies_of_requests(server, bodies):
    with requests.Session() as session:
        assert session.post(server.url, data=DOCUMENT).content == DOCUMENT
        with session.post(server.url, data=DOCUMENT, stream=True) as streamed:
            assert streamed.raw.read() == DOCUMENT
        assert session.post(server.url, data=iter([DOCUMENT[:9], DOCUMENT[9:]])).status_code == 200
        assert session.post(server.url, data=io.BytesIO(DOCUMENT)).content == DOCUMENT
        assert session.get(server.url).content == b"hello"
    assert bodies() == [(TOLD, TOLD), (TOLD, None), (None, "hello"), (None, TOLD), (None, "hello")]


def test_bodies_of_urllib3(server, bodies):
    with urllib3.PoolManager() as manager:
        assert manager.request("POST", server.url, body=DOCUMENT).data == DOCUMENT
        answer = manager.request("POST", server.url, body=DOCUMENT, preload_content=False)
        assert answer.read(7) == DOCUMENT[:7]
        assert answer.read() == DOCUMENT[7:]
        assert manager.request("POST", server.url, body=io.BytesIO(DOCUMENT)).status == 200
    assert bodies()[:2] == [(TOLD, TOLD), (TOLD, None)]
    assert bodies()[2][0] is None


def test_bodies_of_the_standard_library(server, bodies):
    with urllib.request.urlopen(server.url, data=DOCUMENT) as answer:
        assert answer.read() == DOCUMENT
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("POST", "/", DOCUMENT)
    assert connection.getresponse().read() == DOCUMENT
    connection.request("POST", "/", io.BytesIO(DOCUMENT), {"Content-Length": str(len(DOCUMENT))})
    assert connection.getresponse().read() == DOCUMENT
    connection.close()
    assert bodies() == [(TOLD, None), (TOLD, None), (None, None)]


@pytest.mark.skipif(not there("aiohttp"), reason="no aiohttp")
def test_bodies_of_aiohttp(server, bodies):
    import aiohttp

    async def parts():
        yield DOCUMENT

    async def call():
        async with aiohttp.ClientSession() as session:
            async with session.post(server.url, data=DOCUMENT) as answer:
                assert await answer.read() == DOCUMENT
            async with session.post(server.url, json=json.loads(DOCUMENT)) as answer:
                assert json.loads(await answer.read()) == json.loads(DOCUMENT)
            async with session.post(server.url, data=parts(), headers={"Content-Length": "30"}) as answer:
                assert answer.status == 200

    asyncio.run(call())
    assert bodies() == [(TOLD, None), (TOLD, None), (None, None)]


def test_a_binary_body_and_an_empty_one(server, bodies):
    assert requests.post(server.url, data=b"\xff\x00" * 50).content == b"\xff\x00" * 50
    assert requests.post(server.url, data=b"").content == b"hello"
    assert bodies() == [("<binary, 100 bytes>", "<binary, 100 bytes>"), (None, "hello")]


@pytest.mark.parametrize(
    ("url", "guarded"),
    [
        ("https://secretsmanager.eu-west-1.amazonaws.com/", True),
        ("https://kms-fips.us-east-1.amazonaws.com", True),
        ("https://sts.amazonaws.com/?a=b", True),
        ("https://cognito-idp.eu-west-1.amazonaws.com/", True),
        ("https://vpce-1-2.ssm.eu-west-1.vpce.amazonaws.com/", True),
        ("http://localhost:2773/secretsmanager/get?secretId=x", True),
        ("https://sts.example.com/", False),
        ("https://api.example.com/?x=https://sts.amazonaws.com", False),
    ],
)
def test_bodies_of_services_of_secrets_are_never_recorded(url, guarded):
    with testing.recorder(BODIES):
        from hoptrace.spans import start_span

        span = start_span("GET")
        capture.record_body(span, REQUEST, url, b"body")
        assert (REQUEST not in span.attributes) is guarded


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("secretsmanager", lambda c: c.put_secret_value(SecretId="a", SecretString="plain")),
        ("ssm", lambda c: c.get_parameter(Name="plain", WithDecryption=True)),
        ("kms", lambda c: c.encrypt(KeyId="k", Plaintext=b"plain")),
        ("cognito-idp", lambda c: c.list_users(UserPoolId="eu-west-1_x", Filter="plain")),
        ("iam", lambda c: c.list_users(PathPrefix="/plain/")),
        ("apigateway", lambda c: c.create_api_key(name="k", value="plain")),
    ],
)
def test_calls_of_services_of_secrets_are_never_recorded(service, call):
    body = b"<R><ListUsersResult><Users/></ListUsersResult></R>" if service == "iam" else b'{"Name": "answered"}'
    wire = Wire(service, (200, {}, body))
    with testing.recorder({"HOPTRACE_CAPTURE": "aws"}) as recorder:
        clients.install()
        call(wire.client)
        assert len(recorder.spans) == 1
        assert not any(key.startswith("hoptrace.aws.re") for key in recorder.spans[0].attributes)


MARKED = {
    "s3": lambda c: c.get_object(Bucket="b", Key="told", SSECustomerKey=PLAIN, SSECustomerAlgorithm="AES256"),
    "events": lambda c: c.create_connection(
        Name="told",
        AuthorizationType="API_KEY",
        AuthParameters={
            "InvocationHttpParameters": {"HeaderParameters": [{"Key": "x-shop", "Value": PLAIN, "IsValueSecret": True}]}
        },
    ),
    "lambda": lambda c: c.update_function_configuration(
        FunctionName="told", Environment={"Variables": {"SHOP": PLAIN}}
    ),
    "sns": lambda c: c.publish(PhoneNumber=PLAIN, Message="told"),
    "bedrock-runtime": lambda c: c.converse(modelId="told", promptVariables={"name": {"text": PLAIN}}),
}
PUBLISHED = (200, {}, b"<PublishResponse><PublishResult/></PublishResponse>")
PLAIN = "thirty-two-characters-of-no-word"


@pytest.mark.parametrize("service", MARKED)
def test_what_aws_s_own_model_marks_as_sensitive_is_taken_out_whatever_it_is_called(service):
    wire = Wire(service, PUBLISHED) if service == "sns" else Wire(service)
    with testing.recorder({"HOPTRACE_CAPTURE": "aws"}) as recorder:
        clients.install()
        MARKED[service](wire.client)
        (span,) = recorder.spans
        assert "told" in span.attributes["hoptrace.aws.request"]
        assert "REDACTED" in span.attributes["hoptrace.aws.request"]
        assert PLAIN not in json.dumps(recorder.records)


def test_a_function_s_payload_and_an_execution_s_input_are_what_was_asked_for():
    with testing.recorder({"HOPTRACE_CAPTURE": "aws"}) as recorder:
        clients.install()
        Wire("lambda").client.invoke(FunctionName="f", Payload=b'{"order": "seven"}')
        machine = "arn:aws:states:eu-west-1:123456789012:stateMachine:flow"
        Wire("stepfunctions").client.start_execution(stateMachineArn=machine, input='{"order": "seven"}')
        for span in recorder.spans:
            assert "seven" in span.attributes["hoptrace.aws.request"]


def test_a_marked_member_that_the_settings_keep_is_told():
    with testing.recorder({"HOPTRACE_CAPTURE": "aws", "HOPTRACE_REDACT_KEEP": "PhoneNumber"}) as recorder:
        clients.install()
        Wire("sns", PUBLISHED).client.publish(PhoneNumber=PLAIN, Message="told")
        assert PLAIN in recorder.spans[0].attributes["hoptrace.aws.request"]


def test_the_marks_of_shapes_within_themselves_count_at_every_depth():
    from botocore.model import ServiceModel

    shapes = {
        "Node": {
            "type": "structure",
            "members": {"Word": {"shape": "Word"}, "Next": {"shape": "Nodes"}, "Plain": {"shape": "Plain"}},
        },
        "Nodes": {"type": "list", "member": {"shape": "Node"}},
        "Word": {"type": "string", "sensitive": True},
        "Plain": {"type": "string"},
    }
    operations = {"Put": {"name": "Put", "input": {"shape": "Node"}}}
    model = ServiceModel({"metadata": {}, "operations": operations, "shapes": shapes}, "nested")
    inner = {"Word": PLAIN, "Plain": "told", "Next": [{"Word": PLAIN, "Next": [{"Word": PLAIN, "Plain": "told too"}]}]}
    with testing.recorder({"HOPTRACE_CAPTURE": "aws", "HOPTRACE_CAPTURE_DEPTH": "30"}):
        from hoptrace.spans import start_span

        span = start_span("Nested.Put")
        capture.record_call(span, model, "Put", {"Next": [inner]})
        assert PLAIN not in span.attributes["hoptrace.aws.request"]
        assert "told too" in span.attributes["hoptrace.aws.request"]


def test_the_largest_models_take_no_time_to_look_through():
    from botocore.session import get_session

    from hoptrace.capture.sensitive import marked

    begun = time.process_time()
    for service, operation in (("quicksight", "UpdateAnalysis"), ("ec2", "RunInstances"), ("connect", "CreateUser")):
        model = get_session().get_service_model(service)
        assert marked(model, operation, answer=False)
        marked(model, operation, answer=True)
    assert time.process_time() - begun < 10


def test_every_name_of_a_guarded_service_is_botocores():
    from botocore.session import get_session

    assert set(get_session().get_available_services()) >= capture.GUARDED


def test_an_aws_call_s_streams_are_left_to_be_read():
    with moto.running() as address, testing.recorder({"HOPTRACE_CAPTURE": "aws"}) as recorder:
        clients.install()
        import boto3

        session = boto3.session.Session("AKIAIOSFODNN7EXAMPLE", "secret", region_name="us-east-1")
        s3 = session.client("s3", endpoint_url=address)
        s3.create_bucket(Bucket="orders")
        source = io.BytesIO(b"x" * 100)
        s3.put_object(Bucket="orders", Key="one", Body=source, Metadata={"password": "hunter2"})
        answer = s3.get_object(Bucket="orders", Key="one")
        assert answer["Body"].read(10) == b"x" * 10
        assert answer["Body"].read() == b"x" * 90
        put, got = (span.attributes for span in recorder.spans[-2:])
        assert json.loads(put["hoptrace.aws.request"])["Body"] == "<BytesIO>"
        assert json.loads(put["hoptrace.aws.request"])["Metadata"] == {"password": "REDACTED"}
        told = json.loads(got["hoptrace.aws.response"])
        assert told["Body"].startswith("<Streaming")
        assert told["ContentLength"] == 100
        assert "ResponseMetadata" not in told


def test_parameters_are_recorded_as_the_code_gave_them():
    wire = Wire("sqs")
    params = {"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/1/orders", "MessageBody": DOCUMENT.decode()}
    with testing.recorder({"HOPTRACE_CAPTURE": "aws"}) as recorder:
        clients.install()
        before = json.dumps(params)
        wire.client.send_message(**params)
        assert json.dumps(params) == before
        told = json.loads(recorder.spans[0].attributes["hoptrace.aws.request"])
    assert told == {"QueueUrl": params["QueueUrl"], "MessageBody": TOLD}


def invoked(event, environ, result=None):
    with testing.recorder(environ) as recorder:
        assert hoptrace.trace(lambda event, context: result)(event, testing.LambdaContext()) is result
        return recorder.ended()[-1]["attributes"], recorder.records


def test_an_event_is_told_with_the_beginning_so_that_a_timeout_has_it():
    _, records = invoked({"order": 17}, {"HOPTRACE_CAPTURE": "event"})
    assert records[0]["type"] == "begin"
    assert records[0]["span"]["attributes"]["hoptrace.event"] == '{"order":17}'


def test_what_is_cut_says_so():
    attributes, _ = invoked(
        {"order": "x" * 100}, {"HOPTRACE_CAPTURE": "event,response", "HOPTRACE_CAPTURE_BYTES": "20"}, {"ok": 1}
    )
    assert attributes["hoptrace.event"] == '{"order":"xxxxx…"}'
    assert attributes["hoptrace.event.truncated"] is True
    assert attributes["hoptrace.response"] == '{"ok":1}'
    assert "hoptrace.response.truncated" not in attributes


def test_events_of_cognito_are_never_recorded():
    event = {
        "triggerSource": "PreSignUp_SignUp",
        "userPoolId": "eu-west-1_x",
        "region": "eu-west-1",
        "userName": "bob",
        "version": "1",
        "callerContext": {"clientId": "x"},
        "request": {"userAttributes": {}},
        "response": {},
    }
    attributes, _ = invoked(event, {"HOPTRACE_CAPTURE": "event,response"}, event)
    assert attributes["hoptrace.trigger"] == "cognito"
    assert not any(key in attributes for key in ("hoptrace.event", "hoptrace.response"))


@pytest.mark.parametrize("asked", ["event", "response", "aws", "http", "locals"])
def test_nothing_is_recorded_that_was_not_asked_for(asked, server):
    wire = Wire("sqs")

    def handler(event, context):
        wire.client.list_queues(QueueNamePrefix="x")
        requests.post(server.url, data=DOCUMENT)
        raise ValueError("x")

    with testing.recorder({"HOPTRACE_CAPTURE": asked}) as recorder:
        clients.install()
        with pytest.raises(ValueError, match="x"):
            hoptrace.trace(handler)({"a": 1}, testing.LambdaContext())
        hoptrace.trace(lambda event, context: {"b": 1})({}, testing.LambdaContext(request_id="2"))
        text = json.dumps(recorder.records)
    names = {
        "event": "hoptrace.event",
        "response": "hoptrace.response",
        "aws": "hoptrace.aws.request",
        "http": "hoptrace.http.request.body",
        "locals": "hoptrace.exception.locals",
    }
    assert [name for name, attribute in names.items() if f'"{attribute}"' in text] == [asked]


def test_a_word_that_is_no_payload_is_told(capfd):
    with testing.recorder({"HOPTRACE_CAPTURE": "event, everything"}):
        pass
    assert "HOPTRACE_CAPTURE: 'everything' is none of event, response, aws, http, locals" in capfd.readouterr().err


def test_off_loads_nothing_of_this_and_looks_at_nothing(tmp_path):
    script = """
import sys, hoptrace
from hoptrace import testing
with testing.recorder() as recorder:
    @hoptrace.trace
    def handler(event, context):
        hoptrace.current_span().set_attribute("password", "hunter2")
        return event
    handler({"password": "hunter2"}, testing.LambdaContext())
    try:
        hoptrace.trace(lambda event, context: 1 / 0)({}, testing.LambdaContext(request_id="2"))
    except ZeroDivisionError:
        pass
    print([name for name in sys.modules if name.startswith("hoptrace.capture")])
    print(recorder.ended()[0]["attributes"]["password"], any("hoptrace.event" in str(r) for r in recorder.records))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "hunter2 False"]
