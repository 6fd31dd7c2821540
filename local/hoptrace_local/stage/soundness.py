"""What must hold of the spans of any run, whatever ran: each check says in one line what speaks against it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hoptrace_local.otlp import Span
from hoptrace_local.report.waterfall import POINTER, is_hop, is_invocation

SECOND = 1_000_000_000
MILLISECONDS = 2_000_000
"""Services tell milliseconds, cut: a hop may seem to begin that much before its message was sent."""


@dataclass(frozen=True, slots=True)
class Check:
    """One statement about a run; `wrong` says in one line what speaks against it, empty when it holds."""

    name: str
    wrong: str = ""

    @property
    def ok(self) -> bool:
        """Whether it holds."""
        return not self.wrong


def unresolved(spans: Sequence[Span]) -> list[str]:
    """Say which parents and links lead nowhere; where no context travelled, both ends meet outside of any span."""
    known = {(span.trace_id, span.span_id) for span in spans}
    wrong = [
        f"{span.service} {span.name}: parent {span.parent_id}"
        for span in spans
        if span.parent_id and (span.trace_id, span.parent_id) not in known
    ]
    return wrong + [
        f"{span.service} {span.name}: link to {link.span_id}"
        for span in spans
        for link in span.links
        if (link.trace_id, link.span_id) not in known and POINTER not in link.attributes
    ]


def miscounted(spans: Sequence[Span], invocations: Mapping[str, int]) -> list[str]:
    """Say of which function the local Lambda counted other invocations than there are spans, and what came twice."""
    seen = Counter(span.service for span in spans if is_invocation(span))
    wrong = [f"{name}: {ran} invocations, {seen[name]} spans" for name, ran in invocations.items() if ran != seen[name]]
    ids = Counter(span.span_id for span in spans)
    return wrong + [f"span {span_id} came {times} times" for span_id, times in ids.items() if times > 1]


def senseless_hops(spans: Sequence[Span]) -> list[str]:
    """Say which hops end before they start, or lie outside of what they connect."""
    by_id = {span.span_id: span for span in spans}
    children: dict[str, list[Span]] = {}
    for span in spans:
        children.setdefault(span.parent_id, []).append(span)
    wrong = []
    for hop in (span for span in spans if is_hop(span)):
        producer = by_id.get(hop.parent_id)
        if hop.end < hop.start:
            wrong.append(f"{hop.service} {hop.name} ends before it starts")
        # What nobody sent context with in a batch hangs on the invocation that it woke, and waited before that.
        woken = producer is not None and is_invocation(producer) and producer.service == hop.service
        if producer is not None and not woken and hop.start < producer.start - tolerance(hop):
            wrong.append(f"{hop.service} {hop.name} starts before {producer.name}")
        late = [child for child in children.get(hop.span_id, ()) if child.start < hop.end and not is_hop(child)]
        if late:
            wrong.append(f"{hop.service} {hop.name} ends after {late[0].name} has begun")
    return wrong


def tolerance(hop: Span) -> int:
    """Answer how far a hop's start may be off, in ns: where only EventBridge's `time` is known, a second."""
    return SECOND if "hoptrace.start.granularity" in hop.attributes else MILLISECONDS


def said(wrong: Sequence[str]) -> str:
    """All of it in one line, or the beginning."""
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return "; ".join(wrong[:3]) + more
