"""Spans that were open when their invocation was broken off, and invocations that never said that they began."""

import json
from typing import Any

from hoptrace_collector.model import Begin, Finished, Span
from hoptrace_collector.receive.decode import decode
from hoptrace_collector.told import InitReport, RuntimeDone, Started

from .scene import DEADLINE_MS, SECOND, Scene
from .support import ARN, NOW, TRACE, ended, inner, span, span_id


def start(number: int, parent: int = 1, request_id: str = "r1", **more: Any) -> dict[str, Any]:
    """A span has begun, as the tracer writes it."""
    opened = span(number, name=f"call {number}", parent_id=span_id(parent), start=NOW + number)
    return {"v": 1, "type": "start", "request_id": request_id, "span": opened, **more}


def spans(finished: list[Finished]) -> dict[int, Span]:
    found = [each for one in finished for each in one.spans]
    assert len({each.span_id for each in found}) == len(found)
    return {int.from_bytes(each.span_id): each for each in found}


def test_what_a_timeout_waited_in_ends_with_it_and_what_had_ended_does_not() -> None:
    scene = Scene()
    scene.begin()
    for number, parent in ((2, 1), (3, 2), (4, 3)):
        assert scene.record(start(number, parent)) == []
    scene.record(inner(4))
    found = spans(scene.shutdown("timeout"))
    assert set(found) == {1, 2, 3}
    for number, parent in ((2, 1), (3, 2)):
        closed = found[number]
        assert (closed.end, closed.status, closed.parent_id.hex()) == (NOW + 3 * SECOND, 2, span_id(parent))
        assert closed.attributes["error.type"] == "timeout"
        assert closed.attributes["hoptrace.closed_by"] == "collector"


def test_a_span_of_another_library_keeps_its_scope_and_resource() -> None:
    scene = Scene()
    scene.begin()
    scene.record(start(2, scope=["orders", "1.2"], resource={"team": "blue"}))
    closed, invocation = scene.shutdown("failure")
    assert closed.origin.scope == ("orders", "1.2")
    assert {**dict(invocation.origin.resource), "team": "blue"} == dict(closed.origin.resource)
    assert invocation.invocation is not None, "the invocation comes last"


def test_an_invocation_ends_no_sooner_than_what_ended_in_it() -> None:
    scene = Scene()
    scene.begin()
    overrun = inner(2)
    overrun["span"]["end"] = NOW + 3 * SECOND + 70_000_000
    scene.now = NOW + 4 * SECOND
    scene.record(overrun)
    ahead = inner(3)
    ahead["span"]["end"] = NOW + 900 * SECOND
    scene.record(ahead)
    found = spans(scene.shutdown("timeout"))
    assert found[1].end == NOW + 3 * SECOND + 70_000_000, "but a time that lies ahead is only what a user has named"


def test_the_end_of_a_span_that_was_closed_already_is_not_told_again() -> None:
    scene = Scene(managed=True)
    scene.begin()
    scene.record(start(2))
    scene.completer.telemetry(RuntimeDone("r1", "timeout", "", NOW + SECOND))
    assert scene.record(inner(2)) == []
    after = Scene()
    after.completer.resume([], json.loads(json.dumps(scene.completer.closed)), None)
    assert after.record(inner(2)) == []


