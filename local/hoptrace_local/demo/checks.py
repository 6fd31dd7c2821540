"""What must hold of a run, each as a named check that looks at what was seen and says what is wrong.

The demo prints these and fails when one does not hold: a picture that looks right proves nothing.
"""

import json
from collections.abc import Callable

from hoptrace_local.demo.orders import NORMAL, ORDERS, POISON, SLOW
from hoptrace_local.demo.outcome import Outcome
from hoptrace_local.demo.stack import FUNCTIONS
from hoptrace_local.otlp import Span
from hoptrace_local.report.figures import figures
from hoptrace_local.report.waterfall import is_hop, is_invocation, is_timeout
from hoptrace_local.stage.soundness import Check, miscounted, said, senseless_hops, unresolved


def judge(outcome: Outcome) -> list[Check]:
    """Check everything, in the order in which a person would ask."""
    return [Check(name, check(outcome)) for name, check in CHECKS]


def one_trace(outcome: Outcome) -> str:
    """Say which invocation is in another trace, or which function in none."""
    strays = [
        f"{span.service} in {span.trace_id}"
        for span in outcome.spans
        if is_invocation(span) and span.trace_id != outcome.visit.trace_id
    ]
    missing = set(FUNCTIONS) - {span.service for span in outcome.trace if is_invocation(span)}
    return said(strays + [f"nothing of {name}" for name in sorted(missing)])


def resolved(outcome: Outcome) -> str:
    """Say which parent or link leads nowhere."""
    wrong = unresolved(outcome.spans)
    roots = [span for span in outcome.trace if not span.parent_id]
    if len(roots) != 1:
        wrong.append(f"{len(roots)} roots")
    return said(wrong)


def nothing_lost(outcome: Outcome) -> str:
    """Say of which function the local Lambda counted something else than the spans show."""
    return said(miscounted(outcome.spans, {name: counted.invocations for name, counted in outcome.counted.items()}))


def hops_sensible(outcome: Outcome) -> str:
    """Say which hop is missing, ends before it starts or lies outside of what it connects."""
    hops = {span.service for span in outcome.spans if is_hop(span)}
    missing = [f"no hop into {name}" for name in FUNCTIONS if name not in hops]
    return said(missing + senseless_hops(outcome.spans))


def poison_alone(outcome: Outcome) -> str:
    """Say when anything but the poison order's own record failed in billing."""
    records = record_spans(outcome)
    if len(records) != len(ORDERS):
        return f"{len(records)} record spans for {len(ORDERS)} orders"
    poison = {message_id for message_id, order in batch(outcome).items() if order == POISON["order"]}
    failed = {str(span.attributes["messaging.message.id"]) for span in records if span.failed}
    if failed != poison:
        return f"failed are {sorted(failed)}, the poison message is {sorted(poison)}"
    whole = [span for span in outcome.trace if is_invocation(span) and span.service == "billing" and span.failed]
    return "the whole invocation is marked as failed" if whole else ""


def timed_out(outcome: Outcome) -> str:
    """Say why shipping's slow invocation does not stand as one that was closed at its timeout."""
    found = [span for span in outcome.trace if is_invocation(span) and is_timeout(span)]
    if [span.service for span in found] != ["shipping"]:
        return f"timed out: {[span.service for span in found]}"
    if found[0].attributes.get("hoptrace.closed_by") != "collector":
        return "the collector did not close it"
    limit, took = outcome.timeouts["shipping"], found[0].duration / 1e9
    return "" if limit - 0.5 <= took <= limit + 1.5 else f"it lasts {took:.2f} s with a timeout of {limit} s"


