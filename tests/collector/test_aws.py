"""Signing, held against botocore's own signer."""

import json
import time

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from hoptrace_collector.aws import Credentials, CredentialsError, CredentialsSource, amz_date, sign
from hoptrace_collector.settings import Secret, Settings, parse_url

from .support import Backend

words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)


@given(
    key=words,
    secret=words,
    token=st.one_of(st.just(""), words),
    region=st.sampled_from(["us-east-1", "eu-west-1", "cn-north-1"]),
    body=st.binary(max_size=200),
    url=st.sampled_from(
        [
            "https://events.eu-west-1.amazonaws.com/",
            "http://127.0.0.1:4577/",
            "http://localhost:80/",
            "https://host.example:8443/?b=2&a=1",
        ]
    ),
    target=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20).filter(str.strip),
)
def test_the_signature_is_botocores(
    key: str, secret: str, token: str, region: str, body: bytes, url: str, target: str
) -> None:
    headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target.strip())]
    oracle = AWSRequest("POST", url, data=body, headers=dict(headers))
    signer = SigV4Auth(BotocoreCredentials(key, secret, token or None), "events", region)
    signer.add_auth(oracle)
    ours = sign(
        Credentials(key, Secret(secret), Secret(token)),
        service="events",
        region=region,
        url=parse_url(url),
        headers=headers,
        body=body,
        date=oracle.headers["X-Amz-Date"],
    )
    assert dict(ours)["authorization"] == oracle.headers["Authorization"]


def test_a_date_is_as_a_signature_wants_it() -> None:
    assert amz_date(1_790_000_000.9) == "20260921T141320Z"


def test_credentials_come_from_the_environment_first() -> None:
    source = CredentialsSource(Settings(access_key="AK", secret_key=Secret("SK"), session_token=Secret("T")))
    assert source.get(0.0) == Credentials("AK", Secret("SK"), Secret("T"))


def test_container_credentials_are_fetched_with_the_token_and_kept() -> None:
    document = json.dumps({"AccessKeyId": "AK", "SecretAccessKey": "SK", "Token": "T", "Expiration": "…"}).encode()

    with Backend(get=(200, {}, document)) as backend:
        settings = Settings(credentials_uri=backend.url + "/credentials", credentials_token=Secret("let me"))
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
        CredentialsSource(Settings(credentials_uri=backend.url)).get(time.monotonic() + 2)
    with pytest.raises(CredentialsError):
        CredentialsSource(Settings()).get(time.monotonic() + 2)
