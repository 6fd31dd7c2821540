"""Makes the event that EventBridge gets of an alert: versioned, documented (`docs/alerts.md`), with the trace in it.

Modelled on "CloudWatch Alarm State Change". The trace stands in the detail, because EventBridge hands a trace header
on neither in the event nor to its archive; and `alertId` stands there because PutEvents may deliver twice.
"""

import hashlib
import json
import time
from typing import Any, NamedTuple

from hoptrace_collector.alert.causes import Cause
from hoptrace_collector.alert.decisions import ALARM, ENDED, OK, OPENED, RESOLVED, STILL_OPEN, UNKNOWN, State
from hoptrace_collector.alert.engine import Change

__all__ = ["DETAIL_TYPE", "SOURCE", "Entry", "Target", "dedup_key", "entry_of", "iso", "make_entry", "trace_of"]

SOURCE = "dev.hoptrace"
DETAIL_TYPE = "Hoptrace Alert State Change"
SCHEMA_VERSION = "1.0"
_LONGEST_TEXT = 1_000

Entry = dict[str, Any]

# Why it is told, for programs.
REASONS = {
    OPENED: "ConditionMet",
    STILL_OPEN: "ConditionStillMet",
    RESOLVED: "ConditionCleared",
    ENDED: "NoLongerWatched",
}


class Target(NamedTuple):
    """Where events go, and what they say of where they come from.

    `link` is an address with `{trace_id}` and the like in it, which leads to the trace in the user's backend.
    """

    bus: str
    function: str
    link: str = ""


def make_entry(change: Change, target: Target) -> Entry:
    """Return a PutEvents request entry for `change`; its `Detail` is a JSON text well below the limit of 1 MB."""
    rule, cause = change.rule, change.cause
    function = cause.function or target.function
    value = UNKNOWN if change.transition == ENDED else ALARM if change.after.value == ALARM else OK
    key = dedup_key(rule.name, cause, function, change.labels)
    named = ":".join((rule.name, function, *change.labels.values()))
    detail = {
        "schemaVersion": SCHEMA_VERSION,
        "alertId": _alert_id(change, key),
        "dedupKey": key,
        "alertName": named[:_LONGEST_TEXT],
        "rule": rule.name,
        "scope": rule.scope,
        "severity": rule.severity,
        "summary": rule.summary,
        "transition": change.transition,
        "labels": change.labels,
        "state": {
            "value": value,
            "reason": _reason(change),
            "reasonCode": REASONS[change.transition],
            "timestamp": iso(change.after.told),
            "reasonData": json.dumps(
                {"outcome": cause.outcome, "errorType": cause.error_type, "requestId": cause.request_id}
            ),
        },
        "previousState": _previous(change.before),
        "resource": {
            "functionName": function,
            "functionArn": cause.arn,
            "functionVersion": cause.version,
            "requestId": cause.request_id,
        },
        **trace_of(cause.trace_id, cause.span_id, cause.flags),
        "evidence": _evidence(change),
    }
    if rule.runbook:
        detail["runbook"] = rule.runbook
    if target.link and cause.trace_id:
        detail["link"] = _filled(target.link, cause, function)
    return entry_of(DETAIL_TYPE, target.bus, detail, at=change.after.told, arn=cause.arn)


def entry_of(kind: str, bus: str, detail: dict[str, Any], *, at: int, arn: str) -> Entry:
    """Return a PutEvents request entry; `at` in nanoseconds since the epoch."""
    entry = {
        "Source": SOURCE,
        "DetailType": kind,
        "EventBusName": bus,
        "Time": at // 10**9,
        "Detail": json.dumps(detail),
    }
    trace = detail.get("trace")
    if trace:
        trace_id, span_id = trace["traceId"], trace["spanId"]
        sampled = detail["traceparent"][-1]
        entry["TraceHeader"] = f"Root=1-{trace_id[:8]}-{trace_id[8:]};Parent={span_id};Sampled={sampled}"
    if arn:
        entry["Resources"] = [arn]
    return entry


def trace_of(trace_id: str, span_id: str, flags: int) -> dict[str, Any]:
    """Return the members of a detail that say where its trace is; none without one."""
    if not trace_id or not span_id:
        return {}
    return {
        "trace": {"traceId": trace_id, "spanId": span_id},
        "traceparent": f"00-{trace_id}-{span_id}-{flags & 1:02x}",
    }


def dedup_key(rule: str, cause: Cause, function: str, labels: dict[str, str]) -> str:
    """Return what is the same in all environments of a function for the same trouble.

    Of an ARN `arn:aws:lambda:region:account:function:name:qualifier` the qualifier does not count.
    """
    resource = ":".join(cause.arn.split(":")[:7]) if cause.arn else function
    named = (f"{name}={value}" for name, value in sorted(labels.items()))
    return _hash(rule, resource, *named)


def iso(nanoseconds: int) -> str:
    """Return a moment as `2026-11-23T10:00:03.000Z`."""
    seconds, rest = divmod(max(0, nanoseconds), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(min(seconds, 2**36))) + f".{rest // 10**6:03d}Z"


def _alert_id(change: Change, key: str) -> str:
    """Return the same id for the same change, however often it is told."""
    return _hash(key, change.transition, change.cause.ident, str(change.after.told))


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def _previous(state: State) -> dict[str, Any]:
    known = {"value": ALARM if state.value == ALARM else OK}
    if state.value == ALARM and state.opened:
        known["timestamp"] = iso(state.opened)
    return known


def _reason(change: Change) -> str:
    rule, cause = change.rule, change.cause
    said = rule.summary or rule.text
    if change.transition == RESOLVED:
        return f"over: {said}"[:_LONGEST_TEXT]
    if change.transition == ENDED:
        return f"no longer watched, since its environment or its rule has gone: {said}"[:_LONGEST_TEXT]
    words = [said, *(f"{name} is {value}" for name, value in change.labels.items() if value)]
    if change.values and rule.minimum:
        values = ", ".join(f"{name} is {_short(value)}" for name, value in change.values.items())
        words.append(f"{values} in {_short(rule.window)} s")
    elif cause.outcome not in ("", "ok"):
        words.append(cause.message or cause.error_type)
    else:
        words += [f"{name} is {_short(value)}" for name, value in cause.observed.items() if name not in change.labels]
    if rule.limit is not None:
        words.append(f"the limit is {_short(rule.limit)}")
    return "; ".join(words)[:_LONGEST_TEXT]


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _evidence(change: Change) -> dict[str, Any]:
    rule, cause = change.rule, change.cause
    evidence: dict[str, Any] = {
        "condition": rule.text,
        "observed": dict(cause.observed),
        "statusDescription": cause.message,
        "durationMs": cause.duration * 1000,
        "coldStart": cause.coldstart,
        "deadline": iso(cause.deadline_ms * 1_000_000) if cause.deadline_ms else None,
        "trigger": cause.trigger,
        "timestamp": iso(cause.at),
    }
    # Under its own name, so that a rule's pattern can ask for it as for an attribute.
    evidence["error.type"] = cause.error_type
    if rule.limit is not None:
        evidence["limit"] = rule.limit
    if rule.window:
        evidence["window"] = {"seconds": rule.window, "observations": change.observations, "values": change.values}
    return evidence


def _filled(link: str, cause: Cause, function: str) -> str:
    for name, value in (
        ("{trace_id}", cause.trace_id),
        ("{span_id}", cause.span_id),
        ("{request_id}", cause.request_id),
        ("{function}", function),
    ):
        link = link.replace(name, value)
    return link[:_LONGEST_TEXT]
