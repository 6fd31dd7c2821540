"""httpx or httpx2, both clients, against a real server: what is told, sent along and left alone."""

import asyncio
import importlib
import inspect
import re

import pytest

import hoptrace
from hoptrace import clients, spans, testing
from hoptrace.spans import start_span
from hoptrace.spans.context import SpanContext
from tests.clients import http_server
from tests.clients.libraries import ONLY

httpx = importlib.import_module(ONLY or "httpx")

TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01")


@pytest.fixture
def server():
    with http_server.running() as found:
        yield found


@pytest.fixture(params=["sync", "async"])
def run(request):
    """`run(steps, **options)`: `steps(client, settle)` with either client; `settle` awaits what a method gave."""

    def carry_out(steps, **options):
        async def whole():
            if request.param == "async":
                async with httpx.AsyncClient(trust_env=False, **options) as client:
                    return await steps(client, settled)
            with httpx.Client(trust_env=False, **options) as client:
                return await steps(client, settled)

        return asyncio.run(whole())

    carry_out.asynchronous = request.param == "async"
    return carry_out


async def settled(value):
    return await value if inspect.isawaitable(value) else value


def test_a_call_carries_its_span_and_tells_what_the_conventions_ask_for(server, recorded, run):
    async def steps(client, settle):
        return await settle(client.post(f"{server.url}/a?key=hush", json={"a": 1}))

    assert run(steps).json() == {"a": 1}
    (span,) = recorded.spans
    assert (span.name, span.kind) == ("POST", spans.CLIENT)
    assert span.attributes == {
        "http.request.method": "POST",
        "url.full": f"{server.url}/a?key=REDACTED",
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
    }
    assert server.headers("traceparent") == [f"00-{span.context.trace_id}-{span.context.span_id}-01"]


def test_requests_headers_and_answers_are_the_users_own_objects(server, recorded, run):
    mine = {"X-Mine": "1"}

    async def steps(client, settle):
        request = client.build_request("POST", server.url, headers=mine, content=b"body")
        before = request.headers.raw
        answer = await settle(client.send(request))
        assert answer.request is request
        assert request.headers.raw == before
        assert "traceparent" not in client.headers
        return answer

    assert run(steps).content == b"body"
    assert mine == {"X-Mine": "1"}
    assert server.headers("x-mine") == ["1"]
    assert TRACEPARENT.fullmatch(server.headers("traceparent")[0])


def test_an_error_has_the_users_own_request(recorded, run):
    async def steps(client, settle):
        request = client.build_request("GET", "http://127.0.0.1:1/?key=hush")
        with pytest.raises(httpx.ConnectError) as caught:
            await settle(client.send(request))
        assert caught.value.request is request

    run(steps)
    (span,) = recorded.spans
    assert span.attributes["error.type"] == f"{httpx.__name__}.ConnectError"
    assert span.status[0] == spans.ERROR


def test_a_traceparent_of_the_users_own_stays(server, recorded, run):
    async def steps(client, settle):
        await settle(client.get(server.url, headers={"Traceparent": "mine"}))

    run(steps)
    assert server.headers("traceparent") == ["mine"]
    assert len(recorded.spans) == 1


def test_redirects_and_challenges_are_one_span_with_their_count(server, recorded, run):
    async def steps(client, settle):
        answer = await settle(client.get(f"{server.url}/redirect/3", follow_redirects=True))
        assert len(answer.history) == 3
        await settle(client.get(f"{server.url}/digest", auth=httpx.DigestAuth("me", "hush")))

    run(steps)
    redirected, challenged = recorded.spans
    assert redirected.attributes["url.full"] == f"{server.url}/redirect/3"
    assert redirected.attributes["http.response.status_code"] == 200
    assert redirected.attributes["http.request.resend_count"] == 3
    assert challenged.attributes["http.request.resend_count"] == 1
    assert len(set(server.headers("traceparent"))) == 2
    assert None not in server.headers("traceparent")


@pytest.mark.parametrize("status", [404, 503])
def test_a_status_is_an_error_whether_it_is_raised_or_not(status, server, recorded, run):
    async def steps(client, settle):
        answer = await settle(client.get(f"{server.url}/status/{status}"))
        with pytest.raises(httpx.HTTPStatusError):
            answer.raise_for_status()

    run(steps)
    (span,) = recorded.spans
    assert span.status == (spans.ERROR, "")
    assert span.attributes["error.type"] == str(status)


