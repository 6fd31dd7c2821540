"""Makes the event that EventBridge gets: versioned, documented (`docs/alerts.md`), with the trace in it.

Modelled on "CloudWatch Alarm State Change". The trace stands in the detail, because EventBridge hands a trace header
on neither in the event nor to its archive; and `alertId` stands there because PutEvents may deliver twice.
"""

import hashlib
import json
import time
from typing import Any

from hoptrace_collector.alert.denied import OPERATION_DENIED
from hoptrace_collector.alert.rules import Change, State

__all__ = ["DETAIL_TYPE", "SOURCE", "make_entry"]

SOURCE = "hoptrace"
DETAIL_TYPE = "Hoptrace Alert State Change"
SCHEMA_VERSION = "1.0"
_LONGEST_TEXT = 1_000


def make_entry(change: Change, bus: str) -> dict[str, Any]:
    """Return a PutEvents request entry for `change`; its `Detail` is a JSON text well below the limit of 1 MB."""
    invocation, span = change.invocation, change.invocation.span
    trace_id, span_id = span.trace_id.hex(), span.span_id.hex()
    arn = invocation.attribute("aws.lambda.invoked_arn")
    denied = _denied(change)
    error_type = invocation.error_type if denied else change.key.error_type
    detail = {
        "schemaVersion": SCHEMA_VERSION,
        "alertId": _alert_id(change),
        "alertName": f"{change.key.rule}:{change.key.function}:{change.key.error_type}"[:_LONGEST_TEXT],
        "rule": change.key.rule,
        "severity": "warning" if denied else "error",
        "state": {
            **_state(change.after),
            "reasonData": json.dumps(
                {"outcome": invocation.outcome, "errorType": error_type, "requestId": invocation.request_id, **denied}
            ),
        },
        "previousState": _state(change.before) if change.before is not None else {"value": "OK"},
        "resource": {
            "functionName": change.key.function,
            "functionArn": arn,
            "functionVersion": invocation.attribute("faas.version"),
            "requestId": invocation.request_id,
        },
        "trace": {"traceId": trace_id, "spanId": span_id},
        "traceparent": f"00-{trace_id}-{span_id}-{span.flags & 1:02x}",
        "evidence": {
            "error.type": error_type,
            **denied,
            "statusDescription": span.status_message[:_LONGEST_TEXT],
            "durationMs": max(0, span.end - span.start) / 1e6,
            "coldStart": span.attributes.get("faas.coldstart") is True,
            "deadline": _iso(invocation.deadline_ms * 1_000_000) if invocation.deadline_ms else None,
            "trigger": invocation.attribute("hoptrace.trigger") or invocation.attribute("faas.trigger") or "other",
        },
    }
    entry = {
        "Source": SOURCE,
        "DetailType": DETAIL_TYPE,
        "EventBusName": bus,
        "Time": change.after.since // 10**9,
        "Detail": json.dumps(detail),
        "TraceHeader": f"Root=1-{trace_id[:8]}-{trace_id[8:]};Parent={span_id};Sampled={span.flags & 1}",
    }
    if arn:
        entry["Resources"] = [arn]
    return entry


def _denied(change: Change) -> dict[str, str]:
    """What is told of an operation that the policy does not allow."""
    if change.key.rule != OPERATION_DENIED:
        return {}
    found = {"operation": change.key.error_type}
    modes = [denied.mode for denied in change.invocation.denied if denied.operation == change.key.error_type]
    return {**found, "mode": modes[0]} if modes else found


def _alert_id(change: Change) -> str:
    """Return the same id for the same change, however often it is told."""
    parts = (*change.key, change.after.value, change.invocation.span.span_id.hex(), str(change.after.since))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _state(state: State) -> dict[str, Any]:
    return {"value": state.value, "reason": state.reason[:_LONGEST_TEXT], "timestamp": _iso(state.since)}


def _iso(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(min(seconds, 2**36))) + f".{rest // 10**6:03d}Z"
