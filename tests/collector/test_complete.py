"""What becomes of an invocation: from records, events and telemetry to spans."""

import json
from typing import Any

import pytest

from hoptrace_collector.closing import xray_root
from hoptrace_collector.complete import Finished
from hoptrace_collector.model import Begin
from hoptrace_collector.receive.decode import decode
from hoptrace_collector.told import Invoke, Report, RuntimeDone

from .scene import DEADLINE_MS, SECOND, Scene
from .support import ARN, NOW, TRACE, begin, ended, inner, span


def test_an_invocation_that_came_back_is_passed_on_as_it_is() -> None:
    scene = Scene()
    scene.invoked()
    assert scene.begin() == []
    (finished,) = scene.record(inner(2))
    assert finished.invocation is None
    assert dict(finished.origin.resource)["faas.name"] == "shipping"
    (finished,) = scene.record(ended(1))
    assert finished.invocation is not None
    assert (finished.invocation.outcome, finished.invocation.failed) == ("ok", False)
    assert finished.invocation.deadline_ms == DEADLINE_MS
    assert scene.shutdown("failure") == [], "what has ended cannot fail any more"


def test_an_error_names_its_type() -> None:
    scene = Scene()
    scene.begin()
    failed = ended(1, outcome="error", status=[2, "no such order"])
    failed["span"]["attributes"] = {"error.type": "KeyError"}
    (finished,) = scene.record(failed)
    assert finished.invocation is not None
    assert finished.invocation[1:4] == ("error", "KeyError", "no such order")


@pytest.mark.parametrize(
    ("reason", "gone", "done", "outcome", "error_type", "end"),
    [
        ("timeout", False, None, "timeout", "timeout", NOW + 3 * SECOND),
        ("timeout", False, ("timeout", "", NOW + 3 * SECOND + 7), "timeout", "timeout", NOW + 3 * SECOND + 7),
        ("failure", True, None, "crash", "Runtime.ExitError", NOW + SECOND),
        ("failure", False, ("error", "Runtime.OutOfMemory", NOW + 5), "crash", "Runtime.OutOfMemory", NOW + 5),
        ("releasefail", True, None, "crash", "Runtime.ExitError", NOW + SECOND),
        ("spindown", False, None, "crash", "Runtime.ExitError", NOW + SECOND),
    ],
)
def test_an_invocation_that_never_came_back_is_closed_as_what_ended_it(
    reason: str, gone: bool, done: Any, outcome: str, error_type: str, end: int
) -> None:
    scene = Scene()
    scene.invoked()
    scene.begin(records=[span(5, name="orders process")])
    if gone:
        scene.completer.gone()
        scene.now += 5
    if done:
        assert scene.completer.telemetry(RuntimeDone("other", "timeout", "", 1)) == []
        assert scene.completer.telemetry(RuntimeDone("r1", *done)) == []
    (closed,) = scene.shutdown(reason)
    assert closed.invocation is not None
    assert (closed.invocation.outcome, closed.invocation.error_type) == (outcome, error_type)
    assert [each.name for each in closed.spans] == ["shipping", "orders process"]
    for each in closed.spans:
        assert (each.end, each.status, each.attributes["error.type"]) == (end, 2, error_type)
        assert each.status_message
    assert scene.shutdown(reason) == []


def test_past_its_deadline_an_invocation_timed_out_even_if_the_environment_merely_goes() -> None:
    scene = Scene()
    scene.begin()
    scene.now = NOW + 10 * SECOND
    (closed,) = scene.shutdown("spindown")
    assert closed.invocation is not None
    assert closed.invocation.outcome == "timeout"
    assert closed.spans[0].end == NOW + 3 * SECOND


def test_the_end_of_an_invocation_that_was_closed_already_counts_no_more() -> None:
    scene = Scene()
    scene.begin()
    scene.shutdown("timeout")
    assert scene.record(ended(1)) == []


def test_a_failed_initialisation_is_the_invocations_failure() -> None:
    scene = Scene()
    error = {
        "v": 1,
        "type": "init_error",
        "resource": {"faas.name": "shipping"},
        "error_type": "Runtime.ImportModuleError",
        "message": "No module named 'orders'",
        "start": NOW - 50,
        "end": NOW + 50,
    }
    scene.record(error)
    scene.invoked()
    (made,) = scene.shutdown("failure")
    assert made.invocation is not None
    assert made.invocation[:4] == ("r1", "init_error", "Runtime.ImportModuleError", "No module named 'orders'")
    assert (made.spans[0].name, made.spans[0].trace_id.hex()) == ("shipping", TRACE)
    scene = Scene()
    scene.record(error)
    (made,) = scene.shutdown("spindown")
    assert (made.spans[0].name, made.spans[0].start, made.spans[0].end) == ("init", NOW - 50, NOW + 50)
    scene = Scene()
    scene.record(error, seen=True)
    assert scene.shutdown("spindown") == [], "told by an earlier generation"


