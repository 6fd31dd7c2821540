"""Calls that are not allowed: stopped before anything leaves, or noted and left alone; by every client."""

import asyncio
import contextlib
import http.client
import pickle
import urllib.request

import pytest
import requests
import urllib3
from botocore.config import Config

import hoptrace
from hoptrace import clients, guard, testing
from tests.clients.conftest import Wire
from tests.clients.http_server import Server
from tests.clients.libraries import there


@pytest.fixture(scope="module")
def servers():
    """One that may be asked, and one that may not."""
    made = (Server(), Server())
    yield made
    for server in made:
        server.close()


@pytest.fixture(autouse=True)
def fresh(servers):
    for server in servers:
        del server.seen[:]


def by_requests(url):
    return requests.get(url, timeout=5).status_code


def by_manager(url):
    with urllib3.PoolManager(retries=2) as manager:
        return manager.request("GET", url).status


def by_pool(url):
    with urllib3.connection_from_url(url) as pool:
        return pool.urlopen("GET", "/" + url.split("/", 3)[3]).status


def by_urllib(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=5) as answer:
        return answer.status


def by_http_client(url):
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=5)
    try:
        connection.request("GET", "/" + url.split("/", 3)[3])
        return connection.getresponse().status
    finally:
        connection.close()


def by_aiohttp(url):
    import aiohttp

    async def call():
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status

    return asyncio.run(call())


def by_httpx(url):
    import httpx

    with httpx.Client(trust_env=False, follow_redirects=True) as client:
        return client.get(url).status_code


def by_httpx_async(url):
    import httpx

    async def call():
        async with httpx.AsyncClient(trust_env=False, follow_redirects=True) as client:
            return (await client.get(url)).status_code

    return asyncio.run(call())


WAYS = {
    "requests": by_requests,
    "urllib3 manager": by_manager,
    "urllib3 pool": by_pool,
    "urllib.request": by_urllib,
    "http.client": by_http_client,
}
if there("aiohttp"):
    WAYS["aiohttp"] = by_aiohttp
if there("httpx"):
    WAYS |= {"httpx": by_httpx, "httpx async": by_httpx_async}
FOLLOW = [name for name in WAYS if name not in ("urllib3 pool", "http.client")]


def policy(mode, **lists):
    return {"HOPTRACE_POLICY": mode, **{f"HOPTRACE_POLICY_{name.upper()}": value for name, value in lists.items()}}


def invoked(call, environ):
    """What a traced handler's call gave or raised, its spans, and the invocation's."""
    with testing.recorder(environ) as recorder:
        clients.install()

        @hoptrace.trace
        def handler(event, context):
            try:
                return call()
            except BaseException as error:
                return error

        result = handler({}, testing.LambdaContext())
        return result, recorder.spans, recorder.ended()[-1]["attributes"]


@pytest.mark.parametrize("way", WAYS)
def test_a_denied_host_is_never_asked(way, servers):
    _, denied = servers
    environ = policy("block", deny=f"127.0.0.1:{denied.port}")
    result, spans, invocation = invoked(lambda: WAYS[way](denied.url + "/a"), environ)
    assert isinstance(result, hoptrace.Denied)
    assert denied.seen == []
    assert [span.name for span in spans] == ["GET"]
    assert spans[0].attributes["error.type"] == "hoptrace.Denied"
    assert spans[0].attributes["hoptrace.policy.denied"] == f"127.0.0.1:{denied.port}"
    assert spans[0].status[0] == 2
    assert invocation["hoptrace.policy.denied_count"] == 1


@pytest.mark.parametrize("way", FOLLOW)
def test_a_redirect_to_a_denied_host_is_not_followed(way, servers):
    allowed, denied = servers
    environ = policy("block", deny=f"127.0.0.1:{denied.port}")
    result, spans, _ = invoked(lambda: WAYS[way](f"{allowed.url}/away?{denied.url}/end"), environ)
    assert isinstance(result, hoptrace.Denied)
    assert len(allowed.seen) == 1
    assert denied.seen == []
    assert [span.attributes["error.type"] for span in spans] == ["hoptrace.Denied"]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_observed_is_noted_and_left_alone(way, servers):
    _, denied = servers
    result, spans, invocation = invoked(lambda: WAYS[way](denied.url + "/a"), policy("observe", deny="127.0.0.1"))
    assert result == 200
    assert len(denied.seen) == 1
    (span,) = spans
    (event,) = span.events
    assert event.name == "hoptrace.policy.denied"
    assert event.attributes == {
        "hoptrace.policy.operation": "127.0.0.1",
        "hoptrace.policy.rule": "127.0.0.1",
        "hoptrace.policy.mode": "observe",
    }
    assert "error.type" not in span.attributes
    assert invocation["hoptrace.policy.denied_count"] == 1


