"""What each function did, counted from its spans alone.

The counts are made of spans, not of the collector's metrics, so that both can be held against each other and against
what the local Lambda saw.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from hoptrace_collector.concurrency import peak_concurrency
from hoptrace_local.otlp import Span
from hoptrace_local.report.waterfall import is_cold, is_init, is_invocation, is_timeout


@dataclass(frozen=True, slots=True)
class Figures:
    """One function's figures; durations in ns."""

    name: str
    invocations: int
    errors: int
    timeouts: int
    cold_starts: int
    init_average: int
    init_maximum: int
    duration_average: int
    duration_maximum: int
    peak_concurrency: int


def figures(spans: Iterable[Span]) -> list[Figures]:
    """Count by function, in the order in which the functions first ran."""
    invocations: dict[str, list[Span]] = defaultdict(list)
    inits: dict[str, Span] = {}
    for span in sorted({span.span_id: span for span in spans}.values(), key=lambda span: span.start):
        if is_invocation(span):
            invocations[span.service].append(span)
        elif is_init(span):
            inits[span.parent_id] = span
    return [_figures(name, group, inits) for name, group in invocations.items()]


def busy_intervals(invocations: Iterable[Span], inits: dict[str, Span]) -> list[tuple[int, int]]:
    """Say when an environment was busy for each invocation: from its start, a cold start's included, to its end.

    Args:
        invocations: invocation spans of one function.
        inits: init spans by the id of the invocation that they delayed.
    """
    return [
        (min(span.start, inits[span.span_id].start) if span.span_id in inits else span.start, span.end)
        for span in invocations
    ]


def _figures(name: str, invocations: list[Span], inits: dict[str, Span]) -> Figures:
    durations = [span.duration for span in invocations]
    init_durations = [inits[span.span_id].duration for span in invocations if span.span_id in inits]
    timeouts = sum(is_timeout(span) for span in invocations)
    return Figures(
        name=name,
        invocations=len(invocations),
        errors=sum(span.failed for span in invocations) - timeouts,
        timeouts=timeouts,
        cold_starts=sum(is_cold(span) for span in invocations),
        init_average=_average(init_durations),
        init_maximum=max(init_durations, default=0),
        duration_average=_average(durations),
        duration_maximum=max(durations, default=0),
        peak_concurrency=peak_concurrency(busy_intervals(invocations, inits)),
    )


def _average(numbers: list[int]) -> int:
    return sum(numbers) // len(numbers) if numbers else 0
