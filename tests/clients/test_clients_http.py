"""requests and urllib3 against a real server: what their spans tell, what is sent along, and what is left alone."""

import asyncio
import http.client
import io
import re
import subprocess
import sys
import threading
import urllib.request

import aiohttp
import pytest
import requests
import requests.adapters
import requests.auth
import urllib3
import urllib3.connectionpool
from requests import get
from urllib3.util.retry import Retry

from hoptrace import clients, spans, testing
from hoptrace.carriers.headers import extract_headers
from hoptrace.clients.urls import without_secrets
from hoptrace.shape import Shape
from hoptrace.spans import start_span
from hoptrace.spans.context import SpanContext
from tests.clients import http_server
from tests.clients.conftest import session

TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01")


@pytest.fixture
def server():
    with http_server.running() as found:
        yield found


def test_a_call_has_the_conventions_attributes_and_nothing_else(server, recorded):
    assert requests.get(f"{server.url}/orders/1").text == "hello"
    (span,) = recorded.spans
    assert span.name == "GET"
    assert span.attributes == {
        "http.request.method": "GET",
        "url.full": f"{server.url}/orders/1",
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
    }


def test_the_receiver_gets_the_spans_own_context(server, recorded):
    requests.get(server.url)
    urllib3.PoolManager().request("GET", server.url)
    with urllib3.connectionpool.connection_from_url(server.url) as pool:
        pool.request("GET", "/")
    sent = [f"00-{span.context.trace_id}-{span.context.span_id}-01" for span in recorded.spans]
    assert server.headers("traceparent") == sent
    assert len(set(sent)) == 3


def by_requests(url, headers):
    requests.get(url, headers=headers)


def by_urllib(url, headers):
    urllib.request.urlopen(urllib.request.Request(url, headers=headers)).read()


def by_http_client(url, headers):
    connection = http.client.HTTPConnection(url.partition("//")[2])
    connection.request("GET", "/", headers=headers)
    connection.getresponse().read()
    connection.close()


def by_aiohttp(url, headers):
    async def ask():
        async with aiohttp.ClientSession() as found, found.get(url, headers=headers) as answer:
            await answer.read()

    asyncio.run(ask())


def by_aiohttps_session(url, headers):
    async def ask():
        async with aiohttp.ClientSession(headers=headers) as found, found.get(url) as answer:
            await answer.read()

    asyncio.run(ask())


@pytest.mark.parametrize("ask", [by_requests, by_urllib, by_http_client, by_aiohttp, by_aiohttps_session])
@pytest.mark.parametrize("name", ["traceparent", "Traceparent"])
def test_a_proxy_that_passes_on_the_headers_it_got_is_the_parent_of_what_it_asks(name, ask, server, recorded):
    """In the same trace only, and the user's own dictionary stays as it was."""
    came = {name: f"00-{'1' * 32}-{'3' * 16}-01", "tracestate": "a=1", "x-other": "kept"}
    producer = extract_headers(Shape(came))
    inside = spans.activate(start_span("inside", parent=producer))
    before = dict(came)
    ask(server.url, came)
    spans.restore(inside)
    elsewhere = spans.activate(start_span("elsewhere", root=True))
    ask(server.url, came)
    spans.restore(elsewhere)
    first = recorded.spans[0]
    assert server.headers("traceparent") == [f"00-{'1' * 32}-{first.context.span_id}-01", before[name]]
    assert server.headers("x-other") == ["kept", "kept"]
    assert came == before


def test_trace_state_goes_along(server, recorded):
    outer = start_span("outer", parent=SpanContext("1" * 32, "2" * 16, 1, "vendor=1"))
    token = spans.activate(outer)
    requests.get(server.url)
    spans.restore(token)
    assert server.headers("tracestate") == ["vendor=1"]
    assert server.headers("traceparent")[0].startswith("00-" + "1" * 32)


