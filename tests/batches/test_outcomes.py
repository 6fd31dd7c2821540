"""What is said of each record once the handler is back, and of an invocation that comes again."""

import json
from pathlib import Path
from typing import Any

import pytest

import hoptrace
from hoptrace.testing import LambdaContext, recorder
from tests.batches.scene import attribute, event, run, sqs
from tests.support.functions import function


def _failures(*names: Any) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": name} for name in names]}


def _stream(name: str, count: int) -> dict[str, Any]:
    """A batch of a stream, its sequence numbers `1`, `2`, …"""
    woken = event(name)
    where = "kinesis" if "kinesis" in woken["Records"][0] else "dynamodb"
    key = "sequenceNumber" if where == "kinesis" else "SequenceNumber"
    (record,) = woken["Records"][:1]
    return {"Records": [{**record, where: {**record[where], key: f"{number + 1}"}} for number in range(count)]}


ALL = ["failed"] * 4
NONE = ["done"] * 4


@pytest.mark.parametrize(
    ("result", "marks", "count"),
    [
        (None, NONE, None),
        ({}, NONE, None),
        ("done", NONE, None),
        ({"batchItemFailures": None}, NONE, None),
        ({"batchItemFailures": []}, NONE, None),
        ({"batchitemfailures": [{"itemIdentifier": "m1"}]}, NONE, None),
        (_failures("m1"), ["done", "failed", "done", "done"], 1),
        (_failures("m3", "m1", "m3"), ["done", "failed", "done", "failed"], 2),
        (_failures(""), ALL, 4),
        (_failures(None), ALL, 4),
        (_failures(7), ALL, 4),
        (_failures("m1", "unknown"), ALL, 4),
        ({"batchItemFailures": [{"itemIdentifer": "m1"}]}, ALL, 4),
        ({"batchItemFailures": ["m1"]}, ALL, 4),
        ({"batchItemFailures": "m1"}, ALL, 4),
        ({"batchItemFailures": {"itemIdentifier": "m1"}}, ALL, 4),
        ({"batchItemFailures": 0}, ALL, 4),
        ({"batchItemFailures": False}, ALL, 4),
        ({"batchItemFailures": ({"itemIdentifier": "m1"},)}, ["done", "failed", "done", "done"], 1),
    ],
    ids=str,
)
def test_an_answer_marks_what_lambda_takes_for_failed(result: Any, marks: list[str], count: int | None) -> None:
    recorded = run(lambda woken, context: result, sqs(4))
    assert recorded.result is result
    assert recorded.marks == marks
    assert attribute(recorded.invocation, "hoptrace.batch.item_failures") == count
    assert "status" not in recorded.invocation
    for record, mark in zip(recorded.records, marks, strict=True):
        assert attribute(record, "error.type") == ("batch_item_failure" if mark == "failed" else None)


@pytest.mark.parametrize("name", ["sam/kinesis-get-records.json", "sam/dynamodb-update.json"])
@pytest.mark.parametrize(
    ("named", "marks"),
    [
        (["2"], ["done", "failed", "done+", "done+"]),
        (["4", "2"], ["done", "failed", "done+", "failed"]),
        (["1"], ["failed", "done+", "done+", "done+"]),
        ([""], ALL),
    ],
)
def test_in_a_stream_what_follows_the_first_failed_record_comes_again(
    name: str, named: list[str], marks: list[str]
) -> None:
    recorded = run(lambda woken, context: _failures(*named), _stream(name, 4))
    assert recorded.marks == marks


def test_in_kafka_each_partition_has_its_own_order() -> None:
    woken = event("documented/kafka_msk.json")
    (name, (record, *_)) = next(iter(woken["records"].items()))
    topic = name.rpartition("-")[0]
    woken["records"] = {
        f"{topic}-{partition}": [{**record, "topic": topic, "partition": partition, "offset": n} for n in (5, 6, 7)]
        for partition in (0, 1)
    }
    failed = {"partition": f"{topic}-0", "offset": 6}
    recorded = run(lambda woken, context: _failures(failed), woken)
    assert recorded.marks == ["done", "failed", "done+", "done", "done", "done"]
    assert run(lambda woken, context: _failures({"partition": f"{topic}-0"}), woken).marks == ["failed"] * 6


