"""Powertools' batch processors, really installed, in a function's process under the runtime client."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.batches import powertools
from tests.batches.scene import PROCESSED, attribute, event, sqs, trace_id
from tests.clash.packages import link
from tests.support.functions import function

VERSIONS = tuple(powertools.VERSIONS)
LATER = tuple(name for name in VERSIONS if name != "2.0")

PREFACE = """
import asyncio, json, hoptrace
from hoptrace.spans import start_span
from aws_lambda_powertools.utilities import batch
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, batch_processor

def call(name):
    start_span(name).end()

def work(record):
    call(record.message_id)
    if json.loads(record.body)["n"] in (1, 3):
        raise LookupError("no such order")
    return record.message_id
"""

DECORATED = (
    PREFACE
    + """
processor = BatchProcessor(event_type=EventType.SQS)

@batch_processor(record_handler=work, processor=processor)
def handler(event, context):
    call("after")
    return processor.response()
"""
)

IN_A_BLOCK = (
    PREFACE
    + """
processor = BatchProcessor(event_type=EventType.SQS)

def handler(event, context):
    with processor(records=event["Records"], handler=work):
        done = processor.process()
    call("after")
    return {"outcomes": [each[0] for each in done], **processor.response()}
"""
)

SIDE_BY_SIDE = (
    PREFACE
    + """
from aws_lambda_powertools.utilities.batch import AsyncBatchProcessor, async_process_partial_response

processor = AsyncBatchProcessor(event_type=EventType.SQS)
most, now = 0, 0

async def slow(record):
    global most, now
    now += 1
    most = max(most, now)
    for turn in range(3):
        await asyncio.sleep(0.002 * (4 - json.loads(record.body)["n"]))
        call(f"{record.message_id} {turn}")
    now -= 1
    return work(record)

def handler(event, context):
    answer = async_process_partial_response(event=event, record_handler=slow, processor=processor, context=context)
    call("after")
    return {"most": most, **answer}
"""
)

IN_ORDER = (
    PREFACE
    + """
from aws_lambda_powertools.utilities.batch import SqsFifoPartialProcessor

processor = SqsFifoPartialProcessor()

@batch_processor(record_handler=work, processor=processor)
def handler(event, context):
    call("after")
    return processor.response()
"""
)


class Told:
    """What a function answered to a batch, and what was recorded."""

    def __init__(self, answer: Any, spans: list[dict[str, Any]], lines: list[str]) -> None:
        self.answer = answer
        self.lines = lines
        self.spans = spans
        self.invocation = next(span for span in spans if span["name"] == "f")
        records = [span for span in spans if span["kind"] == 5]
        self.records = sorted(records, key=lambda span: str(attribute(span, "messaging.message.id")))

    def named(self, name: str) -> dict[str, Any]:
        (found,) = [span for span in self.spans if span["name"] == name]
        return found

    @property
    def errors(self) -> list[str | None]:
        return [attribute(record, "error.type") for record in self.records]


def _ask(
    folder: Path, version: str, source: str, woken: Any, environment: Mapping[str, str] | None = None, **more: Any
) -> Told:
    link(powertools.packages(version), folder / "task")
    with function(folder, source, environment=environment, timeout=20.0, **more) as desk:
        answer = desk.invoke(woken)
        return Told(answer, desk.spans(), desk.lines)


FAILED = [{"itemIdentifier": "m1"}, {"itemIdentifier": "m3"}]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("source", [DECORATED, IN_A_BLOCK], ids=["decorated", "in a block"])
def test_each_record_has_its_own_calls_times_and_exception(source: str, version: str, tmp_path: Path) -> None:
    told = _ask(tmp_path, version, source, sqs(5))
    assert told.answer["batchItemFailures"] == FAILED
    assert told.errors == [None, "LookupError", None, "LookupError", None]
    for number, record in enumerate(told.records):
        made = told.named(f"m{number}")
        assert made["trace_id"] == trace_id(number)
        assert made["parent_id"] == record["span_id"]
        assert record["start"] <= made["start"] <= made["end"] <= record["end"]
    for failed in (told.records[1], told.records[3]):
        (exception,) = failed["events"]
        assert exception["attributes"]["exception.message"] == "no such order"
        assert "in work" in exception["attributes"]["exception.stacktrace"]
        assert failed["status"] == [2, "no such order"]
    assert told.named("after")["parent_id"] == told.invocation["span_id"]
    assert "status" not in told.invocation
    assert not [line for line in told.lines if "hoptrace: internal" in line]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", LATER)
def test_records_that_are_processed_side_by_side_keep_each_to_its_trace(version: str, tmp_path: Path) -> None:
    told = _ask(tmp_path, version, SIDE_BY_SIDE, sqs(5))
    assert told.answer["most"] == 5
    assert told.answer["batchItemFailures"] == FAILED[::-1], "the later message takes less time"
    assert told.errors == [None, "LookupError", None, "LookupError", None]
    for number, record in enumerate(told.records):
        for turn in range(3):
            made = told.named(f"m{number} {turn}")
            assert (made["trace_id"], made["parent_id"]) == (trace_id(number), record["span_id"])
    starts, ends = zip(*((each["start"], each["end"]) for each in told.records), strict=True)
    assert max(starts) < min(ends)
    assert told.records[4]["end"] < told.records[0]["end"], "each ends when it was done"
    assert told.named("after")["parent_id"] == told.invocation["span_id"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", LATER)
def test_in_order_what_is_not_reached_is_answered_for_and_was_not_processed(version: str, tmp_path: Path) -> None:
    told = _ask(tmp_path, version, IN_ORDER, sqs(4))
    assert [each["itemIdentifier"] for each in told.answer["batchItemFailures"]] == ["m1", "m2", "m3"]
    assert told.errors == [None, "LookupError", "batch_item_failure", "batch_item_failure"]
    assert [attribute(record, PROCESSED) for record in told.records] == [None, None, False, False]
    assert [record.get("events", []) == [] for record in told.records] == [True, False, True, True]


@pytest.mark.timeout(300)
def test_a_batch_that_failed_whole_fails_with_its_records_own_errors(tmp_path: Path) -> None:
    woken = sqs(2)
    woken["Records"] = [{**each, "body": '{"n": 1}'} for each in woken["Records"]]
    told = _ask(tmp_path, "newest", DECORATED, woken)
    assert told.answer["errorType"] == "BatchProcessingError"
    assert told.errors == ["LookupError", "LookupError"]
    assert attribute(told.invocation, "error.type").endswith("BatchProcessingError")


MODELLED = (
    PREFACE
    + """
