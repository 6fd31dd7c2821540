"""Spans of invocations that never came back, closed by the process that comes after.

The same names and texts as the collector's, as far as they can be known without it: Lambda ends a function at its
deadline, so an invocation whose process is gone by then is taken for timed out.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ERROR = 2
INTERNAL = 1


STARTED = "started"
"""Where a `begin` record keeps, by their spans' ids, the `start` records that nothing has ended."""


def closed(begin: dict[str, Any], now: int) -> list[dict[str, Any]]:
    """What a `begin` record left open as `span` records, ended; `now` in nanoseconds since the epoch."""
    deadline = begin.get("deadline")
    deadline = deadline * 1_000_000 if isinstance(deadline, int) else 0
    spans = [{"span": span} for span in (begin.get("span"), *(begin.get("records") or ()))]
    found = []
    for record in [*spans, *begin.get(STARTED, {}).values()]:
        span = record["span"]
        if not isinstance(span, dict) or not isinstance(span.get("start"), int):
            continue
        start = span["start"]
        if deadline and now >= deadline:
            end, kind = deadline, "timeout"
            seconds = max(0.0, (end - start) / 1e9)
            message = f"the function timed out {seconds:.2f} s after the invocation began"
        else:
            end, kind = now, "Runtime.ExitError"
            message = f"the function's process ended before the invocation did ({kind})"
        more = {"hoptrace.closed_by": "tracer", "error.type": kind}
        attributes = {**(span.get("attributes") or {}), **more}
        span = {**span, "end": max(start, end), "attributes": attributes, "status": [ERROR, message]}
        found.append({**record, "span": span})
    return found


def failed_init(record: dict[str, Any]) -> dict[str, Any]:
    """The span of an initialisation that failed."""
    kind = record.get("error_type") or "Runtime.Unknown"
    end = record.get("end") or 0
    return {
        "trace_id": os.urandom(16).hex(),
        "span_id": os.urandom(8).hex(),
        "name": "init",
        "kind": INTERNAL,
        "start": record.get("start") or end,
        "end": end,
        "flags": 1,
        "attributes": {"hoptrace.init": True, "error.type": kind, "hoptrace.closed_by": "tracer"},
        "status": [ERROR, record.get("message") or ""],
    }