def test_an_answer_about_records_that_were_not_read_fails_none_that_were() -> None:
    recorded = run(lambda woken, context: _failures("m3"), sqs(4), {"HOPTRACE_MAX_BATCH_RECORDS": "2"})
    assert recorded.marks == ["done", "done"]
    assert attribute(recorded.invocation, "hoptrace.batch.item_failures") == 1


def test_a_record_that_is_caught_and_answered_for_is_failed_and_the_rest_is_not() -> None:
    def handler(woken: Any, context: Any) -> Any:
        failed = []
        for record in hoptrace.records(woken):
            try:
                assert record["messageId"] != "m1"
            except AssertionError:
                failed.append(record["messageId"])
        return _failures(*failed)

    recorded = run(handler, sqs(3))
    assert recorded.marks == ["done", "failed", "done"]


def test_an_error_of_its_own_says_more_than_the_answer() -> None:
    def handler(woken: Any, context: Any) -> Any:
        failed = []
        for record in woken["Records"]:
            try:
                with hoptrace.processing(record):
                    assert record["messageId"] != "m1", "no such order"
            except AssertionError:
                failed.append(record["messageId"])
        return _failures(*failed, "m2")

    recorded = run(handler, sqs(3))
    assert recorded.errors == [None, "AssertionError", "batch_item_failure"]
    assert recorded.records[1]["status"][1].startswith("no such order")


def test_where_nobody_follows_the_records_a_raised_error_fails_all_as_lambda_has_it() -> None:
    recorded = run(lambda woken, context: 1 // 0, sqs(3))
    assert recorded.errors == ["ZeroDivisionError"] * 3


def test_an_api_answers_with_what_it_likes() -> None:
    recorded = run(lambda woken, context: _failures("m1"), event("recorded/api_gateway_http.json"))
    assert attribute(recorded.invocation, "hoptrace.batch.item_failures") is None


def test_the_attempts_of_one_request_are_counted() -> None:
    with recorder() as recorded:
        handler = hoptrace.trace(lambda woken, context: None)
        for request_id in ("a", "b", "a", "a", "", ""):
            handler({}, LambdaContext(request_id=request_id))
        found = [attribute(span, "hoptrace.invocation.attempt") for span in recorded.ended()]
    assert found == [None, None, 2, 3, None, None]


def test_how_many_requests_are_remembered_is_bounded() -> None:
    from hoptrace import entry

    with recorder() as recorded:
        handler = hoptrace.trace(lambda woken, context: None)
        session = entry.session()
        assert session is not None
        for number in range(1500):
            handler({}, LambdaContext(request_id=f"r{number}"))
            handler({}, LambdaContext(request_id="again and again"))
        assert len(session.invocations._attempts) <= 512
        assert recorded.ended()[-1]["attributes"]["hoptrace.invocation.attempt"] == 1500


RETRIED = """
def handler(event, context):
    raise LookupError("not yet")
"""


def test_lambdas_retries_of_an_asynchronous_event_are_attempts_of_one_request(tmp_path: Path) -> None:
    with function(tmp_path, RETRIED, layer=True) as desk:
        for _ in range(3):
            desk.host.invoke("f", b"{}", request_id="11111111-2222-4333-8444-555555555555")
        found = [attribute(span, "hoptrace.invocation.attempt") for span in desk.spans("f")]
    assert found == [None, 2, 3]


PLAIN = """
import sys
def handler(event, context):
    return sorted(name for name in sys.modules if name.startswith("hoptrace"))
"""


@pytest.mark.parametrize("woken", [{}, sqs(10), event("recorded/sns.json")], ids=["plain", "sqs", "sns"])
def test_who_follows_no_records_loads_nothing_for_it(woken: Any, tmp_path: Path) -> None:
    with function(tmp_path, PLAIN) as desk:
        loaded = desk.invoke(woken)
        again = desk.invoke(json.loads(json.dumps(woken)))
    ours = {
        f"hoptrace.{name}" for name in ("batch", "following", "raised", "watched", "failures", "clients.powertools")
    }
    assert not ours & {*loaded, *again}