def test_an_answer_that_is_streamed_ends_its_span_with_the_headers_and_is_not_read(server, recorded, run):
    body = b"x" * 100_000

    async def steps(client, settle):
        request = client.build_request("POST", server.url, content=body)
        answer = await settle(client.send(request, stream=True))
        (span,) = recorded.spans
        assert span.end_time
        assert not answer.is_stream_consumed
        if run.asynchronous:
            assert b"".join([part async for part in answer.aiter_bytes()]) == body
            await answer.aclose()
        else:
            assert b"".join(answer.iter_bytes()) == body
            answer.close()

    run(steps)
    assert len(recorded.spans) == 1


def test_bodies_that_can_be_read_once_arrive_whole(server, recorded, run):
    async def parts():
        yield b"a"
        yield b"b"

    async def steps(client, settle):
        content = parts() if run.asynchronous else iter([b"a", b"b"])
        headers = {"Content-Length": "2"}
        return (await settle(client.post(server.url, content=content, headers=headers))).content

    assert run(steps) == b"ab"
    assert TRACEPARENT.fullmatch(server.headers("traceparent")[0])


def test_a_hooks_call_is_a_call_of_its_own_and_a_transports_is_not(server, recorded):
    import requests

    def hook(_response):
        httpx.get(f"{server.url}/hook", trust_env=False)

    class Through(httpx.BaseTransport):
        def handle_request(self, request):
            answer = requests.request(request.method, str(request.url), headers=dict(request.headers))
            return httpx.Response(answer.status_code, content=answer.content)

    with httpx.Client(trust_env=False, event_hooks={"response": [hook]}) as client:
        client.get(f"{server.url}/outer")
    inner, outer = recorded.spans
    assert inner.parent_id == outer.context.span_id
    assert "http.request.resend_count" not in outer.attributes
    del recorded.spans[:]
    with httpx.Client(transport=Through()) as client:
        client.get(f"{server.url}/through")
    (span,) = recorded.spans
    assert server.headers("traceparent")[-1].split("-")[2] == span.context.span_id
    assert "http.request.resend_count" not in span.attributes


def test_a_transport_without_a_wire_sees_the_header(recorded):
    def answer(request):
        return httpx.Response(200, text=request.headers.get("traceparent", ""))

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        text = client.get("https://orders.example/").text
    (span,) = recorded.spans
    assert text.split("-")[2] == span.context.span_id
    assert span.attributes["server.port"] == 443


def test_many_at_once_are_each_their_own_span_below_the_one_around_them(server, recorded):
    async def whole():
        outer = start_span("outer")
        token = spans.activate(outer)
        async with httpx.AsyncClient(trust_env=False) as client:
            answers = await asyncio.gather(*(client.get(f"{server.url}/{n}") for n in range(50)))
        assert spans.current_span() is outer
        spans.restore(token)
        return outer, answers

    outer, answers = asyncio.run(whole())
    assert [answer.status_code for answer in answers] == [200] * 50
    assert len(recorded.spans) == 50
    assert {span.parent_id for span in recorded.spans} == {outer.context.span_id}
    sent = {path: headers["traceparent"].split("-")[2] for _, path, headers in server.seen}
    by_path = {"/" + span.attributes["url.full"].rpartition("/")[2]: span.context.span_id for span in recorded.spans}
    assert sent == by_path


def test_a_call_that_is_cancelled_is_cancelled_and_says_so(server, recorded):
    async def whole():
        async with httpx.AsyncClient(trust_env=False) as client:
            task = asyncio.create_task(client.get(f"{server.url}/slow/2"))
            while not server.seen:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return spans.current_span()

    assert asyncio.run(whole()) is None
    (span,) = recorded.spans
    assert span.attributes["error.type"] == "asyncio.exceptions.CancelledError"


def test_a_timeout_is_the_librarys_own(server, recorded, run):
    async def steps(client, settle):
        with pytest.raises(httpx.ReadTimeout):
            await settle(client.get(f"{server.url}/slow/2", timeout=0.1))

    run(steps)
    assert recorded.spans[0].attributes["error.type"] == f"{httpx.__name__}.ReadTimeout"


def test_the_clients_methods_are_still_what_they_were(recorded):
    assert inspect.iscoroutinefunction(httpx.AsyncClient.send)
    ours = inspect.signature(httpx.AsyncClient.send)
    clients.uninstall()
    assert inspect.signature(httpx.AsyncClient.send) == ours
    assert not hasattr(httpx.Client._send_single_request, "__wrapped__")


def test_the_switch_leaves_the_spans_and_sends_nothing(server, run):
    async def steps(client, settle):
        await settle(client.get(server.url))

    with testing.recorder({"HOPTRACE_INJECT_DISABLED": "http"}) as recorder:
        clients.install()
        run(steps)
    assert len(recorder.spans) == 1
    assert server.headers("traceparent") == [None]