@pytest.mark.parametrize("name", ["traceparent", "Traceparent", b"traceparent"])
def test_a_traceparent_of_the_users_stays_theirs(name, server, recorded):
    own = "00-" + "a" * 32 + "-" + "b" * 16 + "-00"
    requests.get(server.url, headers={name: own})
    urllib3.PoolManager().request("GET", server.url, headers={name if isinstance(name, str) else name.decode(): own})
    assert server.headers("traceparent") == [own, own]
    assert server.headers("tracestate") == [None, None]
    assert len(recorded.spans) == 2


def test_no_headers_of_the_users_are_changed(server, recorded):
    mine = {"X-Mine": "1"}
    with requests.Session() as own:
        own.headers["X-Session"] = "2"
        before = dict(own.headers)
        answer = own.get(server.url, headers=mine)
        prepared = own.prepare_request(requests.Request("GET", server.url, headers=mine))
        again = own.send(prepared)
        assert dict(own.headers) == before
        assert again.request is prepared
        assert "traceparent" not in prepared.headers
        assert "traceparent" not in answer.request.headers
    with urllib3.PoolManager(headers=mine) as manager:
        manager.request("GET", server.url)
        manager.urlopen("GET", server.url, headers=mine)
        manager.connection_from_url(server.url).urlopen("GET", "/", None, mine)
    assert mine == {"X-Mine": "1"}
    assert server.headers("x-mine") == ["1"] * 5
    assert all(TRACEPARENT.fullmatch(sent) for sent in server.headers("traceparent"))


def test_headers_that_can_only_be_read_are_sent_with_ours(server, recorded):
    import types

    headers = types.MappingProxyType({"X-Mine": "1"})
    urllib3.PoolManager().urlopen("GET", server.url, headers=headers)
    repeated = urllib3.HTTPHeaderDict() if hasattr(urllib3, "HTTPHeaderDict") else urllib3._collections.HTTPHeaderDict()
    repeated.add("X-Mine", "1")
    repeated.add("X-Mine", "2")
    urllib3.PoolManager().urlopen("GET", server.url, headers=repeated)
    assert server.headers("x-mine") == ["1", "1, 2"]
    assert None not in server.headers("traceparent")


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_status_of_400_or_more_is_an_error_and_says_which(status, server, recorded):
    assert requests.get(f"{server.url}/status/{status}").status_code == status
    (span,) = recorded.spans
    assert span.status == (spans.ERROR, "")
    assert span.attributes["error.type"] == str(status)
    assert span.attributes["http.response.status_code"] == status
    assert span.events == []


def test_redirects_are_one_span_with_the_last_status_and_their_count(server, recorded):
    answer = requests.get(f"{server.url}/redirect/3")
    assert [one.status_code for one in answer.history] == [302, 302, 302]
    urllib3.PoolManager().request("GET", f"{server.url}/redirect/2")
    first, second = recorded.spans
    assert first.attributes["url.full"] == f"{server.url}/redirect/3"
    assert first.attributes["http.response.status_code"] == 200
    assert first.attributes["http.request.resend_count"] == 3
    assert second.attributes["http.request.resend_count"] == 2
    sent = [f"00-{span.context.trace_id}-{span.context.span_id}-01" for span in recorded.spans]
    assert server.headers("traceparent") == [sent[0]] * 4 + [sent[1]] * 3


def test_a_redirect_to_another_host_is_the_same_call(server, recorded):
    with http_server.running() as other:
        requests.get(f"{server.url}/away?{other.url}/there")
        assert other.headers("traceparent") == server.headers("traceparent")
    assert len(recorded.spans) == 1


def test_redirects_that_the_code_does_not_want_are_not_counted(server, recorded):
    answer = requests.get(f"{server.url}/redirect/1", allow_redirects=False)
    assert answer.status_code == 302
    (span,) = recorded.spans
    assert span.attributes["http.response.status_code"] == 302
    assert "http.request.resend_count" not in span.attributes
    assert span.status == (spans.UNSET, "")