from aws_lambda_powertools.utilities.parser.models import SqsRecordModel
from pydantic import BaseModel, Json

class Order(BaseModel):
    n: int

class Message(SqsRecordModel):
    body: Json[Order]

processor = BatchProcessor(event_type=EventType.SQS, model=Message)

def record_handler(record: Message):
    call(record.messageId)

@batch_processor(record_handler=record_handler, processor=processor)
def handler(event, context):
    return processor.response()
"""
)


@pytest.mark.timeout(300)
def test_a_message_that_is_not_of_the_model_is_failed_with_the_models_error(tmp_path: Path) -> None:
    woken = sqs(2)
    woken["Records"][1]["body"] = "poison"
    told = _ask(tmp_path, "newest", MODELLED, woken)
    assert told.answer["batchItemFailures"] == [{"itemIdentifier": "m1"}]
    assert told.errors[0] is None
    assert str(told.errors[1]).endswith("ValidationError")
    assert told.named("m0")["trace_id"] == trace_id(0)


STREAM = """
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
processors = {
    "kinesis": BatchProcessor(event_type=EventType.KinesisDataStreams),
    "dynamodb": BatchProcessor(event_type=EventType.DynamoDBStreams),
}
count = -1
def number():
    global count
    count += 1
    return count
def record_handler(record):
    if number() == 1:
        raise LookupError
def handler(event, context):
    kind = "kinesis" if "kinesis" in event["Records"][0] else "dynamodb"
    return process_partial_response(event, record_handler, processors[kind], context)
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["kinesis-get-records.json", "dynamodb-update.json"])
def test_streams_are_followed_as_queues_are(name: str, tmp_path: Path) -> None:
    woken = event(f"sam/{name}")
    where, key = ("kinesis", "sequenceNumber") if "kinesis" in woken["Records"][0] else ("dynamodb", "SequenceNumber")
    (record,) = woken["Records"][:1]
    woken["Records"] = [{**record, where: {**record[where], key: f"{number}"}} for number in (1, 2, 3)]
    told = _ask(tmp_path, "newest", STREAM, woken)
    assert told.answer == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    by_start = sorted(told.records, key=lambda span: span["start"])
    assert [attribute(each, "error.type") for each in by_start] == [None, "LookupError", None]
    assert [attribute(each, "hoptrace.record.redelivered") for each in by_start] == [None, None, True]


OTHERS = """
import sys
from hoptrace.clients import powertools
import types
module = types.ModuleType("aws_lambda_powertools.utilities.batch")
module.BatchProcessor = type("BatchProcessor", (), {})
powertools.patch(module)
def handler(event, context):
    return "fine"
"""


def test_a_version_that_is_made_otherwise_is_left_alone_and_said_once(tmp_path: Path) -> None:
    with function(tmp_path, OTHERS) as desk:
        assert desk.invoke(sqs(1)) == "fine"
        said = [line for line in desk.lines if "hoptrace: internal" in line]
    assert len(said) == 1
    assert "_process_record" in said[0]


UNPATCHED = """
import asyncio, json, sys
import hoptrace
from hoptrace import clients
from hoptrace.testing import LambdaContext, recorder
from aws_lambda_powertools.utilities import batch

def own(kind, name):
    return kind.__dict__[name]

before = own(batch.BatchProcessor, "_process_record"), own(batch.AsyncBatchProcessor, "_async_process_record")
woken = json.loads(sys.stdin.read())
seen = []

def work(record):
    seen.append(hoptrace.current_span().kind)

with recorder():
    assert own(batch.BatchProcessor, "_process_record") is not before[0]
    assert asyncio.iscoroutinefunction(own(batch.AsyncBatchProcessor, "_async_process_record"))
    clients.install()  # a second time changes nothing
    taken = batch.BatchProcessor._process_record  # as somebody's wrapper has it
    processor = batch.BatchProcessor(event_type=batch.EventType.SQS)

    @hoptrace.trace
    def handler(event, context):
        with processor(event["Records"], work):
            processor.process()
        clients.uninstall()
        with processor(event["Records"], work):
            processor.process()
            taken(processor, event["Records"][0])

    handler(woken, LambdaContext())
after = own(batch.BatchProcessor, "_process_record"), own(batch.AsyncBatchProcessor, "_async_process_record")
assert after == before
assert seen == [5, 5, 2, 2, 2], seen
"""


@pytest.mark.timeout(300)
def test_the_patch_is_taken_back_and_does_nothing_where_somebody_keeps_it(tmp_path: Path) -> None:
    path = [str(powertools.packages("newest")), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", UNPATCHED],
        input=json.dumps(sqs(2)),
        env={"PYTHONPATH": ":".join(path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
