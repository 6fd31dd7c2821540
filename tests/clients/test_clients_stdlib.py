"""`http.client` and urllib.request against a real server: one span for one call, whichever layers it passes."""

import http.client
import io
import re
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import xmlrpc.client

import pytest
import requests
import requests.adapters

from hoptrace import clients, spans, testing
from hoptrace.clients.plumbing import is_plumbing
from hoptrace.spans import start_span
from hoptrace.spans.context import SpanContext
from tests.clients import http_server

TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01")


@pytest.fixture
def server():
    with http_server.running() as found:
        yield found


@pytest.fixture
def connection(server):
    made = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    yield made
    made.close()


def test_a_request_of_http_client_is_one_span_by_the_conventions(server, connection, recorded):
    mine = {"X-Mine": "1"}
    connection.request("POST", "/a?key=hush", b"body", mine)
    assert recorded.spans == []  # nobody has asked for the answer yet
    answer = connection.getresponse()
    assert type(answer) is http.client.HTTPResponse
    assert answer.read() == b"body"
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
    assert server.headers("x-mine") == ["1"]
    assert mine == {"X-Mine": "1"}


def test_a_request_made_step_by_step_is_one_span(server, connection, recorded):
    connection.putrequest("PUT", "/a", skip_accept_encoding=True)
    connection.putheader("Content-Length", "4")
    connection.endheaders()
    connection.send(b"body")
    assert connection.getresponse().read() == b"body"
    (span,) = recorded.spans
    assert span.name == "PUT"
    assert TRACEPARENT.fullmatch(server.headers("traceparent")[0])


def test_a_connection_that_is_kept_makes_one_span_for_each_request(server, connection, recorded):
    for number in range(3):
        connection.request("GET", f"/{number}")
        connection.getresponse().read()
    assert [span.attributes["url.full"][-2:] for span in recorded.spans] == ["/0", "/1", "/2"]
    assert len(set(server.headers("traceparent"))) == 3


def test_between_a_request_and_its_answer_the_users_span_is_the_current_one(server, connection, recorded):
    outer = start_span("outer")
    token = spans.activate(outer)
    connection.request("GET", "/first")
    assert spans.current_span() is outer
    other = http.client.HTTPConnection("127.0.0.1", server.port)
    other.request("GET", "/second")
    other.getresponse().read()
    connection.getresponse().read()
    other.close()
    spans.restore(token)
    assert [span.attributes["url.full"].rpartition("/")[2] for span in recorded.spans] == ["second", "first"]
    assert {span.parent_id for span in recorded.spans} == {outer.context.span_id}


def test_a_request_whose_answer_nobody_asks_for_ends_with_its_connection(server, recorded):
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/")
    connection.close()
    (span,) = recorded.spans
    assert span.status == (spans.UNSET, "")
    assert "http.response.status_code" not in span.attributes


def test_misuse_raises_what_it_would_and_costs_no_span(server, connection, recorded):
    with pytest.raises(http.client.InvalidURL):
        http.client.HTTPConnection("127.0.0.1", server.port).request("GET", "/a b")
    with pytest.raises(http.client.ResponseNotReady):
        connection.getresponse()
    connection.request("GET", "/")
    with pytest.raises(http.client.CannotSendRequest):
        connection.request("GET", "/")
    assert connection.getresponse().status == 200
    assert len(recorded.spans) == 1


def test_a_refused_connection_and_a_timeout_are_the_librarys_own_errors(server, recorded):
    connection = http.client.HTTPConnection("127.0.0.1", 1, timeout=2)
    with pytest.raises(ConnectionRefusedError):
        connection.request("GET", "/")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=0.1)
    connection.request("GET", "/slow/1")
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    refused, late = recorded.spans
    assert refused.attributes["error.type"] == "ConnectionRefusedError"
    assert late.attributes["error.type"] == "TimeoutError"


def test_a_traceparent_of_the_users_own_stays(server, connection, recorded):
    connection.request("GET", "/", headers={"Traceparent": "mine"})
    connection.getresponse().read()
    urllib.request.urlopen(urllib.request.Request(server.url, headers={"traceparent": "mine"})).close()
    assert server.headers("traceparent") == ["mine", "mine"]
    assert len(recorded.spans) == 2


def test_a_call_through_a_tunnel_is_told_by_its_target():
    from hoptrace.clients.http_client import _absolute

    tunnelled = http.client.HTTPSConnection("proxy.example", 3128)
    tunnelled.set_tunnel("orders.example", 8443)
    assert _absolute(tunnelled, "/a") == "https://orders.example:8443/a"
    assert _absolute(http.client.HTTPSConnection("::1", 443), "/a") == "https://[::1]/a"
    assert _absolute(http.client.HTTPConnection("proxy.example", 3128), "http://x.example/a") == "http://x.example/a"


