"""`for record in hoptrace.records(event)` and `with hoptrace.processing(record)`: whose span is current, and when."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

import hoptrace
from hoptrace import batch, guard
from hoptrace.lineage import open_lineages
from tests.batches.scene import PROCESSED, attribute, call, event, run, sqs, trace_id

BATCHES = {
    "recorded/sqs.json": lambda e: e["Records"],
    "recorded/sns.json": lambda e: e["Records"],
    "sam/kinesis-get-records.json": lambda e: e["Records"],
    "sam/dynamodb-update.json": lambda e: e["Records"],
    "sam/s3-put.json": lambda e: e["Records"],
    "sam/kinesis-kinesis-firehose.json": lambda e: e["records"],
    "documented/pipes_sqs.json": lambda e: e,
    "documented/kafka_msk.json": lambda e: [each for group in e["records"].values() for each in group],
    "documented/mq_active.json": lambda e: e["messages"],
    "documented/mq_rabbit.json": lambda e: [each for group in e["rmqMessagesByQueue"].values() for each in group],
}


@pytest.mark.parametrize("name", BATCHES)
def test_the_very_records_come_each_with_a_span_of_its_own(name: str) -> None:
    woken = event(name)
    seen: list[Any] = []

    def handler(woken: Any, context: Any) -> None:
        for record in hoptrace.records(woken):
            current = hoptrace.current_span()
            assert current is not None
            assert current.kind == 5
            seen.append((record, current.context.span_id))

    recorded = run(handler, woken)
    assert recorded.error is None
    members = BATCHES[name](woken)
    assert members
    assert all(record is member for (record, _), member in zip(seen, members, strict=True))
    assert [span_id for _, span_id in seen] == [record["span_id"] for record in recorded.records]
    assert recorded.marks == ["done"] * len(members)


def test_what_is_called_meanwhile_belongs_to_the_records_trace_and_lies_in_its_time() -> None:
    def handler(woken: Any, context: Any) -> None:
        call("before")
        for record in hoptrace.records(woken):
            time.sleep(0.002)
            call(record["messageId"])
        call("after")

    recorded = run(handler, sqs(3))
    ends = recorded.invocation["start"]
    for number, record in enumerate(recorded.records):
        made = recorded.named(f"m{number}")
        assert made["trace_id"] == record["trace_id"] == trace_id(number)
        assert made["parent_id"] == record["span_id"]
        assert ends <= record["start"] <= made["start"] <= made["end"] <= record["end"]
        assert record["end"] - record["start"] >= 2_000_000
        ends = record["end"]
    for name in ("before", "after"):
        assert recorded.named(name)["parent_id"] == recorded.invocation["span_id"]
    assert ends <= recorded.named("after")["start"]


def _plain(woken: Any) -> None:
    for record in hoptrace.records(woken):
        if record["messageId"] == "m1":
            raise LookupError("no such order")


def _deeper(woken: Any) -> None:
    def work(record: Any) -> None:
        json.loads("{" if record["messageId"] == "m1" else "{}")

    for record in hoptrace.records(woken):
        work(record)


def _raised_again(woken: Any) -> None:
    for record in hoptrace.records(woken):
        try:
            if record["messageId"] == "m1":
                raise LookupError
        except LookupError:
            call("logged")
            raise


def _raised_from(woken: Any) -> None:
    try:
        _plain(woken)
    except LookupError as error:
        raise RuntimeError("the batch failed") from error


def _instead(woken: Any) -> None:
    try:
        _plain(woken)
    finally:
        raise RuntimeError


def _through_with_and_finally(woken: Any) -> None:
    for record in hoptrace.records(woken):
        with suppress(KeyError):
            try:
                assert record["messageId"] != "m1"
            finally:
                call("cleaned up")


def _enumerated(woken: Any) -> None:
    for number, (_, _) in enumerate(zip(hoptrace.records(woken), range(9), strict=False)):
        assert number != 1


def _in_a_comprehension(woken: Any) -> None:
    assert [1 // (record["messageId"] != "m1") for record in hoptrace.records(woken)]


def _mapped(woken: Any) -> None:
    def work(record: Any) -> float:
        return 1 / (record["messageId"] != "m1")

    list(map(work, hoptrace.records(woken)))


def _handed_on(woken: Any) -> None:
    def bodies() -> Iterator[Any]:
        for record in hoptrace.records(woken):
            yield json.loads(record["body"])

    for body in bodies():
        assert body["n"] != 1


def _kept(woken: Any) -> None:
    iterator = hoptrace.records(woken)
    for record in iterator:
        assert record["messageId"] != "m1"


def _kept_and_handed_on(woken: Any) -> None:
    handed = (json.loads(record["body"]) for record in hoptrace.records(woken))
    for body in handed:
        assert body["n"] != 1


def _asked_for_one_by_one(woken: Any) -> None:
    iterator = iter(hoptrace.records(woken))
    while True:
        assert next(iterator)["messageId"] != "m1"


def _in_a_block(woken: Any) -> None:
    for record in woken["Records"]:
        with hoptrace.processing(record):
            assert record["messageId"] != "m1"


def _by_an_exit(woken: Any) -> None:
    for record in hoptrace.records(woken):
        if record["messageId"] == "m1":
            raise SystemExit(1)


def _in_a_coroutine(woken: Any) -> None:
    async def main() -> None:
        for record in hoptrace.records(woken):
            await asyncio.sleep(0)
            assert record["messageId"] != "m1"

    asyncio.run(main())


RAISING = [
    _plain,
    _deeper,
    _raised_again,
    _raised_from,
    _instead,
    _through_with_and_finally,
    _enumerated,
    _in_a_comprehension,
    _mapped,
    _handed_on,
    _kept,
    _kept_and_handed_on,
    _asked_for_one_by_one,
    _in_a_block,
    _by_an_exit,
    _in_a_coroutine,
]


@pytest.mark.parametrize("work", RAISING, ids=lambda work: work.__name__.strip("_"))
def test_a_raised_error_marks_exactly_the_record_that_was_in_work(work: Callable[[Any], None]) -> None:
    recorded = run(lambda woken, context: work(woken), sqs(4))
    assert recorded.error is not None
    assert recorded.marks == ["done+", "failed", "unreached+", "unreached+"]
    failed = recorded.records[1]
    assert attribute(failed, "error.type")
    (exception,) = failed["events"]
    assert exception["attributes"]["exception.stacktrace"]
    assert not any(record.get("events") for record in recorded.records if record is not failed)
    assert recorded.invocation["status"][0] == 2


def _broken_off_then_raised(woken: Any) -> None:
    for record in hoptrace.records(woken):
        if record["messageId"] == "m1":
            break
    raise RuntimeError


def _returned_then_raised(woken: Any) -> None:
    def first() -> Any:
        for record in hoptrace.records(woken):
            if record["messageId"] == "m1":
                return record
        return None

    assert first() is None


def _asked_for_two_then_raised(woken: Any) -> None:
    def two() -> Any:
        iterator = iter(hoptrace.records(woken))
        return next(iterator), next(iterator)

    assert two() is None


def _closed_then_raised(woken: Any) -> None:
    iterator: Any = hoptrace.records(woken)
    next(iterator), next(iterator)
    iterator.close()
    assert list(iterator) == []
    raise RuntimeError


def _caught_then_raised(woken: Any) -> None:
    for record in hoptrace.records(woken):
        try:
            assert record["messageId"] != "m0"
        except AssertionError:
            continue
        break
    raise RuntimeError


@pytest.mark.parametrize(
    "work",
    [
        _broken_off_then_raised,
        _returned_then_raised,
        _asked_for_two_then_raised,
        _closed_then_raised,
        _caught_then_raised,
    ],
    ids=lambda work: work.__name__.strip("_"),
)
def test_an_error_after_the_loop_is_no_records_own(work: Callable[[Any], None]) -> None:
    recorded = run(lambda woken, context: work(woken), sqs(4))
    assert recorded.error is not None
    assert recorded.marks == ["done+", "done+", "unreached+", "unreached+"]


def test_after_a_break_or_a_return_the_invocation_is_current_again() -> None:
    def handler(woken: Any, context: Any) -> str:
        for _ in hoptrace.records(woken):
            break
        call("after the break")
        for record in hoptrace.records(woken):
            return str(record["messageId"])
        return ""

    recorded = run(handler, sqs(3))
    assert recorded.result == "m0"
    assert recorded.named("after the break")["parent_id"] == recorded.invocation["span_id"]
    assert recorded.marks == ["done", "unreached", "unreached"]
    assert recorded.records[1]["start"] == recorded.records[1]["end"]


def test_a_loop_that_was_never_begun_says_nothing() -> None:
    def handler(woken: Any, context: Any) -> None:
        hoptrace.records(woken)

    recorded = run(handler, sqs(2))
    assert recorded.marks == ["done", "done"]
    assert [record["end"] for record in recorded.records] == [recorded.invocation["end"]] * 2


def test_loops_inside_each_other_have_each_the_record_that_they_are_at() -> None:
    def handler(woken: Any, context: Any) -> None:
        for outer in hoptrace.records(woken):
            for inner in hoptrace.records(woken):
                call(f"{outer['messageId']}-{inner['messageId']}")
            call(outer["messageId"])

    recorded = run(handler, sqs(2))
    for outer in range(2):
        assert recorded.named(f"m{outer}")["trace_id"] == trace_id(outer)
        for inner in range(2):
            assert recorded.named(f"m{outer}-m{inner}")["trace_id"] == trace_id(inner)


def test_loops_beside_each_other_leave_no_record_current() -> None:
    def handler(woken: Any, context: Any) -> None:
        for one, other in zip(hoptrace.records(woken), hoptrace.records(woken), strict=True):
            assert one is other
            call(one["messageId"])
        call("after")

    recorded = run(handler, sqs(3))
    assert [recorded.named(f"m{number}")["trace_id"] for number in range(3)] == [trace_id(n) for n in range(3)]
    assert recorded.named("after")["trace_id"] == recorded.invocation["trace_id"]


def test_loops_over_two_shares_beside_each_other_leave_no_record_current_either() -> None:
    def handler(woken: Any, context: Any) -> None:
        shares = [hoptrace.records({"Records": woken["Records"][start::2]}) for start in (0, 1)]
        for _, other in zip(*shares, strict=True):
            call(other["messageId"])
        call("after")

    recorded = run(handler, sqs(4))
    assert [recorded.named(f"m{number}")["trace_id"] for number in (1, 3)] == [trace_id(1), trace_id(3)]
    assert recorded.named("after")["trace_id"] == recorded.invocation["trace_id"]
    assert recorded.marks == ["done"] * 4


def test_a_loop_that_another_thread_began_is_closed_without_a_trace_here() -> None:
    def handler(woken: Any, context: Any) -> None:
        iterator: Any = hoptrace.records(woken)
        begun = threading.Thread(target=next, args=(iterator,))
        begun.start()
        begun.join()
        iterator.close()
        call("after")

    recorded = run(handler, sqs(2))
    assert recorded.named("after")["parent_id"] == recorded.invocation["span_id"]
    assert recorded.marks == ["done", "unreached"]


def test_a_second_loop_over_the_same_records_lengthens_their_spans() -> None:
    between: list[int] = []

    def handler(woken: Any, context: Any) -> None:
        for record in hoptrace.records(woken):
            call(f"first {record['messageId']}")
        between.append(time.time_ns())
        for record in hoptrace.records(woken):
            call(f"second {record['messageId']}")

    recorded = run(handler, sqs(2))
    for record in recorded.records:
        assert record["start"] < between[0] < record["end"]
    assert len({record["span_id"] for record in recorded.records}) == 2


def test_threads_that_process_records_keep_each_to_its_trace() -> None:
    barrier = threading.Barrier(4, timeout=20)

    def work(record: Any) -> None:
        with hoptrace.processing(record):
            barrier.wait()
            call(record["messageId"])
            barrier.wait()
        assert record["messageId"] != "m2"

    def handler(woken: Any, context: Any) -> None:
        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(work, record) for record in woken["Records"]]
        assert [future.exception() is None for future in futures] == [True, True, False, True]
        call("after")

    recorded = run(handler, sqs(4))
    assert recorded.error is None
    for number in range(4):
        assert recorded.named(f"m{number}")["trace_id"] == trace_id(number)
        assert recorded.named(f"m{number}")["parent_id"] == recorded.records[number]["span_id"]
    assert recorded.marks == ["done"] * 4, "the error was raised after the block"
    starts, ends = zip(*((each["start"], each["end"]) for each in recorded.records), strict=True)
    assert max(starts) < min(ends), "they were in work at the same time"


def test_a_thread_that_has_done_a_record_is_back_where_it_was() -> None:
    pool = ThreadPoolExecutor(1)  # as a function keeps one, from one invocation to the next

    def work(record: Any) -> None:
        with hoptrace.processing(record):
            pass

    def looks() -> Any:
        return hoptrace.current_span()

    run(lambda woken, context: pool.submit(work, woken["Records"][0]).result(), sqs(2))
    assert pool.submit(looks).result() is None
    pool.shutdown()


def test_an_error_in_a_thread_is_that_threads_records_own() -> None:
    def work(record: Any) -> None:
        with hoptrace.processing(record):
            assert record["messageId"] != "m2"

    def handler(woken: Any, context: Any) -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(work, woken["Records"]))

    recorded = run(handler, sqs(4))
    assert isinstance(recorded.error, AssertionError)
    assert recorded.errors == [None, None, "AssertionError", None]
    assert recorded.marks[:3] == ["done+", "done+", "failed"]
    assert len(recorded.records[2]["events"]) == 1


def test_threads_may_loop_over_shares_of_the_batch() -> None:
    def work(share: list[Any]) -> None:
        for record in hoptrace.records({"Records": share}):
            call(record["messageId"])

    def handler(woken: Any, context: Any) -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(work, (woken["Records"][:3], woken["Records"][3:])))

    recorded = run(handler, sqs(6))
    assert recorded.marks == ["done"] * 6
    for number in range(6):
        assert recorded.named(f"m{number}")["trace_id"] == trace_id(number)


def test_tasks_that_run_side_by_side_keep_each_to_its_trace() -> None:
    async def work(record: Any) -> None:
        with hoptrace.processing(record):
            for turn in range(3):
                await asyncio.sleep(0.001)
                call(f"{record['messageId']} {turn}")
            if record["messageId"] == "m1":
                raise LookupError

    async def main(woken: Any) -> list[Any]:
        found = await asyncio.gather(*map(work, woken["Records"]), return_exceptions=True)
        call("gathered")
        return [type(each).__name__ for each in found]

    recorded = run(lambda woken, context: asyncio.run(main(woken)), sqs(3))
    assert recorded.result == ["NoneType", "LookupError", "NoneType"]
    assert recorded.marks == ["done", "failed", "done"]
    for number in range(3):
        for turn in range(3):
            assert recorded.named(f"m{number} {turn}")["parent_id"] == recorded.records[number]["span_id"]
    assert recorded.named("gathered")["parent_id"] == recorded.invocation["span_id"]


def test_of_tasks_that_loop_only_the_one_that_raised_marks_its_record() -> None:
    async def work(share: list[Any], kept: list[Any]) -> None:
        iterator = hoptrace.records({"Records": share})
        kept.append(iterator)
        for record in iterator:
            await asyncio.sleep(0.001)
            assert record["messageId"] != "m3"
            await asyncio.sleep(0.05)

    async def main(woken: Any) -> None:
        kept: list[Any] = []
        await asyncio.gather(work(woken["Records"][:2], kept), work(woken["Records"][3:], kept))

    recorded = run(lambda woken, context: asyncio.run(main(woken)), sqs(5))
    assert recorded.errors == [None, None, None, "AssertionError", None]


def test_the_member_of_a_group_that_failed_marks_its_record() -> None:
    async def work(record: Any) -> None:
        for each in hoptrace.records({"Records": [record]}):
            await asyncio.sleep(0)
            assert each["messageId"] != "m1"

    async def main(woken: Any) -> None:
        async with asyncio.TaskGroup() as group:
            for record in woken["Records"]:
                group.create_task(work(record))

    recorded = run(lambda woken, context: asyncio.run(main(woken)), sqs(3))
    assert isinstance(recorded.error, ExceptionGroup)
    assert recorded.errors[1] == "ExceptionGroup"
    assert recorded.errors[0] is recorded.errors[2] is None


def test_a_copy_of_a_record_is_told_by_its_identifier() -> None:
    def handler(woken: Any, context: Any) -> None:
        for record in hoptrace.records(json.loads(json.dumps(woken))):
            call(record["messageId"])

    recorded = run(handler, sqs(3))
    assert [recorded.named(f"m{number}")["trace_id"] for number in range(3)] == [trace_id(n) for n in range(3)]


def test_what_is_no_record_of_the_event_is_no_ones_business() -> None:
    def handler(woken: Any, context: Any) -> None:
        with hoptrace.processing({"messageId": "another"}):
            call("a")
        for each in hoptrace.records([{"messageId": "another"}, 3, None]):
            call(str(each))

    recorded = run(handler, sqs(2))
    assert recorded.named("a")["parent_id"] == recorded.invocation["span_id"]
    assert PROCESSED not in json.dumps(recorded.records)


@pytest.mark.parametrize(
    "woken", [None, {}, [], 7, "text", b"bytes", True, {"Records": None}, {"Records": "text"}, {"records": {"t": 1}}]
)
def test_an_event_that_is_no_batch_has_no_records(woken: Any) -> None:
    recorded = run(lambda woken, context: list(hoptrace.records(woken)), woken)
    assert recorded.error is None
    assert recorded.result == []


def test_an_http_event_has_no_records() -> None:
    recorded = run(lambda woken, context: list(hoptrace.records(woken)), event("recorded/api_gateway_http.json"))
    assert (recorded.result, recorded.error) == ([], None)


def test_whatever_else_can_be_iterated_over_is() -> None:
    assert list(hoptrace.records(iter("abc"))) == ["a", "b", "c"]
    assert list(hoptrace.records((1, 2))) == [1, 2]


@pytest.mark.parametrize("disabled", [False, True])
def test_outside_an_invocation_and_switched_off_it_is_a_plain_iteration(disabled: bool) -> None:
    from hoptrace.testing import recorder

    woken = sqs(3)
    with recorder({"HOPTRACE_DISABLED": str(disabled).lower()}) as recorded:
        found = list(hoptrace.records(woken))
        with hoptrace.processing(woken["Records"][0]):
            assert hoptrace.current_span() is None
        with pytest.raises(LookupError), hoptrace.processing(woken["Records"][0]):
            raise LookupError
        handler = hoptrace.trace(lambda woken, context: [id(each) for each in hoptrace.records(woken)])
        if disabled:
            assert handler(woken, None) == [id(each) for each in woken["Records"]]
            assert recorded.records == []
    assert all(one is other for one, other in zip(found, woken["Records"], strict=True))


def test_records_beyond_those_that_get_spans_are_yielded_all_the_same() -> None:
    def handler(woken: Any, context: Any) -> None:
        for record in hoptrace.records(woken):
            call(record["messageId"])

    recorded = run(handler, sqs(4), {"HOPTRACE_MAX_BATCH_RECORDS": "2"})
    assert len(recorded.records) == 2
    assert recorded.named("m1")["trace_id"] == trace_id(1)
    assert recorded.named("m3")["parent_id"] == recorded.invocation["span_id"]
    assert attribute(recorded.invocation, "hoptrace.batch.untraced_records") == 2


def test_the_list_may_change_while_it_is_iterated_over_as_any_list_may() -> None:
    def handler(woken: Any, context: Any) -> list[str]:
        found = []
        for record in hoptrace.records(woken):
            found.append(record["messageId"])
            if record["messageId"] == "m0":
                woken["Records"].pop()
                woken["Records"].append({"messageId": "new"})
        return found

    assert run(handler, sqs(3)).result == ["m0", "m1", "new"]


def test_a_message_that_came_alone_by_sns_has_a_span_inside_the_invocation() -> None:
    def handler(woken: Any, context: Any) -> None:
        for _ in hoptrace.records(woken):
            call("a")

    recorded = run(handler, event("recorded/sns.json"))
    (record,) = recorded.records
    assert record["name"].startswith("process ")
    assert record["parent_id"] == recorded.invocation["span_id"]
    assert record["attributes"]["messaging.system"] == "aws.sns"
    assert recorded.named("a")["parent_id"] == record["span_id"]


def test_one_of_powertools_data_classes_is_the_record_that_it_was_made_of() -> None:
    class SQSRecord:
        def __init__(self, raw: Any) -> None:
            self.raw_event = raw

    def handler(woken: Any, context: Any) -> None:
        with hoptrace.processing(SQSRecord(woken["Records"][1])):
            call("a")

    assert run(handler, sqs(2)).named("a")["trace_id"] == trace_id(1)


def test_a_block_in_a_generator_that_is_closed_has_not_failed() -> None:
    def each(records: list[Any]) -> Iterator[Any]:
        for record in records:
            with hoptrace.processing(record):
                yield record

    def handler(woken: Any, context: Any) -> None:
        for record in each(woken["Records"]):
            if record["messageId"] == "m1":
                break

    assert run(handler, sqs(3)).marks == ["done", "done", "unreached"]


def test_a_thread_that_goes_on_after_the_handler_is_back_breaks_nothing() -> None:
    begun, over = threading.Event(), threading.Event()

    def work(record: Any) -> None:
        with hoptrace.processing(record):
            begun.set()
            assert over.wait(20)

    threads: list[threading.Thread] = []

    def handler(woken: Any, context: Any) -> None:
        threads.append(threading.Thread(target=work, args=(woken["Records"][0],)))
        threads[0].start()
        assert begun.wait(20)

    recorded = run(handler, sqs(2))
    over.set()
    threads[0].join()
    assert recorded.records[0]["end"] == recorded.invocation["end"]
    assert len(recorded.notes) == 1


def test_an_error_of_ours_stops_no_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    def handler(woken: Any, context: Any) -> int:
        guard.LOUD = False
        monkeypatch.setattr(batch, "find", broken)
        with hoptrace.processing(woken["Records"][0]):
            pass
        return len(list(hoptrace.records(woken)))

    assert run(handler, sqs(3)).result == 3
    assert guard.errors.pop("batch.record: ZeroDivisionError") == 4


def test_nothing_is_kept_of_an_invocation_that_is_over() -> None:
    run(lambda woken, context: list(hoptrace.records(woken)), sqs(2))
    run(lambda woken, context: 1 // 0, sqs(2))
    assert open_lineages == []


def test_the_collector_is_told_what_is_in_work_in_a_batch_of_ten_and_not_in_a_larger_one() -> None:
    def handler(woken: Any, context: Any) -> None:
        for _ in hoptrace.records(woken):
            pass

    recorded = run(handler, sqs(10))
    assert [(note["span_id"], "end" in note) for note in recorded.notes] == [
        (record["span_id"], done) for record in recorded.records for done in (False, True)
    ]
    for note, record in zip(recorded.notes[1::2], recorded.records, strict=True):
        assert (note["start"], note["end"]) == (record["start"], record["end"])
    assert run(handler, sqs(11)).notes == []
