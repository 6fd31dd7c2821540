"""The local Lambda on the strict front: its functions get from a queue what AWS documents that they get."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from hoptrace.triggers import identify
from hoptrace_local.lambda_host import AwsEndpoint, FunctionConfig, LambdaHost, SqsEventSource
from tests.contract.lab import Lab, call, traced
from tests.contract.test_every_way import meeting
from tests.contract.ways import CONTEXT
from tests.triggers.real_aws import REGION

WRITES = """
import json
def handler(event, context):
    with open({seen!r}, "a") as file:
        file.write(json.dumps(event) + "\\n")
"""


@pytest.mark.parametrize("many", [0, 10])
def test_an_event_in_a_queue_is_known_by_its_trace_header_to_a_function_of_the_local_lambda(
    many: int, lab: Lab, tmp_path: Path
) -> None:
    (tmp_path / "code").mkdir()
    seen = tmp_path / "seen.jsonl"
    (tmp_path / "code" / "app.py").write_text(WRITES.format(seen=str(seen)))
    config = FunctionConfig("worker", tmp_path / "code", "app.handler", timeout=20, python=Path(sys.executable))
    url, arn = lab.aws.queue(lab.name("local"))
    source = lab.name("source")
    lab.aws.rule(lab.name("rule"), source, arn)
    with LambdaHost([config], state_dir=tmp_path / "state", aws=AwsEndpoint(lab.front.url, REGION)) as host:
        host.add_event_source("worker", SqsEventSource(arn))
        with traced() as recorder:
            if many:
                given = {f"a{index}": {"DataType": "String", "StringValue": "v"} for index in range(many)}
                message = {"QueueUrl": url, "MessageBody": "x", "MessageAttributes": given}
                done = call(lab.client("sqs"), "SendMessage", message, recorder)
            else:
                # So large that its detail has no room for a context.
                entry = {"Source": source, "DetailType": "t", "Detail": json.dumps({"fill": "x" * 999_950})}
                done = call(lab.client("events"), "PutEvents", {"Entries": [entry]}, recorder)
        assert not done.refused
        deadline = time.monotonic() + 20
        while not seen.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
    (record,) = identify(json.loads(seen.read_text())).records
    assert meeting(done.span, record) == CONTEXT
    assert record.carrier == "xray"
