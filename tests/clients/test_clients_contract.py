"""What holds for every library that is patched: one span a call, the same answer, the same error, and off again."""

import socket
import subprocess
import sys
import threading
from importlib import import_module

import pytest

from hoptrace import clients, guard, spans, testing
from hoptrace.spans import start_span
from tests.clients import http_server
from tests.clients.libraries import HERE, PACKAGES, ROWS


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


@pytest.fixture(params=HERE)
def row(request):
    return ROWS[request.param]


@pytest.fixture(autouse=True)
def its_module(request):
    if "row" in request.fixturenames:
        import_module(request.getfixturevalue("row").module)


# What these patch makes no call, or one that has its span already; they are tested elsewhere.
NO_CALLS = tuple(f"hoptrace.clients.{name}" for name in ("durable", "otlp_exporter", "powertools", "pools"))
SESSIONS = {"aiobotocore.httpsession", "aiobotocore.httpxsession"}


def test_every_client_of_the_table_is_called_here_or_with_its_package():
    ours = {name: where for name, where in clients.WATCHED if where.startswith("hoptrace.clients.")}
    callers = {name for name, where in ours.items() if where not in NO_CALLS}
    assert {row.module for row in ROWS.values()} == callers - SESSIONS


def test_a_call_is_one_client_span_below_the_one_that_is_current(row, server, recorded):
    outer = start_span("outer")
    token = spans.activate(outer)
    assert row.call(server.url) == 200
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
    kind = row.error()
    with pytest.raises(kind) as caught:
        row.call(nobody)
    assert spans.current_span() is None
    (span,) = recorded.spans
    assert span.status[0] == spans.ERROR
    kind = type(caught.value)
    named = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    assert span.attributes["error.type"] == named
    (event,) = span.events
    assert event.attributes["exception.type"] == span.attributes["error.type"]
    assert caught.value.__traceback__ is not None


def test_an_error_from_below_is_the_same_object_with_the_same_context(row, server, recorded, monkeypatch):
    class Odd(BaseException):
        """No `Exception`: the user's own way of stopping."""

    odd = Odd("stop")

    def explode(*_, **__):
        raise odd

    monkeypatch.setattr(row.below, explode)
    with pytest.raises(Odd) as caught:
        row.call(server.url)
    assert caught.value is odd
    assert odd.__context__ is None
    assert odd.__cause__ is None
    assert len(recorded.spans) == 1


def test_when_ours_breaks_the_call_goes_on_and_one_line_says_so(row, server, recorded, monkeypatch, capfd):
    ours = dict(clients.WATCHED)[row.module]
    monkeypatch.setattr(guard, "LOUD", False)

    def broken(*_, **__):
        raise RuntimeError("ours")

    monkeypatch.setattr("hoptrace.clients.http.begin" if row.lazy else f"{ours}.{row.entry}", broken)
    before = sum(guard.errors.values())
    assert row.call(server.url) == 200
    assert sum(guard.errors.values()) > before
    capfd.readouterr()
    # Only that library's patch is what broke; that of a layer below it works on.
    assert len(recorded.spans) == (1 if row.above else 0)


def test_taken_back_it_is_the_librarys_own_method_again(row, server):
    kind, name = getattr(sys.modules[row.module], row.owner), row.method
    with testing.recorder() as recorder:
        clients.uninstall()
        own = kind.__dict__[name]
        clients.install()
        ours = kind.__dict__[name]
        assert ours is not own
        assert (ours.__name__, ours.__doc__, ours.__wrapped__) == (own.__name__, own.__doc__, own)
        clients.uninstall()
        assert kind.__dict__[name] is own
        row.call(server.url)
        assert recorder.spans == []
        clients.install()
        row.call(server.url)
        assert len(recorder.spans) == 1


def test_calls_from_threads_are_each_their_own_span(row, server, recorded):
    threads = [threading.Thread(target=row.call, args=(server.url,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(recorded.spans) == 8
    assert len({span.context.span_id for span in recorded.spans}) == 8
    assert {span.parent_id for span in recorded.spans} == {""}


WARNINGS = "default" if PACKAGES else "error"  # old versions on a newer Python have some of their own

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
    module, owner = row.module, row.owner
    code = f"import sys; sys.path[:0] = {PACKAGES!r}\n"
    code += ORDERS[order].format(module=module, owner=owner, package=module.partition(".")[0])
    code += f"""
import {module}, sys
from hoptrace.guard import errors
method, layers = getattr(sys.modules['{module}'], '{owner}').{row.method}, 0
while method is not None:
    layers += '/hoptrace/clients/' in method.__code__.co_filename
    method = getattr(method, '__wrapped__', None)
print(layers, errors)
"""
    done = subprocess.run([sys.executable, "-W", WARNINGS, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("1 {}\n", "")
