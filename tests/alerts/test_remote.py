"""Rules that lie elsewhere: asked for by botocore's rules of signing, at SSM, S3 and AppConfig's extension."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from hoptrace_collector.alert.remote import Remote, Unfetched
from hoptrace_collector.alert.sources import LONGEST
from hoptrace_collector.settings import Aws, Secret, parse_url
from tests.collector.support import Backend

TEXT = '[rules.memory]\nlimit = "80%"\n'


class Objects:
    """A server of objects: each GET is answered by the next answer, the last one again and again."""

    def __init__(self, *answers: Any) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        queue, seen = list(answers), self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append((self.path, {name.lower(): text for name, text in self.headers.items()}))
                status, _, body = queue.pop(0) if len(queue) > 1 else queue[0]
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()


def remote(reference: str, backend: Backend | Objects, now: list[float] | None = None) -> Remote:
    at = now if now is not None else [1_790_000_000.0]
    url = parse_url(backend.url)
    aws = Aws("eu-west-1", "AK", Secret("SK"), Secret("TOKEN"), endpoints=(("ssm", url), ("s3", url)))
    return Remote(reference, aws, now=lambda: at[0], appconfig=url)


def fetch(found: Remote) -> str:
    return found.fetch(time.monotonic() + 5)


def test_a_parameter_of_many_lines_is_read_from_ssm() -> None:
    body = json.dumps({"Parameter": {"Value": TEXT}}).encode()
    with Backend((200, {}, body)) as backend:
        assert fetch(remote("ssm:/orders/rules", backend)) == TEXT
        (request,) = backend.requests
    assert request.headers["x-amz-target"] == "AmazonSSM.GetParameter"
    assert json.loads(request.body) == {"Name": "/orders/rules", "WithDecryption": True}


def test_an_object_is_read_from_s3_signed_as_botocore_does() -> None:
    with Objects((200, {}, TEXT.encode())) as backend:
        assert fetch(remote("s3://rules/orders/my rules+ü.toml", backend)) == TEXT
        ((path, ours),) = backend.requests
        assert path == "/rules/orders/my%20rules%2B%C3%BC.toml"
        theirs = AWSRequest("GET", backend.url + path, headers={"x-amz-date": ours["x-amz-date"]})
        signer = S3SigV4Auth(Credentials("AK", "SK", "TOKEN"), "s3", "eu-west-1")
        theirs.context["timestamp"] = ours["x-amz-date"]
        theirs.headers["x-amz-content-sha256"] = ours["x-amz-content-sha256"]
        theirs.headers["x-amz-security-token"] = "TOKEN"
        string = signer.string_to_sign(theirs, signer.canonical_request(theirs))
        assert ours["authorization"].endswith("Signature=" + signer.signature(string, theirs))


def test_a_configuration_is_read_from_appconfigs_extension() -> None:
    with Objects((200, {}, TEXT.encode())) as backend:
        assert fetch(remote("appconfig:shop/prod/rules", backend)) == TEXT
        assert backend.requests[0][0] == "/applications/shop/environments/prod/configurations/rules"


@pytest.mark.parametrize(
    ("reference", "answer", "words"),
    [
        ("ssm:/r", (400, {}, b'{"__type":"AccessDeniedException","message":"no"}'), "ssm:GetParameter on /r"),
        (
            "ssm:/r",
            (400, {}, b'{"__type":"ParameterNotFound"}'),
            "could not be read by ssm:GetParameter (ParameterNotFound",
        ),
        ("ssm:/r", (200, {}, b"[]"), "could not be read"),
        ("s3://b/k", (403, {}, b""), "s3:GetObject on b/k"),
        ("s3://b", (200, {}, b""), "is not s3://BUCKET/KEY"),
        ("s3://b/k", (200, {}, b"x" * (LONGEST + 1)), "has more than"),
        ("appconfig:a/b", (200, {}, b""), "is not appconfig:APPLICATION/ENVIRONMENT/PROFILE"),
        ("appconfig:a/b/c", (404, {}, b""), "a layer of the function"),
        ("arn:aws:secretsmanager:eu-west-1:1:secret:x", (200, {}, b""), "is none of ssm:/NAME"),
    ],
)
def test_what_cannot_be_fetched_says_what_to_do(reference: str, answer: Any, words: str) -> None:
    kind = Backend if reference.startswith(("ssm:", "arn:")) else Objects
    with kind(answer) as backend, pytest.raises(Unfetched) as caught:
        fetch(remote(reference, backend))
    assert words in str(caught.value)


def test_it_is_fetched_each_hour_and_after_a_failure_in_a_minute() -> None:
    now = [1_790_000_000.0]
    with Objects((500, {}, b""), (200, {}, TEXT.encode())) as backend:
        found = remote("s3://b/k", backend, now)
        assert found.due
        with pytest.raises(Unfetched):
            fetch(found)
        assert not found.due
        now[0] += 61
        assert found.due and fetch(found) == TEXT
        now[0] += 3_500
        assert not found.due
        now[0] += 101
        assert found.due
