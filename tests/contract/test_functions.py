"""Functions that call functions: through the local Lambda and the real runtime client, and back in the answer."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from awslambdaric.lambda_context import LambdaContext
from botocore.config import Config

from hoptrace.spans import Span
from hoptrace.spans.context import parse_xray
from hoptrace.triggers import identify
from hoptrace_local.lambda_host import FunctionConfig, LambdaHost
from tests.contract.lab import call, in_lambda, on_the_wire, traced
from tests.support.parts import REPOSITORY

LIMIT = 3_583

# Says what it got: the event, what the user put beside it, and whom hoptrace takes for the caller.
CALLED = """
import json, os, sys
sys.path[:0] = [{tracer!r}]
from hoptrace.triggers import identify

def handler(event, context):
    found = [(r.context.trace_id, r.context.span_id, r.carrier) for r in identify(event, context).records if r.context]
    beside = context.client_context
    said = {{"event": event, "found": found, "header": os.environ.get("_X_AMZN_TRACE_ID", "")}}
    said["beside"] = beside and {{"custom": beside.custom, "env": beside.env}}
    with open({seen!r}, "a") as file:
        file.write(json.dumps(said) + "\\n")
    return said
"""


@pytest.fixture(scope="module")
def called(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A function in the local Lambda, where it writes what asynchronous calls brought, and the address to call."""
    folder = tmp_path_factory.mktemp("called")
    (folder / "code").mkdir()
    seen = folder / "seen.jsonl"
    source = CALLED.format(tracer=str(REPOSITORY / "tracer"), seen=str(seen))
    (folder / "code" / "app.py").write_text(source)
    config = FunctionConfig("called", folder / "code", "app.handler", timeout=20, python=Path(sys.executable))
    with LambdaHost([config], state_dir=folder / "state") as host:
        yield SimpleNamespace(host=host, url=f"http://127.0.0.1:{host.serve()}", seen=seen)


def client_of(url: str) -> Any:
    return boto3.client(
        "lambda",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )


@pytest.fixture
def client(called: SimpleNamespace) -> Any:
    return client_of(called.url)


def encoded(document: Any) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def is_caller(said: Any, span: Span) -> bool:
    return said["found"] == [[span.context.trace_id, span.context.span_id, "client_context"]]


PAYLOADS = (b'{ "order": 1.50 }', b'"text"', b"[1, [2]]", b"null", b"7", '{"\u00fc": "\U0001f600"}'.encode())


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_function_that_is_called_gets_what_was_sent_and_knows_its_caller(payload: bytes, client: Any) -> None:
    with traced() as recorder:
        done = call(client, "Invoke", {"FunctionName": "called", "Payload": payload}, recorder)
    said = json.loads(done.answer["Payload"].read())
    assert said["event"] == json.loads(payload)
    assert is_caller(said, done.span)


@pytest.mark.parametrize("count", range(12))
def test_what_the_user_puts_beside_the_payload_stays(count: int, client: Any) -> None:
    theirs = {"custom": {f"k{number}": f"\u00fc {number}" for number in range(count)}, "env": {"a": "b"}}
    with traced() as recorder:
        params = {"FunctionName": "called", "ClientContext": encoded(theirs)}
        done = call(client, "Invoke", params, recorder)
    said = json.loads(done.answer["Payload"].read())
    ours = said["beside"]["custom"].pop("traceparent")
    assert said["beside"] == theirs
    assert ours.split("-")[2] == done.span.context.span_id
    assert is_caller(said, done.span)


def beside(size: int) -> str:
    """A client context of just so many bytes of base64, as far as base64 has such."""
    frame = len(json.dumps({"custom": {"k": ""}}))
    return encoded({"custom": {"k": "x" * (size // 4 * 3 - frame)}})


# With `traceparent` in `custom` alone: its name, 55 characters, four quotes, a colon and a comma; three bytes are four.
OURS = (len("traceparent") + 55 + 6) * 4 // 3


@pytest.mark.parametrize("size", [*range(LIMIT - OURS - 12, LIMIT - OURS + 13, 4), LIMIT - 3, LIMIT + 1])
def test_a_client_context_never_grows_over_its_limit(size: int, client: Any) -> None:
    theirs = beside(size)
    assert len(theirs) == size // 4 * 4
    params = {"FunctionName": "called", "Payload": b"1", "ClientContext": theirs}
    with traced():
        headers = on_the_wire(client, "Invoke", params)[2]
    sent = headers["x-amz-client-context"]
    assert sent == theirs or len(sent) <= LIMIT
    with traced() as recorder:
        done = call(client, "Invoke", params, recorder)
    said = json.loads(done.answer["Payload"].read())
    given = json.loads(base64.b64decode(theirs))["custom"]
    assert said["beside"]["custom"]["k"] == given["k"]
    assert is_caller(said, done.span) == (sent != theirs)
    if size < LIMIT - OURS - 8:
        assert sent != theirs, "there was room"
    if size > LIMIT - OURS + 8:
        assert sent == theirs


def test_an_asynchronous_call_is_known_by_its_trace_header(client: Any, called: SimpleNamespace) -> None:
    with traced() as recorder:
        params = {"FunctionName": "called", "InvocationType": "Event", "Payload": b'{"later": 1}'}
        done = call(client, "Invoke", params, recorder)
    assert done.answer["StatusCode"] == 202
    assert called.host.settle("called")
    said = json.loads(called.seen.read_text().splitlines()[-1])
    assert said["event"] == {"later": 1}
    header = parse_xray(said["header"])
    assert header is not None
    assert (header.trace_id, header.span_id) == (done.span.context.trace_id, done.span.context.span_id)
    assert "Lineage=" in said["header"]


def test_a_call_whose_answer_is_streamed_carries_the_same(client: Any) -> None:
    params = {"FunctionName": "called", "Payload": b'{"a": 1}', "ClientContext": encoded({"custom": {"mine": 1}})}
    with traced() as recorder:
        headers = on_the_wire(client, "InvokeWithResponseStream", params)[2]
        (span,) = recorder.spans
    document = json.loads(base64.b64decode(headers["x-amz-client-context"]))
    context = LambdaContext("id", document, None, 0)
    assert context.client_context.custom["mine"] == 1
    (record,) = identify({"a": 1}, context).records
    assert record.context is not None
    assert (record.context.trace_id, record.context.span_id) == (span.context.trace_id, span.context.span_id)


@pytest.mark.parametrize("operation", ["Invoke", "InvokeWithResponseStream"])
@pytest.mark.parametrize("more", [{"OTEL_PROPAGATORS": "none"}, {"HOPTRACE_INJECT_DISABLED": "lambda"}])
def test_switched_off_a_call_is_as_without_us(operation: str, more: dict[str, str], client: Any) -> None:
    params = {"FunctionName": "called", "Payload": b"{}"}
    with in_lambda():
        alone = on_the_wire(client, operation, params)
    with traced(more):
        assert on_the_wire(client_of(client.meta.endpoint_url), operation, params) == alone
    with traced():
        assert on_the_wire(client_of(client.meta.endpoint_url), operation, params) != alone
