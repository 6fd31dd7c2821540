"""HTTP calls in a real runtime client: the handler's have spans, the runtime client's own have none."""

import pytest

from tests.clients import http_server
from tests.support.functions import function


@pytest.fixture
def server():
    with http_server.running() as found:
        yield found


def test_what_the_handler_calls_is_below_its_invocation_and_what_lambda_calls_is_not_there(tmp_path, server):
    source = f"""
import asyncio, http.client, os, urllib.request
loaded = []
def handler(event, context):
    import sys
    loaded.append(sorted(m for m in sys.modules if m.startswith("hoptrace.clients.http")))
    urllib.request.urlopen({server.url + "/mine"!r}).close()
    runtime = os.environ["AWS_LAMBDA_RUNTIME_API"]
    connection = http.client.HTTPConnection(runtime, timeout=5)
    connection.request("GET", "/2018-06-01/nothing")
    status = connection.getresponse().status
    connection.close()
    return loaded[0]
"""
    with function(tmp_path, source) as desk:
        # Imported by the user's code, and not patched before its first request.
        assert "hoptrace.clients.http_client" not in desk.invoke({})
        desk.invoke({})
        found = desk.spans()
    calls = [span for span in found if span["name"] == "GET"]
    invocations = {span["span_id"] for span in found if span["name"] == "f"}
    assert [span["attributes"]["url.full"] for span in calls] == [f"{server.url}/mine"] * 2
    assert {span["parent_id"] for span in calls} == invocations
    assert [sent.split("-")[2] for sent in server.headers("traceparent")] == [span["span_id"] for span in calls]


def test_the_report_of_a_failed_init_makes_no_span(tmp_path):
    source = """
import http.client
raise RuntimeError("no")
"""
    with function(tmp_path, source) as desk:
        desk.invoke({})
        kinds = {record["type"] for record in desk.records()}
    assert "init_error" in kinds
    assert "span" not in kinds


def test_an_invocation_that_calls_nobody_loads_nothing_of_the_clients(tmp_path):
    source = """
import sys
def handler(event, context):
    return sorted(m for m in sys.modules if m.startswith("hoptrace.clients"))
"""
    with function(tmp_path, source) as desk:
        assert desk.invoke({}) == ["hoptrace.clients", "hoptrace.clients.imports"]
