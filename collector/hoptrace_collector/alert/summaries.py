"""What can be told of every invocation, as an event: for rules of EventBridge's own, with its numeric patterns.

What Lambda reports of an invocation (memory, what is billed) comes after its end: a summary waits for it, at most until
the environment goes.
"""

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

from hoptrace_collector.alert.compiled import Get
from hoptrace_collector.alert.events import Entry, Target, entry_of, iso, trace_of
from hoptrace_collector.alert.facts import Facts
from hoptrace_collector.model import Invocation

__all__ = ["DETAIL_TYPE", "Summaries"]

DETAIL_TYPE = "Hoptrace Invocation Summary"
SCHEMA_VERSION = "1.0"
_MOST_WAITING = 64
_LONGEST_TEXT = 1_000
_MEGABYTE = 1024 * 1024


class _Waiting(NamedTuple):
    invocation: Invocation
    facts: Facts
    in_flight: int


class Summaries:
    """Makes summaries of the invocations for which `wanted` holds; `put` takes them."""

    def __init__(self, wanted: Callable[[Get], bool], target: Target, put: Callable[[Entry], None]) -> None:
        self._wanted = wanted
        self._target = target
        self._put = put
        self._waiting: dict[str, _Waiting] = {}
        self._recent: list[tuple[int, int]] = []

    def ended(self, invocation: Invocation, facts: Facts) -> None:
        """Take an invocation that is over."""
        if not invocation.request_id:  # code that could not be loaded, before anything was handed out
            return
        start, end = invocation.span.start, invocation.span.end
        self._recent = [*self._recent[1 - _MOST_WAITING :], (start, end)]
        in_flight = sum(each[0] <= end and each[1] > start for each in self._recent)
        self._waiting[invocation.request_id] = _Waiting(invocation, facts, max(1, in_flight))
        while len(self._waiting) > _MOST_WAITING:
            self._release(next(iter(self._waiting)), None)

    def reported(self, request_id: str, facts: Facts) -> None:
        """Take what Lambda has reported of one."""
        self._release(request_id, facts)

    def release(self) -> None:
        """Wait no longer."""
        for request_id in list(self._waiting):
            self._release(request_id, None)

    def _release(self, request_id: str, facts: Facts | None) -> None:
        waiting = self._waiting.pop(request_id, None)
        if waiting is None:
            return
        known = waiting.facts if facts is None else facts
        if self._wanted(known.get):
            self._put(_entry(waiting, known, self._target))


def _entry(waiting: _Waiting, facts: Facts, target: Target) -> Entry:
    invocation, get = waiting.invocation, facts.get
    span = invocation.span
    trace_id, span_id = span.trace_id.hex(), span.span_id.hex()
    arn = invocation.attribute("aws.lambda.invoked_arn")
    detail: dict[str, Any] = {
        "schemaVersion": SCHEMA_VERSION,
        "summaryId": hashlib.sha256(f"{invocation.request_id}\0{span_id}".encode()).hexdigest()[:32],
        "resource": {
            "functionName": target.function or invocation.attribute("faas.name") or "function",
            "functionArn": arn,
            "functionVersion": invocation.attribute("faas.version"),
            "requestId": invocation.request_id,
        },
        "outcome": invocation.outcome,
        "failed": invocation.failed,
        "coldStart": get("coldstart") is True,
        "durationMs": _milliseconds(get("duration")),
        "trigger": get("trigger"),
        "startTime": iso(span.start),
        "endTime": iso(span.end),
        "concurrency": {
            "inFlight": waiting.in_flight,
            "initializationType": get("initialization_type"),
        },
        **trace_of(trace_id, span_id, span.flags),
    }
    measured: dict[str, Any] = {
        "errorType": str(get("error.type") or "")[:_LONGEST_TEXT] if invocation.failed else None,
        "initDurationMs": _milliseconds(get("init_duration")) if get("coldstart") else None,
        "timeoutMs": _milliseconds(get("timeout")),
        "billedDurationMs": _milliseconds(get("billed_duration")),
        "memoryUsedMB": _megabytes(get("memory")),
        "memorySizeMB": _megabytes(get("memory_size")),
        "memoryUtilization": get("memory_utilization"),
        "cpuMs": _milliseconds(get("cpu")),
        "messageAgeMs": _milliseconds(get("hoptrace.message.age")),
    }
    detail.update({name: value for name, value in measured.items() if value is not None})
    return entry_of(DETAIL_TYPE, target.bus, detail, at=span.end, arn=arn)


def _milliseconds(seconds: Any) -> float | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    return round(seconds * 1000, 3)


def _megabytes(count: Any) -> float | None:
    return round(count / _MEGABYTE, 3) if isinstance(count, int | float) and count else None