def test_retries_are_one_span_with_their_count(server, recorded):
    with requests.Session() as own:
        own.mount("http://", requests.adapters.HTTPAdapter(max_retries=Retry(3, status_forcelist=[503])))
        assert own.get(f"{server.url}/flaky/503/2").status_code == 200
    (span,) = recorded.spans
    assert span.attributes["http.request.resend_count"] == 2
    assert span.attributes["http.response.status_code"] == 200
    assert span.status == (spans.UNSET, "")
    assert len(set(server.headers("traceparent"))) == 1


def test_retries_that_are_used_up_are_the_librarys_own_error(server, recorded):
    with pytest.raises(urllib3.exceptions.MaxRetryError):
        urllib3.PoolManager(retries=Retry(2, status_forcelist=[503])).request(
            "GET", f"{server.url}/status/503?key=hush"
        )
    (span,) = recorded.spans
    assert span.attributes["error.type"] == "urllib3.exceptions.MaxRetryError"
    assert span.attributes["http.request.resend_count"] == 2
    assert "hush" not in str(span.events[0].attributes["exception.message"])
    assert "key=REDACTED" in str(span.events[0].attributes["exception.message"])


def test_an_authorisation_challenge_is_part_of_the_call(server, recorded):
    answer = requests.get(f"{server.url}/digest", auth=requests.auth.HTTPDigestAuth("me", "hush"))
    assert answer.status_code == 200
    (span,) = recorded.spans
    assert span.attributes["http.request.resend_count"] == 1


def test_a_connection_that_drops_is_an_error_with_its_type(server, recorded):
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{server.url}/drop?key=hush")
    (span,) = recorded.spans
    assert span.attributes["error.type"] == "requests.exceptions.ConnectionError"
    assert "http.response.status_code" not in span.attributes
    assert "hush" not in str(span.status)


def test_an_address_that_is_none_raises_what_it_would_and_is_recorded(recorded):
    with pytest.raises(requests.exceptions.InvalidSchema):
        requests.get("gopher://127.0.0.1/x")
    with pytest.raises(requests.exceptions.MissingSchema):
        requests.get("nonsense")
    assert [span.attributes["error.type"] for span in recorded.spans] == ["requests.exceptions.InvalidSchema"]


def test_the_secrets_of_an_address_are_in_no_part_of_its_span(server, recorded):
    requests.get(f"http://me:pass-word@127.0.0.1:{server.port}/a?token=to-ken&b=&flag-value#frag-ment")
    with pytest.raises(requests.ConnectionError):
        requests.get("http://me:pass-word@127.0.0.1:1/a", params={"token": "to-ken's (own)"}, timeout=2)
    ok, failed = recorded.spans
    assert ok.attributes["url.full"] == (
        f"http://REDACTED:REDACTED@127.0.0.1:{server.port}/a?token=REDACTED&b=&REDACTED"
    )
    assert failed.attributes["url.full"] == "http://REDACTED:REDACTED@127.0.0.1:1/a?token=REDACTED"
    told = [str(value) for value in failed.attributes.values()] + [failed.status[1]]
    told += [str(failed.events[0].attributes["exception.message"])]
    # The stack quotes this file's own line, which has them; nothing else of it does.
    stack = str(failed.events[0].attributes["exception.stacktrace"]).splitlines()
    told += [line for line in stack if "requests.get(" not in line]
    for secret in ("pass-word", "to-ken", "own", "flag-value", "frag-ment"):
        assert not [text for text in told if secret in text], secret
    assert "token=REDACTED" in failed.status[1]


