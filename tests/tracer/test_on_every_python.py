"""The whole path on each Python of Lambda's that is installed: function, tracer, collector, boto3, timeout."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hoptrace_local.sink import OtlpSink
from tests.support import moto, pythons
from tests.support.functions import function

APP = """
import json, os, sys, time
import boto3

sqs = boto3.client("sqs", endpoint_url=os.environ["AWS"], region_name="us-east-1")

def handler(event, context):
    if event == "raise":
        raise LookupError("as asked")
    if event == "sleep":
        time.sleep(10)
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="{}")
    (message,) = sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"])["Messages"]
    return {
        "python": "{}.{}".format(*sys.version_info),
        "traceparent": message["MessageAttributes"]["traceparent"]["StringValue"],
        "foreign": sorted({"wrapt", "opentelemetry"} & set(sys.modules)),
    }
"""


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with moto.running() as address:
        yield address


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", pythons.VERSIONS)
def test_everything_works_on_this_python(version: str, aws: str, tmp_path: Path) -> None:
    python = pythons.located(version)
    if python is None:
        pytest.skip(f"python{version} is not installed")
    with OtlpSink() as sink:
        environment = {"AWS": aws, "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}
        with function(tmp_path, APP, environment=environment, python=python, timeout=4.0) as desk:
            answers = [desk.invoke(event) for event in ("work", "raise", "sleep", "work")]
    assert answers[0]["python"] == version
    assert answers[0]["foreign"] == []
    assert answers[1]["errorType"] == "LookupError"
    assert "hoptrace" not in json.dumps(answers[1]["stackTrace"])
    assert "timed out" in answers[2]["errorMessage"]
    spans = {span.span_id: span for span in sink.spans}
    invocations = sorted((span for span in spans.values() if span.name == "f"), key=lambda span: span.start)
    assert [span.attributes.get("error.type") for span in invocations] == [None, "LookupError", "timeout", None]
    assert [span.attributes["faas.coldstart"] for span in invocations] == [True, False, False, True]
    for answer, invocation in zip((answers[0], answers[3]), (invocations[0], invocations[3]), strict=True):
        _, trace_id, span_id, _ = answer["traceparent"].split("-")
        sent = spans[span_id]
        assert (sent.name, sent.kind, sent.trace_id) == ("send q", "PRODUCER", trace_id)
        assert (sent.parent_id, trace_id) == (invocation.span_id, invocation.trace_id)