def test_urlopen_is_one_span_and_its_request_is_left_as_it_was(server, recorded):
    asked = urllib.request.Request(f"{server.url}/a?key=hush", data=b"body", headers={"X-Mine": "1"})
    with urllib.request.urlopen(asked, timeout=5) as answer:
        assert type(answer) is http.client.HTTPResponse
        assert len(recorded.spans) == 1  # and its body is not read yet
        assert answer.read() == b"body"
    assert "Traceparent" not in dict(asked.header_items())
    (span,) = recorded.spans
    assert (span.name, span.attributes["url.full"]) == ("POST", f"{server.url}/a?key=REDACTED")
    assert span.attributes["http.response.status_code"] == 200
    assert server.headers("traceparent") == [f"00-{span.context.trace_id}-{span.context.span_id}-01"]


def test_the_method_is_the_one_that_is_sent(server, recorded):
    urllib.request.urlopen(server.url, data=b"x").close()
    urllib.request.urlopen(urllib.request.Request(server.url), data=b"x").close()
    urllib.request.urlopen(urllib.request.Request(server.url, method="PUT"), data=b"x").close()
    urllib.request.urlopen(server.url).close()
    assert [span.name for span in recorded.spans] == [method for method, *_ in server.seen]
    assert [span.name for span in recorded.spans] == ["POST", "POST", "PUT", "GET"]


def test_redirects_and_challenges_of_urlopen_are_one_span_with_their_count(server, recorded):
    urllib.request.urlopen(f"{server.url}/redirect/3").close()
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, server.url, "me", "hush")
    opener = urllib.request.build_opener(urllib.request.HTTPDigestAuthHandler(passwords))
    opener.open(f"{server.url}/digest").close()
    redirected, challenged = recorded.spans
    assert redirected.attributes["url.full"] == f"{server.url}/redirect/3"
    assert redirected.attributes["http.response.status_code"] == 200
    assert redirected.attributes["http.request.resend_count"] == 3
    assert challenged.attributes["http.request.resend_count"] == 1
    assert len(set(server.headers("traceparent"))) == 2


@pytest.mark.parametrize("status", [404, 503])
def test_an_error_that_stands_for_an_answer_is_told_as_one(status, server, recorded):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{server.url}/status/{status}?key=hush")
    assert caught.value.read() == b"no"
    (span,) = recorded.spans
    assert span.attributes["http.response.status_code"] == status
    assert span.attributes["error.type"] == str(status)
    assert span.status[0] == spans.ERROR


def test_an_address_where_nobody_is_is_an_error_without_its_secrets(recorded):
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen("http://127.0.0.1:1/?key=hush", timeout=2)
    (span,) = recorded.spans
    assert span.attributes["error.type"] == "urllib.error.URLError"
    assert "hush" not in str(span.attributes)


def test_what_is_no_http_is_left_alone(tmp_path, recorded):
    (tmp_path / "a").write_text("file")
    assert urllib.request.urlopen((tmp_path / "a").as_uri()).read() == b"file"
    assert urllib.request.urlopen("data:,hello").read() == b"hello"
    assert recorded.spans == []


def test_layers_above_make_the_only_span_and_send_the_header_once(server, recorded):
    requests.get(server.url)
    with xmlrpc.client.ServerProxy(server.url) as proxy:
        proxy.method()
    assert [span.name for span in recorded.spans] == ["GET", "POST"]
    assert all(TRACEPARENT.fullmatch(sent) for sent in server.headers("traceparent"))


def test_an_adapter_of_the_users_by_http_client_is_part_of_its_call(server, recorded):
    class Own(requests.adapters.BaseAdapter):
        def send(self, request, **named):
            connection = http.client.HTTPConnection("127.0.0.1", server.port)
            connection.request(request.method, "/own")
            answer = requests.Response()
            answer.status_code = connection.getresponse().status
            connection.close()
            answer.raw, answer.url = io.BytesIO(), request.url
            return answer

        def close(self):
            return

    with requests.Session() as session:
        session.mount("own://", Own())
        session.get("own://orders/a")
    (span,) = recorded.spans
    assert span.attributes["url.full"] == "own://orders/a"
    assert server.headers("traceparent")[0].split("-")[2] == span.context.span_id


