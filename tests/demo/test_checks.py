"""Each of the demo's checks holds for a run as it is, and speaks up when that very thing is spoiled."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hoptrace_local.demo.browser import Placed, Visit
from hoptrace_local.demo.checks import CHECKS, judge
from hoptrace_local.demo.outcome import Counted, Outcome
from hoptrace_local.otlp import Event, Link, Point, Span
from hoptrace_local.stage.soundness import Check
from hoptrace_local.stage.wiretap import Answered

pytestmark = pytest.mark.timeout(320)


@pytest.fixture(scope="module")
def outcome(result: dict[str, Any]) -> Outcome:
    """The run out of its JSON."""
    spans = [
        Span(
            **{key: value for key, value in span.items() if key not in {"service", "events", "links"}},
            events=tuple(Event(**event) for event in span["events"]),
            links=tuple(Link(**link) for link in span["links"]),
        )
        for span in result["spans"]
    ]
    return Outcome(
        visit=Visit(trace_id=result["trace_id"], placed=[Placed(**placed) for placed in result["orders"]]),
        spans=spans,
        points=[Point(**point) for point in result["metrics"]],
        counted={name: Counted(**counted) for name, counted in result["host"].items()},
        answered=[Answered(**answer) for answer in result["answered"]],
        mapping_result=result["mapping_result"],
        shipments=result["shipments"],
        circuit=result["circuit"],
        timeouts=result["timeouts"],
    )


def spans_where(outcome: Outcome, holds: Callable[[Span], bool], change: Callable[[Span], list[Span]]) -> Outcome:
    """The run with some spans replaced."""
    changed = [new for span in outcome.spans for new in (change(span) if holds(span) else [span])]
    assert changed != outcome.spans
    return replace(outcome, spans=changed)


def with_attributes(span: Span, **more: Any) -> Span:
    return replace(
        span, attributes={**span.attributes, **{key.replace("__", "."): value for key, value in more.items()}}
    )


def invocation_of(name: str) -> Callable[[Span], bool]:
    return lambda span: span.service == name and "faas.invocation_id" in span.attributes


def is_record(span: Span) -> bool:
    return span.service == "billing" and span.kind == "CONSUMER"


def timed_out(span: Span) -> bool:
    return span.attributes.get("error.type") == "timeout"


def hop(span: Span) -> bool:
    return span.attributes.get("hoptrace.hop") is True


SPOILED: list[tuple[str, Callable[[Outcome], Outcome]]] = [
    (
        "one trace id over all four functions",
        lambda run: spans_where(run, invocation_of("remedy"), lambda span: [replace(span, trace_id="0" * 32)]),
    ),
    (
        "one trace id over all four functions",
        lambda run: spans_where(run, lambda span: span.service == "remedy", lambda _: []),
    ),
    (
        "every parent and every link leads to a span",
        lambda run: spans_where(run, lambda span: span.name == "SQS orders", lambda _: []),
    ),
    (
        "every parent and every link leads to a span",
        lambda run: spans_where(run, is_record, lambda span: [replace(span, links=(Link("0" * 32, "0" * 16),))]),
    ),
    (
        "nothing lost: a span for every invocation, each once",
        lambda run: spans_where(run, invocation_of("shipping"), lambda _: []),
    ),
    (
        "nothing lost: a span for every invocation, each once",
        lambda run: spans_where(run, is_record, lambda span: [span, span]),
    ),
    (
        "hops lie between what they connect",
        lambda run: spans_where(run, hop, lambda span: [replace(span, end=span.start - 1)]),
    ),
    (
        "hops lie between what they connect",
        lambda run: spans_where(run, hop, lambda span: [replace(span, start=span.start - 60 * 10**9)]),
    ),
    (
        "hops lie between what they connect",
        lambda run: spans_where(run, hop, lambda span: [replace(span, end=span.end + 10**9)]),
    ),
    (
        "the poison order failed alone, on its own span",
        lambda run: spans_where(run, is_record, lambda span: [replace(span, status="ERROR")]),
    ),
    (
        "the poison order failed alone, on its own span",
        lambda run: spans_where(run, is_record, lambda span: [replace(span, status="UNSET")]),
    ),
    (
        "the poison order failed alone, on its own span",
        lambda run: spans_where(run, invocation_of("billing"), lambda span: [replace(span, status="ERROR")]),
    ),
    (
        "the timed-out invocation was closed as a timeout",
        lambda run: spans_where(run, timed_out, lambda span: [with_attributes(span, hoptrace__closed_by="nobody")]),
    ),
    (
        "the timed-out invocation was closed as a timeout",
        lambda run: spans_where(run, timed_out, lambda span: [replace(span, end=span.end + 5 * 10**9)]),
    ),
    ("the alert reached the remedy, which acted on it", lambda run: replace(run, circuit={})),
    (
        "the alert reached the remedy, which acted on it",
        lambda run: replace(run, circuit={**run.circuit, "request_id": "another"}),
    ),
    (
        "peak concurrency by spans is what the local Lambda counted",
        lambda run: replace(
            run, counted={**run.counted, "checkout": replace(run.counted["checkout"], peak_concurrency=2)}
        ),
    ),
    (
        "the collector's metrics are what the local Lambda counted",
        lambda run: replace(run, points=[point for point in run.points if point.name != "faas.timeouts"]),
    ),
    (
        "the functions' results are as without the layer",
        lambda run: replace(run, mapping_result="OK - 3 records"),
    ),
    (
        "the functions' results are as without the layer",
        lambda run: replace(run, shipments={}),
    ),
]


def test_a_run_as_it_is_passes_every_check(outcome: Outcome) -> None:
    assert judge(outcome) == [Check(name) for name, _ in CHECKS]


@pytest.mark.parametrize(("name", "spoil"), SPOILED)
def test_a_check_speaks_up_when_its_matter_is_spoiled(
    outcome: Outcome, name: str, spoil: Callable[[Outcome], Outcome]
) -> None:
    (check,) = [check for check in judge(spoil(outcome)) if check.name == name]
    assert not check.ok


def test_every_check_is_spoiled_above() -> None:
    assert {name for name, _ in SPOILED} == {name for name, _ in CHECKS}
