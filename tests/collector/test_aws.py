"""Signing, held against botocore's own signer."""

import json
import time
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from hoptrace_collector.aws.credentials import CredentialsError, CredentialsSource
from hoptrace_collector.aws.sign import Credentials, amz_date, sign
from hoptrace_collector.settings import Aws, Secret, parse_url, read

from .support import Backend

words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)
targets = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=30)
names = st.from_regex(r"x-a[a-z0-9-]{1,9}", fullmatch=True)


@given(
    key=words,
    secret=words,
    token=st.one_of(st.just(""), words),
    region=st.sampled_from(["us-east-1", "eu-west-1", "cn-north-1"]),
    service=st.sampled_from(["events", "xray", "logs", "monitoring", "secretsmanager", "ssm"]),
    method=st.sampled_from(["POST", "GET"]),
    body=st.binary(max_size=200),
    host=st.sampled_from(
        [
            "https://xray.eu-west-1.amazonaws.com",
            "http://127.0.0.1:4577",
            "http://localhost:80",
            "https://host.example:8443",
            "http://[::1]:4577",
        ]
    ),
    target=st.one_of(targets, st.sampled_from(["/a/../b//c/./d/", "/v1/logs?b=2&a=1&a=0&a-b=3", "/%7Ex?=&&x"])),
    extra=st.dictionaries(names, st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20), max_size=3),
)
def test_the_signature_is_botocores(
    key: str,
    secret: str,
    token: str,
    region: str,
    service: str,
    method: str,
    body: bytes,
    host: str,
    target: str,
    extra: dict[str, str],
) -> None:
    url = host + "/" + target.lstrip("/")
    headers = {"content-type": "application/x-protobuf", **{k: v for k, v in extra.items() if k[:6] != "x-amz-"}}
    oracle = AWSRequest(method, url, data=body, headers=headers)
    signer = SigV4Auth(BotocoreCredentials(key, secret, token or None), service, region)
    signer.add_auth(oracle)
    ours = sign(
        Credentials(key, Secret(secret), Secret(token)),
        service=service,
        region=region,
        url=parse_url(url),
        headers=list(headers.items()),
        body=body,
        date=oracle.headers["X-Amz-Date"],
        method=method,
    )
    assert dict(ours)["authorization"] == oracle.headers["Authorization"]


def test_a_date_is_as_a_signature_wants_it() -> None:
    assert amz_date(1_790_000_000.9) == "20260921T141320Z"


def test_credentials_come_from_the_environment_first() -> None:
    source = CredentialsSource(Aws(access_key="AK", secret_key=Secret("SK"), session_token=Secret("T")))
    assert source.get(0.0) == Credentials("AK", Secret("SK"), Secret("T"))


def test_container_credentials_are_fetched_with_the_token_and_kept() -> None:
    document = json.dumps({"AccessKeyId": "AK", "SecretAccessKey": "SK", "Token": "T", "Expiration": "…"}).encode()

    with Backend(get=(200, {}, document)) as backend:
        settings = Aws(credentials_uri=backend.url + "/credentials", credentials_token=Secret("let me"))
        now = [0.0]
        source = CredentialsSource(settings, clock=lambda: now[0])
        for _ in range(3):
            assert source.get(time.monotonic() + 2) == Credentials("AK", Secret("SK"), Secret("T"))
        assert len(backend.requests) == 1
        assert backend.requests[0].headers["authorization"] == "let me"
        now[0] = 3600.0
        source.get(time.monotonic() + 2)
        assert len(backend.requests) == 2


@pytest.mark.parametrize("document", [b"{}", b"no json", b"[1]", b'{"AccessKeyId": 1}'])
def test_credentials_that_cannot_be_read_are_one_kind_of_error(document: bytes) -> None:
    with Backend(get=(200, {}, document)) as backend, pytest.raises(CredentialsError):
        CredentialsSource(Aws(credentials_uri=backend.url)).get(time.monotonic() + 2)
    with pytest.raises(CredentialsError):
        CredentialsSource(Aws()).get(time.monotonic() + 2)


def test_credentials_that_say_when_they_end_are_fetched_anew_before_that(tmp_path: Path) -> None:
    document = {"AccessKeyId": "AK", "SecretAccessKey": "SK", "Token": "T", "Expiration": "2026-09-21T14:33:20Z"}
    token = tmp_path / "token"
    token.write_text("first\n")
    with Backend(get=(200, {}, json.dumps(document).encode())) as backend:
        settings = Aws(credentials_uri=backend.url + "/v1", credentials_token_file=str(token))
        clock = [0.0]
        # 20 minutes before they end.
        source = CredentialsSource(settings, clock=lambda: clock[0], now=lambda: 1_790_000_000.0)
        source.get(time.monotonic() + 2)
        clock[0] = 899.0
        source.get(time.monotonic() + 2)
        assert len(backend.requests) == 1
        clock[0] = 901.0
        token.write_text("second\n")
        source.get(time.monotonic() + 2)
        assert [posted.headers["authorization"] for posted in backend.requests] == ["first", "second"]
        source.forget()
        clock[0] = 0.0
        source.get(time.monotonic() + 2)
        assert len(backend.requests) == 3, "what AWS called expired is not kept"


def test_the_address_of_credentials_is_lambdas_or_that_of_ecs() -> None:
    relative, _ = read({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/x"})
    assert relative.aws.credentials_uri == "http://169.254.170.2/v2/credentials/x"
    full, _ = read({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1/x"})
    assert full.aws.credentials_uri == "http://127.0.0.1/x"
