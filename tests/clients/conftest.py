"""A real botocore against a real moto server, and a wire that shows what would have been sent."""

import io

import boto3
import botocore.awsrequest
import pytest
from botocore.config import Config

from hoptrace import clients, testing
from tests.clients.libraries import there
from tests.support import moto

# What tests one library runs where it is installed; `test_clients_versions.py` says which versions.
LIBRARIES = {"httpx": ("httpx", "httpx2"), "aiohttp": ("aiohttp",), "aiobotocore": ("aiobotocore",)}
collect_ignore = [f"test_clients_{name}.py" for name, those in LIBRARIES.items() if not any(map(there, those))]

REGION = "eu-west-1"


@pytest.fixture(scope="session")
def aws():
    """The address of a moto server of our own, stopped with the tests."""
    with moto.running() as address:
        yield address


@pytest.fixture
def client(aws):
    """`client("sqs")`: boto3's own client, speaking with the server."""

    def make(service, **options):
        return session().client(service, endpoint_url=aws, config=Config(s3={"addressing_style": "path"}, **options))

    return make


def session():
    return boto3.session.Session(
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="secret", region_name=REGION
    )


@pytest.fixture
def recorded():
    """What is traced in the test; our own errors fail it."""
    with testing.recorder() as recorder:
        clients.install()
        yield recorder


@pytest.fixture
def in_lambda(monkeypatch):
    """The same in a Lambda function that Lambda has told of a trace."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "checkout")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-00000001-000000000000000000000001;Sampled=0;Lineage=1:e547cb94:0")
    with testing.recorder({"AWS_LAMBDA_FUNCTION_NAME": "checkout"}) as recorder:
        clients.install()
        yield recorder


class Wire:
    """Takes a client's requests off before the socket and answers them; everything above is botocore itself."""

    def __init__(self, service, *answers, **options):
        options.setdefault("config", Config(retries={"max_attempts": 2, "mode": "standard"}))
        self.client = session().client(service, **options)
        self.requests = []
        # Older botocores speak the query protocol with SQS.
        results = "".join(f"<{name}Result/>" for name in ("SendMessage", "SendMessageBatch", "ReceiveMessage"))
        empty = (
            f"<Response>{results}</Response>".encode()
            if self.client.meta.service_model.metadata["protocol"] == "query"
            else b"{}"
        )
        self._answers = list(answers) or [(200, {}, empty)]
        self.client.meta.events.register("before-send.*.*", self._send)

    def _send(self, request, **_):
        self.requests.append(request)
        status, headers, body = self._answers[0]
        if len(self._answers) > 1:
            del self._answers[0]
        raw = Body(body)
        return botocore.awsrequest.AWSResponse(request.url, status, Headers(headers), raw)

    def header(self, name):
        value = self.requests[-1].headers.get(name)
        return value.decode() if isinstance(value, bytes) else value


class Headers(dict):
    def get(self, key, default=None):
        return {k.lower(): v for k, v in self.items()}.get(key.lower(), default)


class Body(io.BytesIO):
    def stream(self, **_):
        chunk = self.read()
        while chunk:
            yield chunk
            chunk = self.read()


@pytest.fixture
def wire():
    return Wire