@pytest.mark.parametrize("way", WAYS)
def test_what_is_allowed_is_called_and_noted_nowhere(way, servers):
    allowed, _ = servers
    environ = policy("block", allow=f"127.0.0.1:{allowed.port}", deny="*.example.com")
    result, spans, invocation = invoked(lambda: WAYS[way](allowed.url + "/a"), environ)
    assert result == 200
    assert not any("policy" in key for span in spans for key in span.attributes)
    assert "hoptrace.policy.denied_count" not in invocation


@pytest.mark.parametrize("way", WAYS)
def test_a_host_that_no_list_of_allowed_ones_has_is_never_asked(way, servers):
    allowed, other = servers
    environ = policy("block", allow=f"127.0.0.1:{allowed.port}")
    result, _, _ = invoked(lambda: WAYS[way](other.url + "/a"), environ)
    assert isinstance(result, hoptrace.Denied)
    assert result.rule == "not in HOPTRACE_POLICY_ALLOW"
    assert other.seen == []


def test_a_connection_that_was_denied_can_be_used_for_what_is_allowed_by_another_name(servers):
    allowed, denied = servers

    def call():
        connection = http.client.HTTPConnection("127.0.0.1", denied.port, timeout=5)
        with pytest.raises(hoptrace.Denied):
            connection.request("GET", "/a")
        connection.host, connection.port = "127.0.0.1", allowed.port
        connection.request("GET", "/b")
        with contextlib.closing(connection):
            return connection.getresponse().read()

    result, _, _ = invoked(call, policy("block", deny=f"127.0.0.1:{denied.port}"))
    assert result == b"hello"
    assert denied.seen == []