def alerted(outcome: Outcome) -> str:
    """Say what is missing between the timeout and what the remedy did about it."""
    slow = [span for span in outcome.trace if is_invocation(span) and is_timeout(span)]
    detail = outcome.alert.get("detail", {})
    if not slow or not detail:
        return "no alert reached the remedy"
    wrong = []
    told = (outcome.circuit.get("function"), outcome.circuit.get("request_id"), outcome.circuit.get("trace_id"))
    meant = (slow[0].service, slow[0].attributes["faas.invocation_id"], slow[0].trace_id)
    if told != meant:
        wrong.append(f"the remedy acted on {told}, what timed out is {meant}")
    if outcome.circuit.get("state") != "open":
        wrong.append("the circuit is not open")
    return said(wrong)


def concurrency_equal(outcome: Outcome) -> str:
    """Say of which function the peak by spans is another than the local Lambda's."""
    by_spans = {figure.name: figure.peak_concurrency for figure in figures(outcome.spans)}
    pairs = {name: (by_spans.get(name, 0), counted.peak_concurrency) for name, counted in outcome.counted.items()}
    return said(
        [f"{name}: {spans} by spans, {host} by the host" for name, (spans, host) in pairs.items() if spans != host]
    )


def metrics_equal(outcome: Outcome) -> str:
    """Say which of the collector's counters differs from what the local Lambda counted."""
    wrong = []
    for name, counted in outcome.counted.items():
        for metric, expected in (
            ("faas.invocations", counted.invocations - counted.errors),
            ("faas.coldstarts", counted.cold_starts),
            ("faas.timeouts", counted.timeouts),
        ):
            points = [p for p in outcome.points if p.name == metric and p.resource.get("faas.name") == name]
            total = sum(point.value for point in points)
            if total != expected:
                wrong.append(f"{metric} of {name} is {total:.0f} instead of {expected}")
    return said(wrong)


def results_unchanged(outcome: Outcome) -> str:
    """Say which function answered something else than its code makes of the event."""
    wrong = [
        f"checkout answered {placed.status} {placed.body}"
        for placed in outcome.visit.placed
        if (placed.status, placed.body) != (202, json.dumps({"order": placed.order["order"], "status": "accepted"}))
    ]
    if outcome.mapping_result != "OK - 2 records, 1 partial failures":
        wrong.append(f"the batch came to {outcome.mapping_result!r}")
    shipped = {"pk": f"shipment#{NORMAL['order']}", "carrier": "swift", "tracking": f"swift-{NORMAL['order']}"}
    if outcome.shipments.get(str(NORMAL["order"])) != shipped:
        wrong.append(f"shipped was {outcome.shipments.get(str(NORMAL['order']))}")
    if outcome.shipments.get(str(SLOW["order"])):
        wrong.append("the order that timed out was shipped")
    return said(wrong)


def record_spans(outcome: Outcome) -> list[Span]:
    """Answer the spans of single messages of billing's batch."""
    return [
        span
        for span in outcome.spans
        if span.service == "billing" and span.kind == "CONSUMER" and "messaging.message.id" in span.attributes
    ]


def batch(outcome: Outcome) -> dict[str, str]:
    """Answer which message carried which order, out of the event that the emulator gave to billing."""
    return {
        record["messageId"]: json.loads(json.loads(record["body"])["Message"])["order"]
        for answer in outcome.answered
        if answer.function == "billing"
        for record in answer.event["Records"]
    }


CHECKS: tuple[tuple[str, Callable[[Outcome], str]], ...] = (
    ("one trace id over all four functions", one_trace),
    ("every parent and every link leads to a span", resolved),
    ("nothing lost: a span for every invocation, each once", nothing_lost),
    ("hops lie between what they connect", hops_sensible),
    ("the poison order failed alone, on its own span", poison_alone),
    ("the timed-out invocation was closed as a timeout", timed_out),
    ("the alert reached the remedy, which acted on it", alerted),
    ("peak concurrency by spans is what the local Lambda counted", concurrency_equal),
    ("the collector's metrics are what the local Lambda counted", metrics_equal),
    ("the functions' results are as without the layer", results_unchanged),
)
