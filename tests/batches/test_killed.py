"""A function that is killed in the middle of a batch: the collector says in which record."""

from pathlib import Path
from typing import Any

import pytest

from hoptrace_local.sink import OtlpSink
from tests.batches.scene import PROCESSED, REDELIVERED, sqs
from tests.support.functions import function

APP = """
import os, time, hoptrace

def handler(event, context):
    for record in hoptrace.records(event):
        if record["messageId"] == "m2":
            if "exit" in record["body"]:
                os._exit(1)
            time.sleep(30)
        time.sleep(0.02)
"""


def _killed(folder: Path, body: str, count: int = 5) -> tuple[Any, list[Any], list[Any]]:
    woken = sqs(count)
    woken["Records"][2]["body"] = body
    with OtlpSink() as sink:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}
        with function(folder, APP, environment=environment, timeout=1.5) as desk:
            answer = desk.invoke(woken)
            desk.host.invoke("f", b"{}")
        spans = list(sink.spans)
    (invocation,) = [span for span in spans if span.name == "f" and span.attributes.get("error.type")]
    records = [span for span in spans if span.kind == "CONSUMER"]
    return answer, sorted(records, key=lambda span: str(span.attributes["messaging.message.id"])), [invocation]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("body", "error"), [("sleep", "timeout"), ("exit", "Runtime.ExitError")])
def test_the_record_that_was_in_work_is_the_one_that_failed(body: str, error: str, tmp_path: Path) -> None:
    _, records, (invocation,) = _killed(tmp_path, body)
    assert [span.attributes.get("error.type") for span in records] == [None, None, error, None, None]
    assert [span.attributes.get(PROCESSED) for span in records] == [None, None, None, False, False]
    assert [span.attributes.get(REDELIVERED) for span in records] == [True, True, None, True, True]
    assert all(span.attributes["hoptrace.closed_by"] == "collector" for span in records)
    for span in records[:2]:
        assert 15_000_000 < span.end - span.start < 1_000_000_000
        assert span.links, "what the begin record said is kept"
    killed = records[2]
    assert records[1].end <= killed.start
    assert killed.end == invocation.end
    assert invocation.attributes["error.type"] == error


@pytest.mark.timeout(120)
def test_of_a_large_batch_all_records_share_the_end(tmp_path: Path) -> None:
    _, records, _ = _killed(tmp_path, "sleep", count=11)
    assert {span.attributes["error.type"] for span in records} == {"timeout"}


ATTEMPTS = """
import time
def handler(event, context):
    time.sleep(event["sleep"])
"""


@pytest.mark.timeout(120)
def test_the_attempt_after_one_that_timed_out_in_the_same_environment_is_the_second(tmp_path: Path) -> None:
    request_id = "11111111-2222-4333-8444-555555555555"
    with OtlpSink() as sink:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}
        with function(tmp_path, ATTEMPTS, environment=environment, timeout=1.5) as desk:
            desk.host.invoke("f", b'{"sleep": 20}', request_id=request_id)
            desk.host.invoke("f", b'{"sleep": 0}', request_id=request_id)
            desk.host.invoke("f", b'{"sleep": 0}')
        spans = sorted((span for span in sink.spans if span.name == "f"), key=lambda span: span.start)
    assert [span.attributes.get("error.type") for span in spans] == ["timeout", None, None]
    assert [span.attributes.get("hoptrace.invocation.attempt") for span in spans] == [None, 2, None]
