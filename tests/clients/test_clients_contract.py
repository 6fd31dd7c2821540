"""What holds for every library that is patched: one span a call, the same answer, the same error, and off again."""

import socket
import subprocess
import sys
import threading
from importlib import import_module

import botocore.exceptions
import pytest
import requests
import urllib3
import urllib3.connectionpool
from botocore.config import Config

from hoptrace import clients, guard, spans, testing
from hoptrace.spans import start_span
from tests.clients import http_server
from tests.clients.conftest import session


@pytest.fixture(scope="module")
def server():
    with http_server.running() as found:
        yield found


@pytest.fixture(scope="module")
def nobody():
    """An address at which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{free.getsockname()[1]}"


def call_botocore(url):
    config = Config(retries={"max_attempts": 0}, connect_timeout=2)
    return (
        session()
        .client("sts", endpoint_url=url, config=config)
        .get_caller_identity()["ResponseMetadata"]["HTTPStatusCode"]
    )


def call_requests(url):
    return requests.get(f"{url}/?a=b", timeout=5).status_code


def call_pool(url):
    with urllib3.connectionpool.connection_from_url(url, retries=False) as pool:
        return pool.urlopen("GET", "/?a=b").status


def call_manager(url):
    with urllib3.PoolManager(retries=False) as manager:
        return manager.request("GET", f"{url}/?a=b").status


# One for each row of `clients.WATCHED`: how it is called, its place, and the error of an address where nobody is.
ROWS = {
    "botocore.client": (call_botocore, "BaseClient", "_make_api_call", botocore.exceptions.EndpointConnectionError),
    "requests.sessions": (call_requests, "Session", "send", requests.ConnectionError),
    "urllib3.connectionpool": (call_pool, "HTTPConnectionPool", "urlopen", urllib3.exceptions.NewConnectionError),
    "urllib3.poolmanager": (call_manager, "PoolManager", "urlopen", urllib3.exceptions.NewConnectionError),
}


@pytest.fixture(params=ROWS)
def row(request):
    return request.param


def test_every_row_of_the_table_is_called_here():
    # The exporters' row changes how they wait for the collector; it records no call.
    assert set(ROWS) == {name for name, ours in clients.WATCHED if ours != "hoptrace.clients.otlp_exporter"}


def test_a_call_is_one_client_span_below_the_one_that_is_current(row, server, recorded):
    call = ROWS[row][0]
    outer = start_span("outer")
    token = spans.activate(outer)
    assert call(server.url) == 200
    spans.restore(token)
    (span,) = recorded.spans
    assert span.kind == spans.CLIENT
    assert span.status == (spans.UNSET, "")
    assert (span.context.trace_id, span.parent_id) == (outer.context.trace_id, outer.context.span_id)
    assert span.attributes["server.port"] == server.port
    assert span.attributes["http.response.status_code"] == 200
    assert 0 < span.start <= span.end_time
    assert spans.current_span() is None


def test_an_error_is_the_librarys_own_and_on_the_span(row, nobody, recorded):
    call, _, _, kind = ROWS[row]
    with pytest.raises(kind) as caught:
        call(nobody)
    assert spans.current_span() is None
    (span,) = recorded.spans
    assert span.status[0] == spans.ERROR
    assert span.attributes["error.type"] == f"{kind.__module__}.{kind.__qualname__}"
    (event,) = span.events
    assert event.attributes["exception.type"] == span.attributes["error.type"]
    assert caught.value.__traceback__ is not None


def test_an_error_from_below_is_the_same_object_with_the_same_context(row, server, recorded, monkeypatch):
    class Odd(BaseException):
        """No `Exception`: the user's own way of stopping."""

    call = ROWS[row][0]
    odd = Odd("stop")

    def explode(*_, **__):
        raise odd

    monkeypatch.setattr("urllib3.connection.HTTPConnection.connect", explode)
    with pytest.raises(Odd) as caught:
        call(server.url)
    assert caught.value is odd
    assert odd.__context__ is None
    assert odd.__cause__ is None
    assert len(recorded.spans) == 1


def test_when_ours_breaks_the_call_goes_on_and_one_line_says_so(row, server, recorded, monkeypatch, capfd):
    call = ROWS[row][0]
    ours = import_module(dict(clients.WATCHED)[row])
    monkeypatch.setattr(guard, "LOUD", False)

    def broken(*_, **__):
        raise RuntimeError("ours")

    monkeypatch.setattr(ours, "Call" if row.startswith("botocore") else "begin", broken)
    before = sum(guard.errors.values())
    assert call(server.url) == 200
    assert sum(guard.errors.values()) > before
    capfd.readouterr()
    # requests' own patch is what broke; urllib3's below it works on.
    assert len(recorded.spans) == (1 if row == "requests.sessions" else 0)


def test_taken_back_it_is_the_librarys_own_method_again(row, server):
    call, owner, name, _ = ROWS[row]
    kind = getattr(sys.modules[row], owner)
    with testing.recorder() as recorder:
        clients.uninstall()
        own = kind.__dict__[name]
        clients.install()
        ours = kind.__dict__[name]
        assert ours is not own
        assert (ours.__name__, ours.__doc__, ours.__wrapped__) == (own.__name__, own.__doc__, own)
        clients.uninstall()
        assert kind.__dict__[name] is own
        call(server.url)
        assert recorder.spans == []
        clients.install()
        call(server.url)
        assert len(recorder.spans) == 1


def test_calls_from_threads_are_each_their_own_span(row, server, recorded):
    call = ROWS[row][0]
    threads = [threading.Thread(target=call, args=(server.url,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(recorded.spans) == 8
    assert len({span.context.span_id for span in recorded.spans}) == 8
    assert {span.parent_id for span in recorded.spans} == {""}


ORDERS = {
    "we first": "import hoptrace.clients as c; c.install(); import {module}",
    "it first": "import {module}; import hoptrace.clients as c; c.install()",
    "its class before": "from {module} import {owner}; import hoptrace.clients as c; c.install()",
    "its class after": "import hoptrace.clients as c; c.install(); from {module} import {owner}",
    "half of it first": "import {package}; import hoptrace.clients as c; c.install(); import {module}",
    "installed twice": "import hoptrace.clients as c; c.install(); c.install(); import {module}; c.install()",
    "reloaded": "import hoptrace.clients as c; c.install(); import {module}, importlib; importlib.reload({module})",
    "imported again": "import hoptrace.clients as c; c.install(); import {module}, sys; del sys.modules['{module}'];"
    " import {module}",
}


@pytest.mark.parametrize("order", ORDERS)
def test_in_whatever_order_it_is_imported_it_is_patched_once(row, order):
    _, owner, name, _ = ROWS[row]
    code = ORDERS[order].format(module=row, owner=owner, package=row.partition(".")[0])
    code += f"""
import {row}, sys
from hoptrace.guard import errors
method, layers = getattr(sys.modules['{row}'], '{owner}').{name}, 0
while method is not None:
    layers += '/hoptrace/clients/' in method.__code__.co_filename
    method = getattr(method, '__wrapped__', None)
print(layers, errors)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("1 {}\n", "")