def test_telemetry_tells_of_a_crash_before_the_tracer_was_attached() -> None:
    scene = Scene()
    scene.invoked()
    assert scene.completer.wants_to_hear("failure")
    assert scene.completer.telemetry(RuntimeDone("r1", "error", "Runtime.ExitError", NOW + 9)) == []
    assert not scene.completer.wants_to_hear("failure")
    (made,) = scene.shutdown("failure")
    assert made.invocation is not None
    assert (made.invocation.error_type, made.spans[0].end) == ("Runtime.ExitError", NOW + 9)
    assert scene.shutdown("failure") == []


def test_telemetry_that_calls_a_raised_exception_a_success_changes_nothing() -> None:
    scene = Scene()
    scene.begin()
    assert scene.completer.telemetry(RuntimeDone("r1", "success", "", NOW)) == []
    assert scene.completer.telemetry(Report("r1", "error", "Runtime.ExitError", 0, NOW)) == []
    assert len(scene.record(ended(1))) == 1


def test_on_managed_instances_a_report_closes_one_of_many() -> None:
    scene = Scene(managed=True)
    scene.begin(1, "r1", pid=1)
    scene.begin(2, "r2", pid=2)
    (closed,) = scene.completer.telemetry(Report("r2", "error", "Runtime.ExitError", 0, NOW + 7))
    assert closed.invocation is not None
    assert closed.invocation.request_id == "r2"
    assert [each.request_id for each in scene.completer.opened] == ["r1"]


def test_an_end_that_was_lost_is_not_called_a_failure() -> None:
    scene = Scene()
    scene.begin(1)
    (closed,) = scene.record(begin(2, "r2", deadline_ms=DEADLINE_MS))
    assert closed.invocation is not None
    assert (closed.invocation.outcome, closed.invocation.failed) == ("unknown", False)
    assert closed.spans[0].status == 0


def test_a_beginning_of_another_process_shows_that_the_one_before_died() -> None:
    scene = Scene()
    scene.begin(1, pid=17)
    later = begin(2, "r2", pid=18, deadline_ms=DEADLINE_MS)
    later["span"]["start"] = NOW + SECOND
    (closed,) = scene.record(later)
    assert closed.invocation is not None
    assert (closed.invocation.outcome, closed.spans[0].end) == ("crash", NOW + SECOND)