def test_a_denied_action_is_never_sent():
    wire = Wire("dynamodb")
    environ = policy("block", deny="dynamodb:Delete*")
    result, spans, invocation = invoked(lambda: wire.client.delete_table(TableName="orders"), environ)
    assert isinstance(result, hoptrace.Denied)
    assert str(result) == "dynamodb:DeleteTable was not called: HOPTRACE_POLICY_DENY has dynamodb:delete*"
    assert wire.requests == []
    assert spans[0].name == "DynamoDB.DeleteTable"
    assert spans[0].attributes["error.type"] == "hoptrace.Denied"
    assert invocation["hoptrace.policy.denied_count"] == 1
    result, _, _ = invoked(lambda: wire.client.put_item(TableName="orders", Item={"id": {"S": "1"}}), environ)
    assert result["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_an_observed_action_is_sent_as_it_would_have_been():
    wire, plain = Wire("dynamodb"), Wire("dynamodb")
    plain.client.delete_table(TableName="orders")
    result, spans, invocation = invoked(
        lambda: wire.client.delete_table(TableName="orders"), policy("observe", deny="dynamodb:*")
    )
    assert result["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert [request.body for request in wire.requests] == [request.body for request in plain.requests]
    assert spans[0].attributes["hoptrace.policy.denied"] == "dynamodb:*"
    assert invocation["hoptrace.policy.denied_count"] == 1


@pytest.mark.parametrize(
    ("service", "call", "lists", "denied"),
    [
        ("s3", lambda c: c.list_buckets(), {"deny": "s3:*"}, True),
        ("s3", lambda c: c.list_buckets(), {"deny": "S3:LISTBUCKETS"}, True),
        ("s3", lambda c: c.list_buckets(), {"deny": "s3:Get*"}, False),
        ("s3", lambda c: c.list_buckets(), {"allow": "s3:*", "deny": "s3:List*"}, True),
        ("s3", lambda c: c.list_buckets(), {"allow": "dynamodb:*"}, True),
        ("s3", lambda c: c.list_buckets(), {"allow": "dynamodb:*,s3:List*"}, False),
        ("s3", lambda c: c.list_buckets(), {"allow": "api.example.com"}, False),
        ("s3", lambda c: c.list_buckets(), {"deny": "*"}, True),
        ("stepfunctions", lambda c: c.list_state_machines(), {"deny": "states:*"}, True),
        ("stepfunctions", lambda c: c.list_state_machines(), {"deny": "stepfunctions:List*"}, True),
        ("events", lambda c: c.list_rules(), {"deny": "sqs:*, sns:* , events:ListRules"}, True),
    ],
)
def test_actions_by_their_names_in_botocore_and_in_iam(service, call, lists, denied):
    wire = Wire(service, config=Config(retries={"max_attempts": 0}))
    result, _, _ = invoked(lambda: call(wire.client), policy("block", **lists))
    assert isinstance(result, hoptrace.Denied) is denied
    assert len(wire.requests) == (not denied)


def test_paginators_resources_and_waiters_are_stopped_too():
    import boto3

    wire = Wire("dynamodb")
    environ = policy("block", deny="dynamodb:*")
    for call in (
        lambda: list(wire.client.get_paginator("scan").paginate(TableName="orders")),
        lambda: wire.client.get_waiter("table_exists").wait(TableName="orders"),
        lambda: (
            boto3.resource(
                "dynamodb",
                region_name="eu-west-1",
                aws_access_key_id="a",
                aws_secret_access_key="b",
                endpoint_url="http://127.0.0.1:9",
            )
            .Table("orders")
            .get_item(Key={"id": "1"})
        ),
    ):
        result, _, _ = invoked(call, environ)
        assert isinstance(result, hoptrace.Denied)
    assert wire.requests == []


def test_a_call_is_stopped_though_something_of_ours_fails(monkeypatch):
    wire = Wire("dynamodb")
    from hoptrace.clients import calls

    def broken(*_):
        raise RuntimeError("ours")

    monkeypatch.setattr(calls, "_target", broken)

    def call():
        guard.LOUD = False
        return wire.client.delete_table(TableName="orders")

    result, _, _ = invoked(call, policy("block", deny="dynamodb:*"))
    assert isinstance(result, hoptrace.Denied)
    assert wire.requests == []


def test_outside_an_invocation_calls_are_stopped_too(servers):
    _, denied = servers
    with testing.recorder(policy("block", deny="127.0.0.1")):
        clients.install()
        with pytest.raises(hoptrace.Denied):
            by_requests(denied.url + "/a")
    assert denied.seen == []


def test_off_means_that_no_list_counts(servers):
    _, denied = servers
    result, spans, _ = invoked(lambda: by_requests(denied.url + "/a"), {"HOPTRACE_POLICY_DENY": "*"})
    assert result == 200
    assert "hoptrace.policy.denied" not in spans[0].attributes


def test_the_error_can_be_caught_kept_and_read():
    error = hoptrace.Denied("s3:PutObject", "s3:*")
    again = pickle.loads(pickle.dumps(error))
    assert (again.operation, again.rule, str(again)) == (error.operation, error.rule, str(error))
    assert not isinstance(error, OSError)  # no library takes it for a network's failure and tries again


def test_a_word_that_is_neither_action_nor_host_is_told(capfd):
    from hoptrace.capture.policy import Rules

    Rules("HOPTRACE_POLICY_DENY", ["s3"])
    assert "'s3' is taken for a host; all actions of a service are written 's3:*'" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("entry", "host", "port", "denied"),
    [
        ("*.example.com", "api.example.com", 443, True),
        ("*.example.com", "a.b.example.com", 443, True),
        ("*.example.com", "example.com", 443, False),
        ("*.example.com", "example.com.evil.test", 443, False),
        ("*.example.com", "API.EXAMPLE.COM.", 443, True),
        ("example.com", "example.com", 8443, True),
        ("example.com:443", "example.com", 8443, False),
        ("example.com:443", "example.com", 443, True),
        ("https://example.com/path", "example.com", 443, True),
        ("[::1]", "::1", 80, True),
        ("10.0.0.*", "10.0.0.7", 80, True),
        ("10.0.0.*", "10.0.1.7", 80, False),
        ("localhost", "localhost", 80, True),
    ],
)
def test_hosts_by_pattern_and_port(entry, host, port, denied):
    from hoptrace import settings
    from hoptrace.capture.policy import Policy

    made = Policy(settings.Settings({"HOPTRACE_POLICY_DENY": entry}))
    assert (made.host(host, port) is not None) is denied


@pytest.mark.skipif(not there("aiohttp"), reason="no aiohttp")
def test_a_policy_that_comes_after_the_patches_counts_for_redirects_too(servers):
    allowed, denied = servers
    with testing.recorder():
        clients.install()
        assert by_aiohttp(allowed.url + "/a") == 200
        environ = policy("block", deny=f"127.0.0.1:{denied.port}")
        result, _, _ = invoked(lambda: by_aiohttp(f"{allowed.url}/away?{denied.url}/end"), environ)
    assert isinstance(result, hoptrace.Denied)
    assert denied.seen == []
