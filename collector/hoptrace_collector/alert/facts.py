"""What a condition can ask about: of an invocation, of what Lambda reports of it, of spans, metrics and logs.

Fields without a dot are made here (`FIELDS` says which, and of what type); with a dot they are attributes, the span's
own before its resource's.
"""

from collections.abc import Callable, Mapping
from typing import Any

from hoptrace_collector.alert.compiled import Get
from hoptrace_collector.model import ERROR, Denied, Histogram, Invocation, LogRecord, Number, Span
from hoptrace_collector.told import Report

__all__ = ["FIELDS", "Facts", "of_denied", "of_invocation", "of_log", "of_point", "of_report", "of_span", "recursion"]

_INVOCATION = {
    "outcome": ("text", "`ok`, `error`, `timeout`, `crash` or `init_error`"),
    "failed": ("condition", "whether it ended in any way but `ok`"),
    "out_of_memory": ("condition", "whether Lambda ended it for want of memory"),
    "error.type": ("text", "the exception's class, or Lambda's word; `timeout`"),
    "message": ("text", "what the failure says"),
    "duration": ("number", "seconds"),
    "timeout": ("number", "seconds that it was given, by its deadline"),
    "timeout_share": ("number", "the share of them that it took"),
    "coldstart": ("condition", "whether it waited for an initialisation"),
    "init_duration": ("number", "seconds of that initialisation, or of a snapshot's restore"),
    "initialization_type": (
        "text",
        "`on-demand`, `provisioned-concurrency`, `snap-start` or `lambda-managed-instances`",
    ),
    "cpu": ("number", "seconds of CPU that it used"),
    "recursion": ("number", "how often the chain of invocations came by here before, by the trace header's `Lineage`"),
    "trigger": ("text", "what woke it: `sqs`, `api_gateway_http` …"),
    "function": ("text", "the function's name"),
    "version": ("text", "its version"),
    "request_id": ("text", "Lambda's request id"),
}
FIELDS: dict[str, dict[str, tuple[str, str]]] = {
    "invocation": _INVOCATION,
    "report": {
        **_INVOCATION,
        "memory": ("number", "bytes that it used at most"),
        "memory_size": ("number", "bytes that the function has"),
        "memory_utilization": ("number", "one by the other"),
        "billed_duration": ("number", "seconds"),
    },
    "denial": {
        **_INVOCATION,
        "operation": ("text", "the AWS action or the host"),
        "mode": ("text", "`observe` or `block`"),
    },
    "span": {
        "name": ("text", "the span's name"),
        "kind": ("text", "`internal`, `server`, `client`, `producer` or `consumer`"),
        "failed": ("condition", "whether its status is an error"),
        "message": ("text", "what the status says"),
        "duration": ("number", "seconds"),
        "function": ("text", "the function's name"),
        "version": ("text", "its version"),
    },
    "metric": {
        "name": ("text", "the metric's name"),
        "value": ("number", "a sum's or a gauge's value, a histogram's mean"),
        "count": ("number", "how many values a histogram has"),
        "min": ("number", "a histogram's least value"),
        "max": ("number", "a histogram's largest value"),
        "unit": ("text", "its unit"),
    },
    "log": {
        "message": ("text", "the body, where that is a text"),
        "severity": ("number", "OpenTelemetry's number: 9 is INFO, 13 WARN, 17 ERROR, 21 FATAL"),
        "level": ("text", "the word for it"),
        "logger": ("text", "the logger's name"),
        "event": ("text", "the event's name"),
    },
}  # fmt: skip

Facts = dict[str, Any]
_SPAN_KINDS = ("", "internal", "server", "client", "producer", "consumer")
_OUT_OF_MEMORY = "Runtime.OutOfMemory"


