"""Datadog's carriers, as its own tracer writes them: a migration keeps its traces."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from hoptrace import settings
from hoptrace.propagation import extract
from hoptrace.spans.context import SpanContext
from hoptrace.triggers import identify
from tests.clash.packages import THIS, installed

WRITE = """
import json, sys
from ddtrace.propagation.http import HTTPPropagator
from ddtrace.trace import Context
written = []
for trace_id, span_id, priority in json.load(sys.stdin):
    headers = {}
    HTTPPropagator.inject(Context(trace_id=trace_id, span_id=span_id, sampling_priority=priority), headers)
    written.append(headers)
print(json.dumps(written))
"""
LONG, SHORT = 0x640CFD8D00000000ABCDEF0123456789, 0x0123456789ABCDEF
SENT = [(LONG, 2**64 - 1, 1), (SHORT, 1, 2), (LONG, 77, 0), (SHORT, 77, -1)]
READ = [
    SpanContext(f"{trace_id:032x}", f"{span_id:016x}", 1 if priority > 0 else 0, "", remote=True)
    for trace_id, span_id, priority in SENT
]


@pytest.fixture(scope="module", params=["datadog", "datadog,tracecontext"])
def written(request: Any) -> "list[dict[str, str]]":
    """What Datadog's tracer writes of `SENT`; its newer versions add a traceparent."""
    packages = installed("ddtrace", ("boto3", "ddtrace"), THIS, Path(sys.executable))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WRITE],
        input=json.dumps(SENT),
        env={**os.environ, "PYTHONPATH": str(packages), "DD_TRACE_PROPAGATION_STYLE": request.param},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(autouse=True)
def migrating() -> Iterator[None]:
    settings.use(settings.Settings({"OTEL_PROPAGATORS": "datadog"}))
    yield
    settings.use(None)


def test_its_headers_are_read(written: Any) -> None:
    for headers, expected in zip(written, READ, strict=True):
        event = {"httpMethod": "GET", "resource": "/", "requestContext": {}, "headers": headers}
        (record,) = identify(event).records
        assert record.context == expected
        (record,) = identify({"headers": headers}).records
        assert record.context == expected


def carriers(headers: dict[str, str]) -> "dict[str, tuple[Any, Any]]":
    """Where its tracer puts the headers as one JSON object, by service: an event and a context."""
    text = json.dumps(headers)
    binary = base64.b64encode(text.encode()).decode()
    notification = {
        "Type": "Notification",
        "TopicArn": "arn:aws:sns:eu-west-1:1:t",
        "Message": "m",
        "MessageAttributes": {"_datadog": {"Type": "Binary", "Value": binary}},
    }
    custom = SimpleNamespace(client_context=SimpleNamespace(custom={"_datadog": headers}))
    return {
        "SQS": (sqs("b", {"stringValue": text, "dataType": "String"}), None),
        "SNS": ({"Records": [{"EventSource": "aws:sns", "Sns": notification}]}, None),
        "SNS in SQS": (sqs(json.dumps(notification)), None),
        "SNS in SQS, raw": (sqs("b", {"binaryValue": binary, "dataType": "Binary"}), None),
        "EventBridge": ({"detail-type": "d", "source": "s", "detail": {"_datadog": headers}}, None),
        "EventBridge in SQS": (
            sqs(json.dumps({"detail-type": "d", "source": "s", "detail": {"_datadog": headers}})),
            None,
        ),
        "Lambda": ({"order": 1}, custom),
        "Lambda, flat": ({"order": 1}, SimpleNamespace(client_context=SimpleNamespace(custom=headers))),
        "custom event": ({"_datadog": headers}, None),
    }


def sqs(body: str, attribute: Any = None) -> Any:
    attributes = {} if attribute is None else {"_datadog": attribute}
    record = {"eventSource": "aws:sqs", "messageId": "m", "body": body, "messageAttributes": attributes}
    return {"Records": [record]}


@pytest.mark.parametrize("where", carriers({}))
def test_its_object_is_read_wherever_its_tracer_puts_it(where: str, written: Any) -> None:
    for headers, expected in zip(written, READ, strict=True):
        event, context = carriers(headers)[where]
        (record,) = identify(event, context).records
        assert record.context is not None
        assert (record.context.trace_id, record.context.span_id, record.context.flags) == (
            expected.trace_id,
            expected.span_id,
            expected.flags,
        )


@pytest.mark.parametrize("where", carriers({}))
def test_nothing_of_it_is_read_unless_that_is_switched_on(where: str, written: Any) -> None:
    settings.use(settings.Settings({"OTEL_PROPAGATORS": "b3"}))
    event, context = carriers(written[0])[where]
    assert [record.context for record in identify(event, context).records if record.context is not None] == []


odd = st.sampled_from(["", "0", "٣", "1e3", "+1", "0x1", " 1"])
numbers = st.integers(-1, 2**65).map(str) | st.text(max_size=24) | odd
tags = st.text(max_size=40) | st.text("0123456789abcdefxyz", max_size=20).map("_dd.p.tid={}".format)


@given(numbers, numbers, tags, numbers, st.text(max_size=40))
@examples(deadline=None, max_examples=500)
def test_hostile_headers_give_a_right_context_or_none(
    trace_id: str, span_id: str, tag: str, priority: str, text: str
) -> None:
    headers = {
        "x-datadog-trace-id": trace_id,
        "x-datadog-parent-id": span_id,
        "x-datadog-tags": tag,
        "x-datadog-sampling-priority": priority,
        "_datadog": text,
    }
    found = extract(lambda name: headers.get(name, ""))
    if found is not None:
        assert len(found.trace_id) == 32
        assert int(found.trace_id[16:], 16) == int(trace_id)
        assert int(found.span_id, 16) == int(span_id) > 0
        assert int(found.trace_id, 16) > 0


BROKEN = ["", "{", "[]", "7", '{"x-datadog-trace-id": 1}', "[" * 4_000, '{"a":' * 600, "{" * 5_000]


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:8])
def test_a_broken_object_is_none(text: str) -> None:
    assert extract(lambda name: text if name == "_datadog" else "") is None


@pytest.mark.parametrize(("number", "read"), [(2**64 - 1, True), (2**64, False), (1, True), (0, False), (-1, False)])
@pytest.mark.parametrize("name", ["x-datadog-trace-id", "x-datadog-parent-id"])
def test_an_id_is_a_number_of_64_bits_and_not_zero(name: str, number: int, read: bool) -> None:
    headers = {"x-datadog-trace-id": "7", "x-datadog-parent-id": "7", name: str(number)}
    assert (extract(lambda header: headers.get(header, "")) is not None) == read
