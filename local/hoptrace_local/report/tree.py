"""Spans in the order and depth in which a person reads a trace.

A child stands under its parent; a span whose parent never arrived stands at the top and is said to be an orphan: a tree
that hides its gaps looks complete.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from hoptrace_local.otlp import Span


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the waterfall: a span, how deep it stands, and which of its ancestors have more children to come."""

    span: Span
    depth: int
    last: bool
    open_levels: tuple[bool, ...]
    orphan: bool = False


def arrange(spans: Iterable[Span]) -> list[Row]:
    """Order spans depth first, siblings by start; each span once, whatever its parent says."""
    unique = {span.span_id: span for span in spans}
    children: dict[str, list[Span]] = defaultdict(list)
    roots: list[Span] = []
    for span in unique.values():
        (children[span.parent_id] if span.parent_id in unique else roots).append(span)
    rows: list[Row] = []
    seen: set[str] = set()

    def add(group: list[Span], depth: int, levels: tuple[bool, ...]) -> None:
        group = sorted(group, key=lambda span: (span.start, -span.end, span.span_id))
        for number, span in enumerate(group):
            if span.span_id in seen:
                continue
            seen.add(span.span_id)
            last = number == len(group) - 1
            orphan = depth == 0 and bool(span.parent_id)
            rows.append(Row(span, depth, last, levels, orphan))
            add(children[span.span_id], depth + 1, (*levels, not last) if depth else levels)

    add(roots, 0, ())
    # Spans whose parents form a ring are nobody's children; they are shown all the same.
    for span in unique.values():
        if span.span_id not in seen:
            add([span], 0, ())
    return rows