def test_with_keep_the_query_is_recorded_and_signatures_are_still_not(server):
    with testing.recorder({"HOPTRACE_HTTP_QUERY": "keep"}) as recorder:
        requests.get(f"{server.url}/a?colour=blue&X-Amz-Signature=hush&sig=hush")
    (span,) = recorder.spans
    assert span.attributes["url.full"] == f"{server.url}/a?colour=blue&X-Amz-Signature=REDACTED&sig=REDACTED"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://h/p", "https://h/p"),
        ("https://h/p?", "https://h/p?"),
        ("https://h/p?a=1=2&b", "https://h/p?a=REDACTED&REDACTED"),
        ("https://u@h/p", "https://REDACTED@h/p"),
        ("https://u:@h/p@q?x=y@z", "https://REDACTED:REDACTED@h/p@q?x=REDACTED"),
        ("https://[::1]:8/p?a=b", "https://[::1]:8/p?a=REDACTED"),
        ("", ""),
    ],
)
def test_what_is_told_of_an_address(url, told):
    assert without_secrets(url, keep=False) == told


def test_a_method_that_nobody_knows_is_other_and_named_as_it_was(server, recorded):
    requests.request("BREW", server.url)
    (span,) = recorded.spans
    assert span.name == "HTTP"
    assert span.attributes["http.request.method"] == "_OTHER"
    assert span.attributes["http.request.method_original"] == "BREW"
    with testing.recorder({"OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS": "BREW, GET"}) as own:
        requests.request("BREW", server.url)
        requests.post(server.url)
    assert [span.attributes["http.request.method"] for span in own.spans] == ["BREW", "_OTHER"]


def test_an_answer_that_is_streamed_reads_as_ever_and_its_span_ends_with_the_headers(server, recorded):
    body = b"x" * 100_000
    with requests.post(server.url, data=body, stream=True) as answer:
        (span,) = recorded.spans
        assert span.end_time
        assert b"".join(answer.iter_content(1000)) == body
    raw = urllib3.PoolManager().request("POST", server.url, body=body, preload_content=False)
    assert len(recorded.spans) == 2
    assert raw.read() == body
    raw.release_conn()
    assert len(recorded.spans) == 2


def test_bodies_of_every_kind_arrive_as_they_are(server, recorded):
    assert requests.post(server.url, data=io.BytesIO(b"file")).content == b"file"
    assert requests.post(server.url, json={"a": 1}).json() == {"a": 1}
    assert requests.post(server.url, files={"f": b"part"}).status_code == 200
    assert all(TRACEPARENT.fullmatch(sent) for sent in server.headers("traceparent"))


def test_a_function_imported_by_its_name_before_us_is_traced(server, recorded):
    get(server.url)
    assert len(recorded.spans) == 1


def test_an_adapter_of_the_users_makes_one_span_whatever_is_below_it(server, recorded):
    class Own(requests.adapters.HTTPAdapter):
        def send(self, request, **named):
            request.headers["X-Own"] = "1"
            return super().send(request, **named)

    class Canned(requests.adapters.BaseAdapter):
        def send(self, request, **named):
            answer = requests.Response()
            answer.status_code, answer.raw, answer.url = 418, io.BytesIO(), request.url
            return answer

        def close(self):
            return

    class Through(Canned):
        """A transport of its own, by urllib3."""

        def send(self, request, **named):
            answer = super().send(request, **named)
            answer.status_code = urllib3.PoolManager().request("GET", request.url, headers=request.headers).status
            return answer

    with requests.Session() as own:
        for prefix, adapter in (("http://", Own()), ("canned://", Canned())):
            own.mount(prefix, adapter)
        own.get(server.url)
        assert own.get("canned://tea/pot").status_code == 418
        own.mount("http://", Through())
        own.get(server.url)
    assert [span.attributes["http.response.status_code"] for span in recorded.spans] == [200, 418, 200]
    assert len(server.seen) == 2
    assert None not in server.headers("traceparent")


def test_a_call_that_a_hook_makes_is_a_call_of_its_own(server, recorded):
    def hook(response, **_):
        requests.get(f"{server.url}/from-the-hook")
        return response

    requests.get(f"{server.url}/outer", hooks={"response": hook})
    inner, outer = recorded.spans
    assert inner.parent_id == outer.context.span_id
    assert inner.attributes["url.full"].endswith("/from-the-hook")
    assert "http.request.resend_count" not in outer.attributes