def test_what_an_earlier_generation_left_open_is_closed_and_the_present_invocation_is_not() -> None:
    scene = Scene()
    old = decode(begin(1, "r0", deadline_ms=NOW // 10**6 - 5000))
    assert isinstance(old, Begin)
    scene.completer.resume([old], ["00000000000000ff"], None)
    event = Invoke("r1", ARN, DEADLINE_MS + 1, "", NOW)
    scene.completer.invoked(event)
    scene.record(begin(255, "closed already", deadline_ms=DEADLINE_MS))
    retried = begin(3, "r1", deadline_ms=NOW // 10**6 - 9000, pid=17)
    finished = scene.record(retried)
    finished += scene.begin(4, "r1", pid=18)
    finished += scene.completer.settle(event)
    assert [each.spans[0].span_id[-1] for each in finished] == [1, 3]
    assert all(each.invocation and each.invocation.outcome == "timeout" for each in finished)
    assert [each.span.span_id[-1] for each in scene.completer.opened] == [4]


def test_what_an_earlier_generation_has_counted_is_sent_again_and_not_counted_again() -> None:
    scene = Scene()
    scene.record(begin(1, deadline_ms=DEADLINE_MS), seen=True)
    assert scene.completer.opened == [], "it has ended, or stands among what was left open"
    (finished,) = scene.record(ended(1), seen=True)
    assert finished.invocation is None
    assert [each.name for each in finished.spans] == ["shipping"]
    assert dict(finished.origin.resource)["faas.name"] == "shipping"


@pytest.mark.parametrize(
    ("header", "root"),
    [
        (f"Root=1-{TRACE[:8]}-{TRACE[8:]};Sampled=0", TRACE),
        (f"Self=1-a-b; Root=1-{TRACE[:8]}-{TRACE[8:]}", TRACE),
        ("", ""),
        ("Root=2-00000000-000000000000000000000001", ""),
        ("Root=1-xyz", ""),
        ("Root=1-" + "0" * 8 + "-" + "0" * 24, ""),
        ("Root=1-" + "é" * 32, ""),
    ],
)
def test_the_root_of_a_trace_header_is_the_trace_id(header: str, root: str) -> None:
    assert xray_root(header).hex() == root


RECORDS = [span(number, name="process orders", kind=5) for number in (11, 12, 13)]


def _note(number: int, start: int, end: int = 0, **more: Any) -> dict[str, Any]:
    found = {
        "trace_id": TRACE,
        "span_id": f"{number:016x}",
        "name": "process orders",
        "kind": 5,
        "start": start,
        **more,
    }
    return {"v": 1, "type": "record", "request_id": "r1", "span": {**found, "end": end} if end else found}


def _by_number(finished: list[Finished]) -> dict[int, Any]:
    return {int.from_bytes(each.span_id): each for each in finished[0].spans}


def test_only_the_record_that_was_in_work_shares_the_end_of_a_killed_function() -> None:
    scene = Scene()
    scene.begin(records=RECORDS)
    assert scene.record(_note(11, NOW + 5)) == []
    scene.record(_note(11, NOW + 5, NOW + 9))
    scene.record(_note(12, NOW + 10))
    spans = _by_number(scene.shutdown("timeout"))
    done, killed, unreached = spans[11], spans[12], spans[13]
    at = NOW + 3 * SECOND
    assert (done.start, done.end, done.status) == (NOW + 5, NOW + 9, 0)
    assert done.attributes["hoptrace.record.redelivered"] is True
    assert done.attributes["faas.trigger"] == "pubsub", "what the begin record said of it is kept"
    assert (killed.start, killed.end, killed.attributes["error.type"]) == (NOW + 10, at, "timeout")
    assert (unreached.start, unreached.end, unreached.status) == (at, at, 0)
    assert unreached.attributes["hoptrace.record.processed"] is False
    assert "error.type" not in unreached.attributes


def test_records_that_nobody_follows_all_share_it() -> None:
    scene = Scene()
    scene.begin(records=RECORDS)
    spans = _by_number(scene.shutdown("timeout"))
    assert {spans[number].attributes["error.type"] for number in (11, 12, 13)} == {"timeout"}


def test_a_record_that_failed_before_keeps_its_own_error_and_one_that_begin_had_not_is_whole() -> None:
    scene = Scene()
    scene.begin(records=RECORDS[:1])
    own = {"attributes": {"error.type": "KeyError"}, "status": [2, "no such order"]}
    scene.record(_note(11, NOW + 5, NOW + 9, **own))
    scene.record(_note(14, NOW + 10, attributes={"messaging.system": "aws.sns"}))
    spans = _by_number(scene.shutdown("timeout"))
    assert (spans[11].status, spans[11].attributes["error.type"]) == (2, "KeyError")
    assert (spans[14].end, spans[14].attributes["error.type"]) == (NOW + 3 * SECOND, "timeout")


def test_what_was_in_work_is_told_to_the_next_generation() -> None:
    before, after = Scene(), Scene()
    before.begin(records=RECORDS)
    before.record(_note(11, NOW + 5, NOW + 9))
    before.record(_note(12, NOW + 10))
    raw = json.loads(json.dumps([each.raw for each in before.completer.opened]))
    opened = [each for each in map(decode, raw) if isinstance(each, Begin)]
    after.completer.resume(opened, before.completer.closed, None)
    after.record(_note(13, NOW + 11), seen=True)
    spans = _by_number(after.completer.settle(None))
    assert spans[12].status == 2
    assert spans[11].status == spans[13].status == 0


def test_an_attempt_that_died_with_its_process_is_counted_in_the_next_ones() -> None:
    before, after = Scene(), Scene()
    before.begin()
    before.shutdown("timeout")
    after.completer.resume([], json.loads(json.dumps(before.completer.closed)), None)
    after.begin(2)
    (second,) = after.record(ended(2, outcome="error"))
    after.begin(3)
    third = ended(3)
    third["span"]["attributes"]["hoptrace.invocation.attempt"] = 2  # in its process
    (finished,) = after.record(third)
    after.begin(4, "another")
    (other,) = after.record(ended(4, "another"))
    assert second.spans[0].attributes["hoptrace.invocation.attempt"] == 2
    assert finished.spans[0].attributes["hoptrace.invocation.attempt"] == 3
    assert "hoptrace.invocation.attempt" not in other.spans[0].attributes


def test_requests_that_died_are_remembered_in_a_bounded_number() -> None:
    scene = Scene()
    for number in range(100):
        scene.begin(number + 1, f"r{number}", pid=number)
    scene.shutdown("failure")
    assert len([each for each in scene.completer.closed if " x" in each]) <= 16
