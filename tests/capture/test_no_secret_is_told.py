"""No secret that is planted anywhere ever stands in what leaves the process; 10,000 documents by the real ways."""

import base64
import json
import pathlib
import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import hoptrace
from hoptrace import clients, testing
from tests.capture.planted import documents, luhn, surrounded
from tests.clients.conftest import Wire
from tests.clients.http_server import Server

EVERYTHING = {
    "HOPTRACE_CAPTURE": "event,response,aws,http,locals",
    "HOPTRACE_CAPTURE_BYTES": "65536",
    "HOPTRACE_CAPTURE_DEPTH": "30",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "70000",
}
CHECKS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
pytestmark = pytest.mark.timeout(600)


def cases(count):
    return settings(max_examples=count, deadline=None, suppress_health_check=CHECKS)


class Told:
    """Everything that was handed over since the last question."""

    def __init__(self, recorder):
        self.recorder = recorder
        self.path = pathlib.Path(recorder._run_dir) / "records.jsonl"
        self.at = 0

    def __call__(self):
        text = self.path.read_bytes()[self.at :].decode("ascii")
        self.at += len(text)
        return text


@pytest.fixture(params=[pytest.param(8, id="some"), pytest.param(1, id="all", marks=pytest.mark.soak)])
def share(request):
    """All ten thousand cases take minutes."""
    return request.param


@pytest.fixture
def told(tmp_path):
    with testing.recorder(EVERYTHING) as recorder:
        clients.install()
        yield Told(recorder)


def assert_none(text, secrets):
    """None of them stands there, nor in a text within it, nor in its base64."""
    found = "\n".join((text, *(one for line in text.splitlines() for one in strings(json.loads(line)))))
    for run in re.findall(r"[A-Za-z0-9+/_-]{16,}", found):
        run = run.replace("-", "+").replace("_", "/")
        found += "\n" + base64.b64decode(run[: len(run) // 4 * 4]).decode("latin-1")
    plain = re.sub(r"(?<=\d)[ -](?=\d)", "", found)
    for secret in secrets:
        assert secret not in found, secret
        if not secret.strip("0123456789 -"):
            assert re.sub("[ -]", "", secret) not in plain, secret


def strings(value):
    if isinstance(value, str):
        yield value
        if value[:1] in '{["':
            try:
                inner = json.loads(value)
            except ValueError:
                return
            yield from strings(inner)
    elif isinstance(value, dict):
        for key, member in value.items():
            yield key
            yield from strings(member)
    elif isinstance(value, list):
        for member in value:
            yield from strings(member)


class Boom(Exception):
    pass


def test_of_an_event_and_a_response(told, share):
    results = {}

    @hoptrace.trace
    def handler(event, context):
        return results["now"]

    @cases(4500 // share)
    @given(documents(), documents())
    @example(({"token": "q1"}, ["q1xyz"]), ({"a": 1}, []))
    def check(event, result):
        results["now"] = result[0]
        assert handler(event[0], testing.LambdaContext()) is result[0]
        text = told()
        assert "hoptrace.event" in text
        assert "hoptrace.response" in text
        assert_none(text, event[1] + result[1])
        rotate(told)

    check()


def test_of_an_exception_its_causes_and_its_variables(told, share):
    given_now = {}

    @hoptrace.trace
    def handler(event, context):
        password, document = given_now["password"], given_now["document"]
        try:
            raise ValueError(given_now["text"])
        except ValueError as error:
            raise Boom(given_now["text"], len(password), bool(document)) from error

    @cases(2500 // share)
    @given(documents(), surrounded(), st.integers(10**15, 10**16))
    def check(document, text, number):
        mark = f"m{number}m"
        given_now.update(document=document[0], text=text[0], password=mark)
        with pytest.raises(Boom):
            handler({}, testing.LambdaContext())
        found = told()
        assert "hoptrace.exception.locals" in found
        assert_none(found, [*document[1], text[1], mark])
        rotate(told)

    check()


def test_of_the_parameters_and_answers_of_aws_calls(told, share):
    wire = Wire("dynamodb")
    functions = Wire("lambda")

    @cases(2000 // share)
    @given(documents(), documents())
    def check(document, answer):
        item = {"id": {"S": "1"}, "document": {"S": json.dumps(document[0])}}
        body = json.dumps({"Attributes": {"password": {"S": "x"}, "was": {"S": json.dumps(answer[0])}}})
        wire._answers[:] = [(200, {}, body.encode())]
        got = wire.client.put_item(TableName="orders", Item=item)
        assert json.loads(got["Attributes"]["was"]["S"]) == json.loads(json.dumps(answer[0]))
        functions.client.invoke(FunctionName="f", Payload=json.dumps(document[0]).encode())
        text = told()
        assert text.count("hoptrace.aws.request") == 2
        assert_none(text, document[1] + answer[1])
        del wire.requests[:], functions.requests[:]
        rotate(told)

    check()


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.close()


def test_of_http_bodies(told, server, share):
    import requests
    import urllib3

    session, manager = requests.Session(), urllib3.PoolManager()

    @cases(1000 // share)
    @given(documents(), st.booleans())
    def check(document, plain):
        sent = json.dumps(document[0]).encode()
        if plain:  # the server answers with what it is sent
            answer = session.post(server.url + "/echo", json=document[0])
            assert answer.json() == json.loads(sent)
        else:
            answer = manager.request("POST", server.url + "/echo", body=sent)
            assert answer.data == sent
        text = told()
        assert "hoptrace.http.request.body" in text
        assert "hoptrace.http.response.body" in text
        assert_none(text, document[1])
        del server.seen[:]
        rotate(told)

    check()


def rotate(told):
    """Room for further records: the file's limit is the collector's business."""
    from hoptrace import entry

    outbox = entry.session().outbox
    if outbox._size > 8 << 20:
        told.path.write_bytes(b"")
        outbox._size = 0
        told.at = 0


def test_the_search_finds_what_is_told():
    with testing.recorder() as recorder:
        hoptrace.trace(lambda event, context: None)({}, testing.LambdaContext(function_name="q5deadbeefz"))
        text = Told(recorder)()
    with pytest.raises(AssertionError):
        assert_none(text, ["q5deadbeefz"])
    encoded = json.dumps({"a": base64.b64encode(b"{'x': 'q5deadbeefz', 'y': 'zzzzzz'}").decode()})
    with pytest.raises(AssertionError):
        assert_none(encoded, ["q5deadbeefz"])
    with pytest.raises(AssertionError):
        assert_none(json.dumps({"a": json.dumps(["4111-1111 1111-1111"])}), [luhn("411111111111111")])