def test_baggage_goes_along(server, recorded, run):
    async def steps(client, settle):
        parent = SpanContext("1" * 32, "2" * 16, baggage="user=alice")
        token = spans.activate(start_span("outer", parent=parent))
        try:
            await settle(client.get(server.url))
        finally:
            spans.restore(token)

    run(steps)
    assert server.headers("baggage") == ["user=alice"]
    assert server.headers("traceparent")[0].split("-")[1] == "1" * 32


def test_bodies_are_recorded_where_they_are_there_as_a_whole_and_streams_are_left(server, run):
    document = b'{"order":17,"token":"hunter2"}'

    async def steps(client, settle):
        assert (await settle(client.post(server.url, content=document))).content == document
        request = client.build_request("POST", server.url, content=document)
        answer = await settle(client.send(request, stream=True))
        read = answer.aread if hasattr(client, "aclose") else answer.read
        assert await settle(read()) == document
        await settle(answer.aclose() if hasattr(client, "aclose") else answer.close())

    with testing.recorder({"HOPTRACE_CAPTURE": "http"}) as recorder:
        clients.install()
        run(steps)
        told = '{"order":17,"token":"REDACTED"}'
        first, second = (span.attributes for span in recorder.spans)
    assert (first["hoptrace.http.request.body"], first["hoptrace.http.response.body"]) == (told, told)
    assert second["hoptrace.http.request.body"] == told
    assert "hoptrace.http.response.body" not in second


def test_hosts_that_are_not_allowed_are_never_asked_not_by_a_redirect_either(server, run):
    with http_server.running() as denied:
        environ = {"HOPTRACE_POLICY": "block", "HOPTRACE_POLICY_DENY": f"127.0.0.1:{denied.port}"}

        async def steps(client, settle):
            for url in (denied.url, f"{server.url}/away?{denied.url}/end"):
                with pytest.raises(hoptrace.Denied):
                    await settle(client.get(url, follow_redirects=True))

        with testing.recorder(environ) as recorder:
            clients.install()
            run(steps)
            assert [span.attributes["error.type"] for span in recorder.spans] == ["hoptrace.Denied"] * 2
        assert denied.seen == []
        assert len(server.seen) == 1


def test_a_host_that_the_policy_denies_is_never_asked_nor_reached_by_a_redirect(server, run):
    with http_server.running() as denied:
        rules = {"HOPTRACE_POLICY_DENY": f"127.0.0.1:{denied.port}"}

        async def steps(client, settle):
            for address in (f"{denied.url}/a", f"{server.url}/away?{denied.url}/end"):
                with pytest.raises(hoptrace.Denied):
                    await settle(client.get(address))
            return (await settle(client.get(f"{server.url}/a"))).status_code

        with testing.recorder({"HOPTRACE_POLICY": "block", **rules}) as recorder:
            clients.install()
            assert run(steps, follow_redirects=True) == 200
        assert denied.seen == []
        found = [span.attributes.get("hoptrace.policy.denied") for span in recorder.spans]
        assert found == [f"127.0.0.1:{denied.port}"] * 2 + [None]

        async def observed(client, settle):
            return (await settle(client.get(f"{server.url}/away?{denied.url}/end"))).status_code

        with testing.recorder({"HOPTRACE_POLICY": "observe", **rules}) as recorder:
            assert run(observed, follow_redirects=True) == 200
        assert len(denied.seen) == 1
        assert recorder.spans[0].attributes["hoptrace.policy.denied"] == f"127.0.0.1:{denied.port}"


def test_bodies_are_recorded_without_secrets_and_what_streams_is_left_to_be_read(server, run):
    document = b'{"order":17,"token":"hunter2"}'

    async def steps(client, settle):
        whole = await settle(client.post(f"{server.url}/a", content=document))
        assert whole.content == document
        request = client.build_request("POST", f"{server.url}/a", content=document)
        streamed = await settle(client.send(request, stream=True))
        assert await settle(streamed.aread() if run.asynchronous else streamed.read()) == document
        await settle(streamed.aclose() if run.asynchronous else streamed.close())

    with testing.recorder({"HOPTRACE_CAPTURE": "http"}) as recorder:
        clients.install()
        run(steps)
    names = ("hoptrace.http.request.body", "hoptrace.http.response.body")
    told = '{"order":17,"token":"REDACTED"}'
    found = [tuple(span.attributes.get(name) for name in names) for span in recorder.spans]
    assert found == [(told, told), (told, None)]