def test_what_is_left_open_by_an_invocation_that_came_back_may_still_end() -> None:
    scene = Scene()
    scene.begin()
    for number in (2, 3):
        scene.record(start(number))
    scene.record(ended(1, seconds=0.5))
    scene.begin(4, "r2")
    assert len(scene.record(inner(3))) == 1
    scene.record(start(5, 4, "r2"))
    found = spans(scene.shutdown("failure"))
    assert set(found) == {2, 4, 5}
    assert (found[2].end, found[2].status) == (NOW + SECOND // 2, 0)
    assert found[2].attributes["hoptrace.closed_by"] == "collector"
    assert found[5].status == 2


def test_what_another_process_has_left_open_nobody_will_end() -> None:
    scene = Scene()
    scene.begin(pid=1)
    scene.record(start(2))
    scene.record(ended(1))
    assert set(spans(scene.begin(3, "r2", pid=2))) == {2}


def test_what_is_open_is_told_to_the_next_generation() -> None:
    before, after = Scene(), Scene()
    before.begin()
    before.record(start(2))
    before.record(start(3, 2, scope=["orders", ""]))
    before.record(start(4, 3))
    before.record(inner(4))
    opened = [each for each in map(decode, json.loads(json.dumps(before.completer.left()))) if isinstance(each, Begin)]
    after.completer.resume(opened, before.completer.closed, None)
    after.record(start(3, 2), seen=True)
    after.record(start(4, 3), seen=True)
    after.now = NOW + 60 * SECOND
    assert set(spans(after.completer.settle(None))) == {1, 2, 3}


def test_more_open_spans_than_are_kept_are_counted_on_the_invocation() -> None:
    scene = Scene()
    scene.begin()
    for number in range(2, 1100):
        scene.record(start(number))
    found = spans(scene.shutdown("failure"))
    assert len(found) == 1 + 1024
    assert found[1].attributes["hoptrace.open_spans.untracked"] == 1098 - 1024


def test_an_invocation_whose_beginning_was_lost_is_in_the_trace_of_what_was_open_in_it() -> None:
    scene = Scene()
    scene.invoked()
    opened = start(2, 77)
    opened["span"]["trace_id"] = "ab" * 16
    scene.record(opened)
    made = [each for one in scene.shutdown("failure") for each in one.spans]
    assert [each.trace_id.hex() for each in made] == ["ab" * 16] * 2


def test_a_success_of_which_lambda_says_otherwise_is_none() -> None:
    scene = Scene()
    scene.invoked()
    scene.begin()
    scene.completer.telemetry(RuntimeDone("r1", "timeout", "", NOW + 3 * SECOND))
    (finished,) = scene.record(ended(1))
    assert finished.invocation is not None
    assert (finished.invocation.outcome, finished.invocation.error_type) == ("timeout", "timeout")
    assert (finished.spans[0].status, finished.spans[0].end) == (2, NOW + 3 * SECOND)


def test_what_lambda_said_of_an_earlier_attempt_is_not_held_against_the_next() -> None:
    scene = Scene()
    scene.completer.telemetry(RuntimeDone("r1", "timeout", "", NOW - SECOND))
    scene.begin()
    (finished,) = scene.record(ended(1))
    assert finished.invocation is not None
    assert finished.invocation.outcome == "ok"


def test_an_invocation_that_waits_for_an_initialisation_is_known_from_telemetry_only() -> None:
    scene = Scene()
    assert scene.completer.wants_to_hear("timeout")
    scene.completer.woken(Started("r1", NOW, "", f"Root=1-{TRACE[:8]}-{TRACE[8:]}"))
    assert not scene.completer.wants_to_hear("timeout")
    scene.completer.initialized(InitReport("on-demand", "invoke", "timeout", "Sandbox.Timedout", 0.25))
    (made,) = scene.shutdown("timeout")
    assert made.invocation is not None
    assert made.invocation[:3] == ("r1", "init_error", "timeout")
    assert made.spans[0].trace_id.hex() == TRACE
    scene = Scene()
    scene.completer.initialized(InitReport("on-demand", "init", "timeout", "", 0.25))
    (made,) = scene.shutdown("timeout")
    assert (made.spans[0].name, made.spans[0].end - made.spans[0].start) == ("init", SECOND // 4)


def handed_out(request_id: str = "r1", deadline_ms: int = DEADLINE_MS) -> dict[str, Any]:
    event = {"eventType": "INVOKE", "requestId": request_id, "deadlineMs": deadline_ms, "invokedFunctionArn": ARN}
    return {"v": 1, "type": "invoke", "time": NOW + 5, "event": event}


def test_an_invocation_that_died_before_it_began_is_made_up_for_by_the_next_generation() -> None:
    scene = Scene()
    scene.record(handed_out())
    (made,) = scene.completer.settle(None)
    assert made.invocation is not None
    assert made.invocation[:3] == ("r1", "crash", "Runtime.ExitError")
    assert made.spans[0].end == NOW + 5
    assert scene.completer.settle(None) == []


def test_an_invocation_of_which_more_is_known_is_not_made_up_for() -> None:
    scene = Scene()
    scene.invoked()
    scene.record(handed_out())
    assert scene.completer.settle(None) == [], "this generation's own"
    scene = Scene()
    scene.begin()
    scene.record(handed_out())
    assert set(spans(scene.shutdown("failure"))) == {1}
    assert scene.completer.settle(None) == []
    scene = Scene()
    scene.begin()
    scene.record(ended(1, outcome="error"))
    scene.record(handed_out())
    scene.record(handed_out("r0"), seen=True)
    assert scene.completer.settle(None) == []


def test_the_moment_of_death_is_when_the_shell_saw_it_and_not_when_python_had_started() -> None:
    for later in (False, True):
        scene = Scene()
        if not later:
            scene.invoked()
        scene.begin()
        scene.record(handed_out())
        scene.now = NOW + 2 * SECOND
        scene.completer.gone()
        raw = json.loads(json.dumps(scene.completer.left()))
        if later:  # by the next generation
            scene.completer.resume([begin for begin in map(decode, raw) if isinstance(begin, Begin)], [], None)
            found = spans(scene.completer.settle(None))
        else:
            found = spans(scene.shutdown("failure"))
        assert found[1].end == NOW + 5