def test_a_call_through_a_proxy_is_told_by_its_target(server, recorded):
    with requests.Session() as own:
        own.trust_env = False
        answer = own.get("http://orders.example/a?k=v", proxies={"http": server.url})
    assert answer.status_code == 200
    assert server.seen[-1][1] == "http://orders.example/a?k=v"
    with urllib3.ProxyManager(server.url) as manager:
        manager.request("GET", "http://orders.example/b")
    assert [span.attributes["server.address"] for span in recorded.spans] == ["orders.example"] * 2
    assert [span.attributes["server.port"] for span in recorded.spans] == [80, 80]
    assert [span.attributes["url.full"] for span in recorded.spans] == [
        "http://orders.example/a?k=REDACTED",
        "http://orders.example/b",
    ]
    assert all(TRACEPARENT.fullmatch(sent) for sent in server.headers("traceparent"))


def test_a_thread_of_a_call_does_not_take_its_place(server, recorded):
    answers = []

    def hook(response, **_):
        thread = threading.Thread(target=lambda: answers.append(requests.get(f"{server.url}/thread").status_code))
        thread.start()
        thread.join()

    requests.get(server.url, hooks={"response": hook})
    assert answers == [200]
    assert len(recorded.spans) == 2


def test_botocores_own_use_of_urllib3_makes_no_span_and_carries_no_traceparent(server, recorded):
    client = session().client("sts", endpoint_url=server.url)
    client.get_caller_identity()
    (span,) = recorded.spans
    assert span.name == "STS.GetCallerIdentity"
    assert server.headers("traceparent") == [None]
    assert "traceparent" not in server.headers("authorization")[0]
    # What botocore fetches by itself, outside of any call: no span either.
    from botocore.awsrequest import AWSRequest
    from botocore.httpsession import URLLib3Session

    URLLib3Session().send(AWSRequest("GET", f"{server.url}/latest/api/token").prepare())
    assert len(recorded.spans) == 1
    assert server.headers("traceparent") == [None, None]


def test_calls_of_the_users_own_within_a_botocore_event_are_traced(server, recorded):
    client = session().client("sts", endpoint_url=server.url)
    client.meta.events.register("before-call.sts.*", lambda **_: requests.get(f"{server.url}/mine") and None)
    client.get_caller_identity()
    inner, outer = recorded.spans
    assert (inner.name, inner.parent_id) == ("GET", outer.context.span_id)


def test_the_exporter_of_opentelemetrys_own_sdk_is_not_traced(server, recorded):
    from opentelemetry import context

    token = context.attach(context.set_value(context._SUPPRESS_INSTRUMENTATION_KEY, True))
    try:
        requests.post(server.url)
        urllib3.PoolManager().request("GET", server.url)
    finally:
        context.detach(token)
    assert recorded.spans == []
    assert server.headers("traceparent") == [None, None]


def test_the_switch_leaves_the_spans_and_sends_nothing(server):
    with testing.recorder({"HOPTRACE_INJECT_DISABLED": "http"}) as recorder:
        requests.get(server.url)
    assert len(recorder.spans) == 1
    assert server.headers("traceparent") == [None]


def test_what_pip_vendors_is_left_alone():
    code = """
import hoptrace.clients as c
c.install()
import pip._vendor.requests.sessions as r, pip._vendor.urllib3.connectionpool as u
assert not hasattr(r.Session.send, "__wrapped__") and not hasattr(u.HTTPConnectionPool.urlopen, "__wrapped__")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_wrong_setting_gives_one_line_and_the_default(capfd):
    from hoptrace.settings import Settings

    assert Settings({"HOPTRACE_HTTP_QUERY": "everything"}).http_query_keep is False
    assert (
        capfd.readouterr().err == "hoptrace: HOPTRACE_HTTP_QUERY='everything' is none of redact, keep; using redact\n"
    )


def test_installed_twice_a_call_is_one_span(server, recorded):
    clients.install()
    requests.get(server.url)
    assert len(recorded.spans) == 1
