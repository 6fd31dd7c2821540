"""`HOPTRACE_WATCH_RECORDS=true`: plain iteration is followed, and the list stays a list."""

import asyncio
import copy
import json
import pickle
import pprint
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import hoptrace
from hoptrace.watched import WatchedList
from tests.batches.scene import PROCESSED, attribute, call, event, run, sqs, trace_id
from tests.support.functions import function

WATCHED = {"HOPTRACE_WATCH_RECORDS": "true"}


def test_off_by_default_the_event_is_what_it_was() -> None:
    woken = sqs(2)
    before = woken["Records"]
    run(lambda woken, context: list(woken["Records"]), woken)
    assert woken["Records"] is before
    assert type(before) is list


def test_a_plain_loop_makes_each_records_span_current() -> None:
    def handler(woken: Any, context: Any) -> None:
        for record in woken["Records"]:
            call(record["messageId"])
        call("after")

    recorded = run(handler, sqs(3), WATCHED)
    for number in range(3):
        assert recorded.named(f"m{number}")["trace_id"] == trace_id(number)
    assert recorded.named("after")["trace_id"] == recorded.invocation["trace_id"]
    assert recorded.marks == ["done"] * 3


def test_what_a_plain_loop_raises_marks_the_record_that_was_in_work() -> None:
    def handler(woken: Any, context: Any) -> None:
        for record in woken["Records"]:
            assert record["messageId"] != "m1"

    assert run(handler, sqs(3), WATCHED).marks == ["done+", "failed", "unreached+"]


def test_the_very_records_come_from_loop_and_index_alike() -> None:
    woken = sqs(3)
    before = list(woken["Records"])

    def handler(woken: Any, context: Any) -> bool:
        looped = list(woken["Records"])
        indexed = [woken["Records"][number] for number in range(len(woken["Records"]))]
        return all(a is b is c for a, b, c in zip(before, looped, indexed, strict=True))

    assert run(handler, woken, WATCHED).result is True


LOOKS: dict[str, Callable[[Any], Any]] = {
    "equal": lambda records: records == json.loads(json.dumps(records)) and json.loads(json.dumps(records)) == records,
    "len": len,
    "bool": bool,
    "repr": repr,
    "str": str,
    "slice": lambda records: (type(records[1:]), records[1:], records[::-1]),
    "index": lambda records: (records[0], records[-1], records.index(records[1]), records.count(records[0])),
    "in": lambda records: records[1] in records,
    "dumps": json.dumps,
    "dumps indented": lambda records: json.dumps(records, indent=2, sort_keys=True),
    "dumps in the event": lambda records: json.dumps({"Records": records}),
    "pickled": lambda records: [pickle.loads(pickle.dumps(records, protocol)) for protocol in range(6)],
    "copy": lambda records: (copy.copy(records), type(copy.copy(records))),
    "deepcopy": lambda records: (copy.deepcopy(records), type(copy.deepcopy({"a": records})["a"])),
    "copied": lambda records: (records.copy(), type(records.copy())),
    "added": lambda records: (records + [1], type(records + []), [1] + records, records * 2),
    "pprint": pprint.pformat,
    "reversed": lambda records: list(reversed(records)),
    "sorted": lambda records: sorted(records, key=lambda record: record["body"], reverse=True),
    "unpacked": lambda records: [*records],
    "isinstance": lambda records: isinstance(records, list),
    "hash": lambda records: getattr(records, "__hash__", 1),
    "matched": lambda records: matched(records),  # noqa: PLW0108  it stands below
    "changed": lambda records: changed(records),  # noqa: PLW0108
}


def matched(records: Any) -> Any:
    match records:
        case [first, *rest]:
            return first, rest


def changed(records: Any) -> Any:
    records.append({"messageId": "new"})
    records.pop(0)
    records.sort(key=lambda record: record["messageId"])
    records.extend([{"messageId": "more"}])
    records[0] = {"messageId": "other"}
    del records[1]
    records.insert(0, {})
    return list(records)


@pytest.mark.parametrize("name", LOOKS)
def test_in_every_other_respect_it_is_a_list(name: str) -> None:
    look = LOOKS[name]
    recorded = run(lambda woken, context: look(woken["Records"]), sqs(3), WATCHED)
    assert recorded.error is None
    assert recorded.result == look(sqs(3)["Records"])


def _pooled(woken: Any) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(len, woken["Records"]))


def _gathered(woken: Any) -> None:
    async def main() -> None:
        await asyncio.wait([asyncio.ensure_future(asyncio.sleep(0)) for _ in range(2)])

    asyncio.run(main())
    copy.deepcopy(woken)


@pytest.mark.parametrize(
    "look",
    [
        lambda woken: json.dumps(woken, indent=1),
        copy.deepcopy,
        copy.copy,
        pickle.dumps,
        pprint.pformat,
        lambda woken: woken["Records"][1:],
        _pooled,
        _gathered,
    ],
)
def test_who_prints_copies_or_hands_out_records_processes_none(look: Callable[[Any], Any]) -> None:
    recorded = run(lambda woken, context: bool(look(woken)), sqs(3), WATCHED)
    assert recorded.error is None
    assert PROCESSED not in json.dumps(recorded.records)
    assert {record["start"] for record in recorded.records} == {recorded.invocation["start"]}


def test_records_of_a_watched_list_are_followed_once() -> None:
    def handler(woken: Any, context: Any) -> None:
        for record in hoptrace.records(woken):
            call(record["messageId"])

    recorded = run(handler, sqs(2), WATCHED)
    assert recorded.named("m1")["trace_id"] == trace_id(1)
    assert len(recorded.notes) == 4


def test_an_event_without_a_list_of_records_is_left_alone() -> None:
    class Event(dict):  # type: ignore[type-arg]
        pass

    for woken in (Event(sqs(2)), {"Records": tuple(sqs(2)["Records"])}, event("recorded/api_gateway_http.json"), None):
        before = copy.deepcopy(woken)
        assert run(lambda woken, context: None, woken, WATCHED).error is None
        assert woken == before
        assert type(woken) is type(before)
        assert not isinstance(woken, dict) or type(woken.get("Records")) is not WatchedList


APP = """
import json, hoptrace
def handler(event, context):
    found = []
    for record in event["Records"]:
        found.append(hoptrace.current_span().context.trace_id)
    return [found, json.loads(json.dumps(event)) == event]
"""


def test_in_a_function_it_is_a_setting_of_the_environment(tmp_path: Path) -> None:
    with function(tmp_path, APP, environment=WATCHED) as desk:
        found, same = desk.invoke(sqs(3))
        ends = [span for span in desk.spans() if span["kind"] == 5]
    assert found == [trace_id(number) for number in range(3)]
    assert same is True
    assert not any(attribute(span, PROCESSED) is False for span in ends)
