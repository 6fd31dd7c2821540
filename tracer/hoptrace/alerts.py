"""For functions that EventBridge starts by an alert of hoptrace's, or by an invocation summary: the event with types.

    from hoptrace.alerts import NotOurs, parse

    def handler(event, context):
        alert = parse(event)
        if alert.rule == "timeout" and alert.opened:
            ...

Keys that a later version adds are left in `detail`; the schemas are docs/schemas of the repository.
"""

from typing import Any, NamedTuple

from hoptrace.shape import Shape

__all__ = ["Alert", "NotOurs", "Resource", "Summary", "Trace", "parse", "parse_alert", "parse_summary"]

SOURCE = "dev.hoptrace"
ALERT = "Hoptrace Alert State Change"
SUMMARY = "Hoptrace Invocation Summary"


class NotOurs(ValueError):
    """The event is no alert and no summary of hoptrace's, or of a version that this module cannot read."""


class Resource(NamedTuple):
    """Whose it is; `request_id` is empty where no invocation is the cause."""

    function_name: str
    function_arn: str
    function_version: str
    request_id: str


class Trace(NamedTuple):
    """Where it can be looked into; `traceparent` is the same as a W3C header."""

    trace_id: str
    span_id: str
    traceparent: str


class Alert(NamedTuple):
    """One change of an alert.

    `alert_id` is the same for the same change, `dedup_key` for the same trouble in all environments; `state` and
    `previous_state` are OK, ALARM or INSUFFICIENT_DATA; `timestamp` as ISO 8601; `trace` None where the cause is a
    number; `detail` is all of it, as it came.
    """

    alert_id: str
    dedup_key: str
    name: str
    rule: str
    scope: str
    severity: str
    summary: str
    transition: str
    state: str
    previous_state: str
    reason: str
    reason_code: str
    timestamp: str
    labels: dict[str, str]
    resource: Resource
    trace: Trace | None
    link: str
    runbook: str
    evidence: dict[str, Any]
    detail: dict[str, Any]

    @property
    def opened(self) -> bool:
        """Whether the alert has just opened."""
        return self.transition == "opened"

    @property
    def resolved(self) -> bool:
        """Whether what it was about is over."""
        return self.transition == "resolved"


class Summary(NamedTuple):
    """One invocation; durations in milliseconds, memory in MB (1,048,576 bytes), None where Lambda did not say."""

    summary_id: str
    resource: Resource
    outcome: str
    failed: bool
    error_type: str
    cold_start: bool
    duration: float
    init_duration: float | None
    timeout: float | None
    billed_duration: float | None
    memory_used: float | None
    memory_size: float | None
    in_flight: int
    initialization_type: str
    trigger: str
    start_time: str
    end_time: str
    trace: Trace | None
    detail: dict[str, Any]


def parse(event: Any) -> Alert | Summary:
    """Read the event that a function was started with; raises NotOurs."""
    kind = Shape(event).text("detail-type")
    return parse_summary(event) if kind == SUMMARY else parse_alert(event)


def parse_alert(event: Any) -> Alert:
    """Read an alert; raises NotOurs."""
    detail = _detail(event, ALERT)
    alert = Alert(
        alert_id=detail.text("alertId"),
        dedup_key=detail.text("dedupKey"),
        name=detail.text("alertName"),
        rule=detail.text("rule"),
        scope=detail.text("scope"),
        severity=detail.text("severity"),
        summary=detail.text("summary"),
        transition=detail.text("transition"),
        state=detail.text("state", "value"),
        previous_state=detail.text("previousState", "value"),
        reason=detail.text("state", "reason"),
        reason_code=detail.text("state", "reasonCode"),
        timestamp=detail.text("state", "timestamp"),
        labels={name: value for name, value in _object(detail, "labels").items() if isinstance(value, str)},
        resource=_resource(detail),
        trace=_trace(detail),
        link=detail.text("link"),
        runbook=detail.text("runbook"),
        evidence=_object(detail, "evidence"),
        detail=detail.raw,
    )
    if not (alert.alert_id and alert.rule and alert.state):
        raise NotOurs("the detail has no alertId, no rule or no state")
    return alert


def parse_summary(event: Any) -> Summary:
    """Read an invocation summary; raises NotOurs."""
    detail = _detail(event, SUMMARY)
    summary = Summary(
        summary_id=detail.text("summaryId"),
        resource=_resource(detail),
        outcome=detail.text("outcome"),
        failed=detail.get("failed").raw is True,
        error_type=detail.text("errorType"),
        cold_start=detail.get("coldStart").raw is True,
        duration=_number(detail, "durationMs") or 0.0,
        init_duration=_number(detail, "initDurationMs"),
        timeout=_number(detail, "timeoutMs"),
        billed_duration=_number(detail, "billedDurationMs"),
        memory_used=_number(detail, "memoryUsedMB"),
        memory_size=_number(detail, "memorySizeMB"),
        in_flight=int(detail.number("concurrency", "inFlight") or 1),
        initialization_type=detail.text("concurrency", "initializationType"),
        trigger=detail.text("trigger"),
        start_time=detail.text("startTime"),
        end_time=detail.text("endTime"),
        trace=_trace(detail),
        detail=detail.raw,
    )
    if not (summary.summary_id and summary.outcome):
        raise NotOurs("the detail has no summaryId or no outcome")
    return summary


def _detail(event: Any, kind: str) -> Shape:
    shape = Shape(event)
    source, found = shape.text("source"), shape.text("detail-type")
    if source != SOURCE or found != kind:
        raise NotOurs(f"the event is not of {SOURCE} and not {kind!r}, but of {source[:100]!r} and {found[:100]!r}")
    version = shape.text("detail", "schemaVersion")
    if version.partition(".")[0] != "1":
        raise NotOurs(f"its schemaVersion is {version[:20]!r}, and this module reads 1")
    return shape.get("detail")


def _resource(detail: Shape) -> Resource:
    found = detail.get("resource")
    return Resource(
        found.text("functionName"), found.text("functionArn"), found.text("functionVersion"), found.text("requestId")
    )


def _trace(detail: Shape) -> Trace | None:
    trace_id, span_id = detail.text("trace", "traceId"), detail.text("trace", "spanId")
    return Trace(trace_id, span_id, detail.text("traceparent")) if trace_id and span_id else None


def _object(detail: Shape, name: str) -> dict[str, Any]:
    value = detail.get(name).raw
    return value if isinstance(value, dict) else {}


def _number(detail: Shape, name: str) -> float | None:
    value = detail.number(name)
    return None if value is None else float(value)
