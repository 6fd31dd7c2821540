"""aiohttp's client against a real server: what its spans tell, what is sent along, and what is left alone."""

import asyncio
import inspect
import re

import aiohttp
import pytest
from multidict import CIMultiDict

from hoptrace import clients, spans, testing
from hoptrace.spans import start_span
from hoptrace.spans.context import SpanContext
from tests.clients import http_server

TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01")


@pytest.fixture
def server():
    with http_server.running() as found:
        yield found


def run(steps, **options):
    async def whole():
        async with aiohttp.ClientSession(**options) as session:
            return await steps(session)

    return asyncio.run(whole())


def test_a_call_carries_its_span_and_tells_what_the_conventions_ask_for(server, recorded):
    async def steps(session):
        async with session.post(f"{server.url}/a?key=hush", params={"more": "hush"}, json={"a": 1}) as answer:
            return await answer.json(content_type=None)

    assert run(steps) == {"a": 1}
    (span,) = recorded.spans
    assert (span.name, span.kind) == ("POST", spans.CLIENT)
    assert span.attributes == {
        "http.request.method": "POST",
        "url.full": f"{server.url}/a?key=REDACTED&more=REDACTED",
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
    }
    assert server.headers("traceparent") == [f"00-{span.context.trace_id}-{span.context.span_id}-01"]


def test_a_sessions_base_address_is_part_of_what_is_told(server, recorded):
    async def steps(session):
        async with session.get("/a") as answer:
            return answer.status

    assert run(steps, base_url=f"{server.url}/") == 200
    assert recorded.spans[0].attributes["url.full"] == f"{server.url}/a"


@pytest.mark.parametrize(
    "headers",
    [
        None,
        {},
        {"X-Mine": "1"},
        CIMultiDict([("X-Mine", "1"), ("X-Mine", "2")]),
        [("X-Mine", "1"), ("X-Mine", "2")],
        "once",
    ],
    ids=str,
)
def test_headers_of_every_kind_are_sent_as_without_us_and_not_changed(headers, server, recorded):
    def given():
        return iter([("X-Mine", "1"), ("X-Mine", "2")]) if headers == "once" else headers

    before = repr(headers)

    async def steps(session):
        async with session.get(server.url, headers=given()):
            assert "traceparent" not in session.headers

    run(steps, headers={"X-Session": "s"})
    clients.uninstall()
    run(steps, headers={"X-Session": "s"})
    (*_, traced), (*_, plain) = server.seen
    assert TRACEPARENT.fullmatch(traced.pop("traceparent"))
    assert traced == plain
    assert repr(headers) == before


@pytest.mark.parametrize("where", ["call", "session"])
def test_a_traceparent_of_the_users_own_stays(where, server, recorded):
    mine = {"Traceparent": "mine"}

    async def steps(session):
        async with session.get(server.url, headers=mine if where == "call" else None):
            pass

    run(steps, headers=mine if where == "session" else None)
    assert server.headers("traceparent") == ["mine"]
    assert len(recorded.spans) == 1


def test_redirects_are_one_span_with_the_last_status_and_their_count(server, recorded):
    async def steps(session):
        async with session.get(f"{server.url}/redirect/3") as answer:
            assert len(answer.history) == 3
        with pytest.raises(aiohttp.TooManyRedirects):
            await session.get(f"{server.url}/redirect/9", max_redirects=2)
        async with session.get(f"{server.url}/redirect/1", allow_redirects=False) as answer:
            assert answer.status == 302

    run(steps)
    followed, too_many, refused = recorded.spans
    assert followed.attributes["url.full"] == f"{server.url}/redirect/3"
    assert followed.attributes["http.response.status_code"] == 200
    assert followed.attributes["http.request.resend_count"] == 3
    assert too_many.attributes["http.request.resend_count"] == len(server.seen) - 4 - 1 - 1
    assert "http.request.resend_count" not in refused.attributes
    assert len(set(server.headers("traceparent"))) == 3


def test_a_status_is_an_error_whether_it_is_raised_or_not(server, recorded):
    async def steps(session):
        async with session.get(f"{server.url}/status/404") as answer:
            assert answer.status == 404
        with pytest.raises(aiohttp.ClientResponseError):
            await session.get(f"{server.url}/status/503", raise_for_status=True)

    run(steps)
    told, raised = recorded.spans
    assert (told.status, told.attributes["error.type"]) == ((spans.ERROR, ""), "404")
    assert (raised.status[0], raised.attributes["error.type"]) == (spans.ERROR, "503")
    assert raised.attributes["http.response.status_code"] == 503


def test_the_answer_is_the_librarys_own_and_its_body_is_left_to_read(server, recorded):
    body = b"x" * 100_000

    async def steps(session):
        answer = await session.post(server.url, data=body)
        (span,) = recorded.spans
        assert span.end_time
        assert type(answer) is aiohttp.ClientResponse
        assert b"".join([part async for part in answer.content.iter_chunked(1000)]) == body

    run(steps)
    assert len(recorded.spans) == 1