def of_invocation(invocation: Invocation, init_duration: float | None = None, recursion: int | None = None) -> Facts:
    """Return what can be asked about an invocation that is over."""
    span = invocation.span
    facts: Facts = dict(invocation.origin.resource)
    facts.update(span.attributes)
    outcome, get = invocation.outcome, facts.get
    duration = max(0, span.end - span.start) / 1e9
    timeout = invocation.deadline_ms / 1000 - span.start / 1e9 if invocation.deadline_ms else None
    if timeout is not None and timeout > 0:
        facts["timeout"] = timeout
        facts["timeout_share"] = duration / timeout
    facts["outcome"] = outcome
    facts["failed"] = outcome != "ok"
    if outcome != "ok":
        facts["error.type"] = invocation.error_type or outcome
        facts["message"] = invocation.message
    facts["out_of_memory"] = invocation.error_type == _OUT_OF_MEMORY
    facts["duration"] = duration
    facts["coldstart"] = get("faas.coldstart") is True
    facts["init_duration"] = init_duration
    facts["initialization_type"] = get("aws.lambda.initialization_type")
    facts["cpu"] = invocation.cpu / 1e9 if invocation.cpu else None
    facts["recursion"] = recursion
    facts["trigger"] = get("hoptrace.trigger") or get("faas.trigger") or "other"
    facts["function"] = get("faas.name")
    facts["version"] = get("faas.version")
    facts["request_id"] = invocation.request_id
    return facts


def of_report(report: Report, invocation: Facts, memory_size: int) -> Facts:
    """Add to an invocation's facts what Lambda has told that it has used, and return them."""
    size = report.memory_size or memory_size
    invocation["memory"] = report.memory or None
    invocation["memory_size"] = size or None
    invocation["memory_utilization"] = report.memory / size if report.memory and size else None
    invocation["billed_duration"] = report.billed or None
    return invocation


def of_denied(denied: Denied, invocation: Facts) -> Facts:
    """Return what can be asked about a call that the function's policy does not allow."""
    return {**invocation, "operation": denied.operation, "mode": denied.mode}


def of_span(span: Span, resource: Mapping[str, Any]) -> Get:
    """Return what gives the fields of a span; there are many, and few are asked about much."""
    attributes = span.attributes

    def get(name: Any) -> Any:
        value = attributes.get(name)
        if value is not None:
            return value
        field = _SPAN_FIELDS.get(name)
        return resource.get(name) if field is None else field(span, resource)

    return get


_SPAN_FIELDS: dict[str, Callable[[Span, Mapping[str, Any]], Any]] = {
    "name": lambda span, _: span.name,
    "kind": lambda span, _: _SPAN_KINDS[span.kind] if 0 <= span.kind < len(_SPAN_KINDS) else "",
    "failed": lambda span, _: span.status == ERROR,
    "message": lambda span, _: span.status_message,
    "duration": lambda span, _: max(0, span.end - span.start) / 1e9,
    "function": lambda _, resource: resource.get("faas.name"),
    "version": lambda _, resource: resource.get("faas.version"),
}


def of_point(point: Number | Histogram) -> Facts:
    """Return what can be asked about a metric's point."""
    facts: Facts = dict(point.attributes)
    facts["name"] = point.name
    facts["unit"] = point.unit
    if isinstance(point, Number):
        facts["value"] = point.value
        return facts
    count = sum(point.counts)
    facts["count"] = count
    if count:
        facts["value"] = point.total / count
        facts["min"], facts["max"] = point.least, point.most
    return facts


def of_log(record: LogRecord) -> Facts:
    """Return what can be asked about a log record."""
    facts: Facts = dict(record.attributes)
    facts["message"] = record.body if isinstance(record.body, str) else None
    facts["severity"] = record.severity
    facts["level"] = record.level or None
    facts["logger"] = record.logger or None
    facts["event"] = record.event or None
    return facts


def recursion(trace_header: str) -> int | None:
    """Return the largest count in the `Lineage` of an X-Ray trace header, such as `1:a87bd80c:3|68fd508a:5`."""
    found = None
    for field in trace_header.split(";"):
        name, _, value = field.strip().partition("=")
        if name != "Lineage":
            continue
        for entry in value.split("|"):
            count = entry.rpartition(":")[2]
            if count.isascii() and count.isdigit() and len(count) < 6:
                found = max(found or 0, int(count))
    return found
