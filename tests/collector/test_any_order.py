"""Whatever is told of an invocation, in whatever order it comes or fails to come: one span, true and complete."""

from collections import Counter
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from hoptrace_collector.complete import Completer, Finished
from hoptrace_collector.model import ERROR, Begin, End, Origin, Span, SpanBegun, SpanEnded
from hoptrace_collector.receive.decode import decode
from hoptrace_collector.told import InitReport, Invoke, Report, RuntimeDone, Shutdown, Started

from .support import ARN, NOW, TRACE, begin, ended, span, span_id

MS = 10**6
DEADLINE = NOW + 3000 * MS
FALLBACK = Origin((("faas.name", "shipping"),), ("hoptrace", ""))
INVOCATION = 1


class Life(NamedTuple):
    """What really happened: how it ended and when, and the children with parent, start and end (0: cut short)."""

    fate: str  # ok, raised, timeout, crash
    at: int
    children: list[tuple[int, int, int, int]]


@st.composite
def lives(draw: st.DrawFn) -> Life:
    fate = draw(st.sampled_from(["ok", "raised", "timeout", "crash"]))
    at = DEADLINE if fate == "timeout" else NOW + draw(st.integers(2 * MS, 2000 * MS))
    last = at + 50 * MS if fate == "timeout" else at  # Lambda lets it overrun by a few milliseconds
    children: list[tuple[int, int, int, int]] = []
    for number in range(2, 2 + draw(st.integers(0, 5))):
        inside = [(INVOCATION, NOW, last), *((n, s, e or last) for n, _, s, e in children)]
        parent, begun, until = draw(st.sampled_from(inside))
        start = draw(st.integers(begun, until))
        stays_open = draw(st.booleans()) and (parent == INVOCATION or not _end_of(children, parent))
        children.append((number, parent, start, 0 if stays_open else draw(st.integers(start, until))))
    return Life(fate, at, children)


def _end_of(children: list[tuple[int, int, int, int]], number: int) -> int:
    return next(end for n, _, _, end in children if n == number)


def _child(number: int, parent: int, start: int, end: int) -> dict[str, Any]:
    more = {"parent_id": span_id(parent), "start": start, "kind": 3}
    made = span(number, name=f"child {number}", **more)
    return {**made, "end": end} if end else made