def test_bodies_that_can_be_read_once_arrive_whole(server, recorded):
    async def parts():
        yield b"a"
        yield b"b"

    async def steps(session):
        headers = {"Content-Length": "2"}
        async with session.post(server.url, data=parts(), headers=headers) as answer:
            return await answer.read()

    assert run(steps) == b"ab"


def test_many_at_once_in_one_session_are_each_their_own_span(server, recorded):
    async def steps(session):
        async def one(number):
            async with session.get(f"{server.url}/{number}") as answer:
                return answer.status

        outer = start_span("outer")
        token = spans.activate(outer)
        assert await asyncio.gather(*map(one, range(50))) == [200] * 50
        assert spans.current_span() is outer
        spans.restore(token)
        return outer

    outer = run(steps)
    assert len(recorded.spans) == 50
    assert {span.parent_id for span in recorded.spans} == {outer.context.span_id}
    sent = {path: headers["traceparent"].split("-")[2] for _, path, headers in server.seen}
    by_path = {"/" + span.attributes["url.full"].rpartition("/")[2]: span.context.span_id for span in recorded.spans}
    assert sent == by_path


def test_cancelled_and_timed_out_calls_are_so_and_say_so(server, recorded):
    async def steps(session):
        task = asyncio.create_task(session.get(f"{server.url}/slow/2")._coro)
        while not server.seen:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(asyncio.TimeoutError):
            await session.get(f"{server.url}/slow/2", timeout=aiohttp.ClientTimeout(total=0.1))
        return spans.current_span()

    assert run(steps) is None
    cancelled, late = recorded.spans
    assert cancelled.attributes["error.type"] == "asyncio.exceptions.CancelledError"
    assert late.attributes["error.type"].endswith("TimeoutError")
    assert late.status[0] == spans.ERROR


def test_an_address_that_is_none_raises_what_it_would(recorded):
    async def steps(session):
        for address in ("http://", "nonsense", "http://127.0.0.1:99999/"):
            with pytest.raises((aiohttp.ClientError, ValueError)) as caught:
                await session.get(address)
            yield type(caught.value), str(caught.value)

    async def listed(session):
        return [one async for one in steps(session)]

    traced = run(listed)
    clients.uninstall()
    assert run(listed) == traced
    assert all(span.status[0] == spans.ERROR for span in recorded.spans)


def test_what_a_hook_of_the_users_calls_is_a_call_of_its_own(server, recorded):
    async def hook(session, _context, _params):
        if not server.seen:
            async with aiohttp.ClientSession() as other, other.get(f"{server.url}/hook"):
                pass

    config = aiohttp.TraceConfig()
    config.on_request_start.append(hook)

    async def steps(session):
        async with session.get(f"{server.url}/outer"):
            pass

    run(steps, trace_configs=[config])
    inner, outer = recorded.spans
    assert inner.attributes["url.full"].endswith("/hook")
    assert inner.parent_id == outer.context.span_id
    assert len(set(server.headers("traceparent"))) == 2


def test_a_websocket_is_a_call_of_its_handshake(recorded):
    from aiohttp import web

    seen = []

    async def answer(request):
        seen.append(request.headers.get("traceparent"))
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    async def whole():
        application = web.Application()
        application.router.add_get("/", answer)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        async with aiohttp.ClientSession() as session, session.ws_connect(f"http://127.0.0.1:{port}/") as socket:
            await socket.send_str("hello")
            assert (await socket.receive()).data == "hello"
        await runner.cleanup()

    asyncio.run(whole())
    (span,) = recorded.spans
    assert span.attributes["http.response.status_code"] == 101
    assert seen[0].split("-")[2] == span.context.span_id


def test_a_session_made_before_us_is_traced_and_its_method_is_still_a_coroutine(server):
    async def steps(session):
        clients.install()
        async with session.get(server.url):
            assert inspect.iscoroutinefunction(aiohttp.ClientSession._request)

    with testing.recorder() as recorder:
        clients.uninstall()
        run(steps)
    assert len(recorder.spans) == 1


def test_baggage_goes_along_and_the_switch_keeps_all_of_it_back(server):
    async def steps(session):
        token = spans.activate(start_span("outer", parent=SpanContext("1" * 32, "2" * 16, baggage="user=alice")))
        async with session.get(server.url):
            spans.restore(token)

    for environ in ({}, {"HOPTRACE_INJECT_DISABLED": "http"}):
        with testing.recorder(environ) as recorder:
            clients.install()
            run(steps)
        assert len(recorder.spans) == 1
    assert server.headers("baggage") == ["user=alice", None]
    assert [bool(sent) for sent in server.headers("traceparent")] == [True, False]