def test_threads_that_share_nothing_are_each_their_own_span(server, recorded):
    def call():
        urllib.request.urlopen(server.url).close()

    threads = [threading.Thread(target=call) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({span.context.span_id for span in recorded.spans}) == 20
    assert len(set(server.headers("traceparent"))) == 20


def test_baggage_goes_along_and_the_switch_keeps_all_of_it_back(server):
    for environ in ({}, {"HOPTRACE_INJECT_DISABLED": "http"}):
        with testing.recorder(environ) as recorder:
            clients.install()
            parent = SpanContext("1" * 32, "2" * 16, baggage="user=alice")
            token = spans.activate(start_span("outer", parent=parent))
            urllib.request.urlopen(server.url).close()
            spans.restore(token)
        assert len(recorder.spans) == 1
    assert server.headers("baggage") == ["user=alice", None]


@pytest.mark.parametrize("variable", ["AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_METADATA_API"])
def test_lambdas_own_interfaces_are_left_alone_whoever_calls_them(variable, server):
    environ = {variable: f"127.0.0.1:{server.port}"}
    with testing.recorder(environ) as recorder:
        clients.install()
        urllib.request.urlopen(f"{server.url}/2018-06-01/runtime/invocation/next").close()
        requests.get(f"{server.url}/2020-01-01/extension/register")
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("GET", "/")
        connection.getresponse().read()
        connection.close()
        assert recorder.spans == []
    assert server.headers("traceparent") == [None] * 3


@pytest.mark.parametrize(
    ("environ", "url", "left_alone"),
    [
        ({}, "http://169.254.169.254/latest/api/token", True),
        ({}, "http://169.254.170.2/v2/credentials", True),
        ({}, "http://[fd00:ec2::254]/latest", True),
        ({}, "http://localhost:4318/v1/traces", True),
        ({}, "http://127.0.0.1:4318/v1/logs?x=y", True),
        ({}, "http://localhost:4318/orders", False),
        ({"HOPTRACE_OTLP_PORT": "4400"}, "http://localhost:4318/v1/traces", False),
        ({"HOPTRACE_OTLP_PORT": "4400"}, "http://localhost:4400/v1/traces", True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://otlp.example/base"}, "https://otlp.example:443/base/v1/traces", True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://otlp.example"}, "https://otlp.example/api/orders", False),
        ({}, "http://localhost:2773/systemsmanager/parameters/get?name=x", False),
        ({}, "https://example.com/v1/traces", False),
        ({}, "", False),
        ({}, "nonsense", False),
    ],
)
def test_whose_calls_are_nobodys_work(environ, url, left_alone):
    with testing.recorder(environ):
        assert is_plumbing(url) is left_alone


def test_what_carries_our_own_spans_makes_none(server, recorded):
    from hoptrace.direct.batches import SIGNALS, Batch
    from hoptrace.direct.post import Post

    class Target:
        host, port, path, secure = "127.0.0.1", server.port, "/own/path", False
        headers, protobuf, gzip = {}, False, False

    import time

    for signal in SIGNALS:
        Post(Target(), signal).send(Batch({}, ("hoptrace", "1"), {}), time.monotonic() + 5)
    assert len(server.seen) == 3
    assert recorded.spans == []
    assert server.headers("traceparent") == [None] * 3


def test_a_cold_start_loads_nothing_for_them():
    code = """
import awslambdaric.bootstrap, sys
import hoptrace.clients as c
c.install()
loaded = [m for m in sys.modules if m.startswith("hoptrace.clients")]
print(sorted(loaded), "http" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "['hoptrace.clients', 'hoptrace.clients.imports'] False\n"


def test_where_http_client_is_loaded_before_us_its_patch_is_not_until_a_request():
    code = """
import http.client, sys
import hoptrace.clients as c
c.install()
loaded = [m for m in sys.modules if m.startswith("hoptrace.clients.")]
print(sorted(loaded))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "['hoptrace.clients.imports']\n"


WRAPPED = """
import functools, http.client, socket, sys, threading
import hoptrace.clients as c
from hoptrace import spans
ended = []
spans.on_end(ended.append)
own = http.client.HTTPConnection.putrequest
c.install()
ours = http.client.HTTPConnection.putrequest
assert (ours.__name__, ours.__doc__, ours.__wrapped__) == (own.__name__, own.__doc__, own) and ours is not own

@functools.wraps(ours)
def theirs(self, *arguments, **named):
    print("theirs")
    return ours(self, *arguments, **named)

if {wrapped}:
    http.client.HTTPConnection.putrequest = theirs

def call():
    left, right = socket.socketpair()
    right.sendall(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
    connection = http.client.HTTPConnection("example.com")
    connection.sock = left
    connection.request("GET", "/")
    assert connection.getresponse().status == 204
    connection.close(), right.close()
    print(len(ended))

call(), call(), c.uninstall(), call()
print(http.client.HTTPConnection.putrequest is (theirs if {wrapped} else own))
"""


def test_the_first_request_brings_the_patch_and_is_traced_itself():
    done = subprocess.run([sys.executable, "-c", WRAPPED.format(wrapped=False)], capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["1", "2", "2", "True"], "")


def test_under_somebody_elses_wrapper_theirs_stays_and_ours_comes_on_top():
    done = subprocess.run([sys.executable, "-c", WRAPPED.format(wrapped=True)], capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["theirs", "0", "theirs", "1", "theirs", "1", "True"], "")


def test_a_connection_over_another_kind_of_socket_is_told_by_what_it_is_called(tmp_path, recorded):
    left, right = socket.socketpair()

    class Unix(http.client.HTTPConnection):
        def connect(self):
            self.sock = left

    right.sendall(b"HTTP/1.0 204 No Content\r\n\r\n")
    connection = Unix("docker")
    connection.request("GET", "/info")
    assert connection.getresponse().status == 204
    connection.close()
    assert b"traceparent: " in right.recv(4096)
    right.close()
    assert recorded.spans[0].attributes["url.full"] == "http://docker/info"
    assert recorded.spans[0].attributes["network.protocol.version"] == "1.0"