def records(life: Life) -> list[dict[str, Any]]:
    """What the tracer has written, in its order."""
    lines = [(NOW, 0, begin(INVOCATION, deadline_ms=DEADLINE // MS))]
    for child in life.children:
        number, _, start, end = child
        opened = {"v": 1, "type": "start", "request_id": "r1", "span": _child(*child[:3], 0)}
        lines.append((start, number, opened))
        if end:
            lines.append((end, 1000 - number, {"v": 1, "type": "span", "request_id": "r1", "span": _child(*child)}))
    lines.sort(key=lambda line: line[:2])
    found = [line for _, _, line in lines]
    if life.fate in ("ok", "raised"):
        outcome = "ok" if life.fate == "ok" else "error"
        found.append(ended(INVOCATION, outcome=outcome, seconds=(life.at - NOW) / 1e9))
        found[-1]["span"]["end"] = life.at
    return found


def telemetry(life: Life) -> list[Any]:
    """What Lambda has told; in whole milliseconds."""
    status = {"timeout": "timeout", "crash": "error"}.get(life.fate, "success")
    kind = "Runtime.ExitError" if life.fate == "crash" else ""
    at = life.at // MS * MS
    return [
        InitReport("on-demand", "init", "success", "", 0.1),
        Started("r1", NOW),
        RuntimeDone("r1", status, kind, at),
        Report("r1", status, kind, 0, at + MS),
    ]


class Run:
    """A completer, and what has come out of it."""

    def __init__(self) -> None:
        self.now = NOW
        self.ids = iter(range(1000, 2000))
        self.finished: list[Finished] = []
        self.completer = Completer(
            FALLBACK, managed=False, now=lambda: self.now, new_id=lambda size: next(self.ids).to_bytes(size)
        )

    def take(self, step: Any) -> None:
        completer = self.completer
        record = decode(step) if isinstance(step, dict) else step
        if isinstance(record, Begin):
            found = completer.begin(record, seen=False)
        elif isinstance(record, SpanBegun):
            found = completer.begun(record, seen=False)
        elif isinstance(record, SpanEnded):
            found = completer.span(record)
        elif isinstance(record, End):
            found = completer.end(record, seen=False)
        elif record == "gone":
            found = completer.gone() or []
        elif record == "rung":
            found = completer.came_back("r1")
        elif isinstance(record, Shutdown):
            found = completer.shutdown(record)
        elif isinstance(record, InitReport):
            found = completer.initialized(record) or []
        elif isinstance(record, Started):
            found = completer.woken(record) or []
        else:
            found = completer.telemetry(record)
        self.finished += found

    def spans(self) -> list[Span]:
        return [each for finished in self.finished for each in finished.spans]


@st.composite
def stories(draw: st.DrawFn) -> tuple[Life, list[dict[str, Any]], list[Any]]:
    """A life, the records of it that could be written, and everything that is told of it, in some order."""
    life = draw(lives())
    written = records(life)
    kept = [line for line in written if draw(st.integers(0, 9)) > 0]
    moments: list[Any] = [event for event in draw(st.permutations(telemetry(life))) if draw(st.booleans())]
    if life.fate == "crash" and draw(st.booleans()):
        moments.append("gone")
    # The records keep their order; what Lambda and the bell tell comes in between wherever it likes.
    places = sorted(draw(st.lists(st.integers(0, len(kept)), min_size=len(moments), max_size=len(moments))))
    steps: list[Any] = list(kept)
    for offset, (place, moment) in enumerate(zip(places, moments, strict=True)):
        steps.insert(place + offset, moment)
    if life.fate in ("ok", "raised"):
        steps.append("rung")
    reasons = {"timeout": "timeout", "crash": "failure"}
    steps.append(Shutdown(reasons.get(life.fate, "spindown"), 0))
    return life, kept, steps


@given(stories())
@settings(deadline=None, max_examples=200)
def test_one_true_and_complete_trace_comes_of_it(story: tuple[Life, list[dict[str, Any]], list[Any]]) -> None:
    life, kept, steps = story
    run = Run()
    run.completer.invoked(Invoke("r1", ARN, DEADLINE // MS, f"Root=1-{TRACE[:8]}-{TRACE[8:]}", NOW))
    run.now = life.at + 60 * MS
    for step in steps:
        run.take(step)
    invocations = [each.invocation for each in run.finished if each.invocation is not None]
    kinds = {line["type"] for line in kept}
    failed = life.fate in ("timeout", "crash")
    if not failed and not kinds & {"begin", "end"}:
        assert invocations == [], "nobody has told of it"
        return
    (invocation,) = invocations
    # Never a success after a failure that anybody has told.
    came_back = {"ok": "ok", "raised": "error"}
    assert invocation.outcome == (life.fate if failed else came_back[life.fate] if "end" in kinds else "unknown")
    assert invocation.span.status == ERROR or not failed
    _assert_complete(run.spans(), invocation.span, life, kept)


def _assert_complete(spans: list[Span], invocation: Span, life: Life, kept: list[dict[str, Any]]) -> None:
    """Each span of which anything is known comes once, ends not before it starts, and lies inside its parent."""
    known = {line["span"]["span_id"] for line in kept if line["type"] in ("start", "span")}
    counted = Counter(each.span_id.hex() for each in spans)
    assert set(counted.values()) == {1}
    assert set(counted) == known | {invocation.span_id.hex()}
    ends = {span_id(number): end for number, _, _, end in life.children if end}
    whole = {line["span"]["span_id"] for line in kept if line["type"] == "span"}
    by_id = {each.span_id: each for each in spans}
    for each in spans:
        number = each.span_id.hex()
        assert each.start <= each.end
        if each is not invocation:
            assert ("hoptrace.closed_by" in each.attributes) is (number not in whole)
        if number in whole:
            assert each.end == ends[number]
        elif life.fate in ("timeout", "crash"):
            assert each.attributes["error.type"] == invocation.attributes["error.type"]
            assert each.end == invocation.end
        parent = by_id.get(each.parent_id)
        if parent is not None:
            assert parent.start <= each.start
            # One whose end could not be written may have outlived a parent that ended, for all that is known.
            assert each.end <= parent.end or (number in ends and number not in whole)
