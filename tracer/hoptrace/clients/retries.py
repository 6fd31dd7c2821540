"""What botocore tries again, and why: it asks its handlers after each attempt, whose reasons nobody else is told.

A call that succeeds in the end shows nothing of the throttling that made it slow. So each attempt's failure is noted
where botocore keeps what belongs to the request, and told when a further attempt shows that it was retried.
"""

from typing import Any

from ..guard import guard
from ..spans import Span, current_span
from ..spans.exceptions import exception_type

THROTTLES = "hoptrace.aws.throttle_count"
REASONS = "hoptrace.aws.retry_reasons"

_ID = "hoptrace.retries"
_NOTES = "hoptrace_failures"
_TOO_MANY = 429
# AWS' words for "slower, please", which differ from service to service ("Standard retry mode", "Error retries").
_THROTTLED = frozenset(
    (
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
        "OverLimit",
        "RequestThrottlingException",
    )
)


def attend(events: Any) -> None:
    """Be asked after each attempt of the client that these events are of, before whoever decides."""
    events.register_first("needs-retry", _note, unique_id=_ID)


def leave(events: Any) -> None:
    """Be asked no longer."""
    events.unregister("needs-retry", unique_id=_ID)


def is_throttle(code: str) -> bool:
    """Whether an error code of AWS means that there were too many calls (of `KmsThrottled` to another service)."""
    return code in _THROTTLED or "throttl" in code.lower()


def count_throttle(span: Span) -> None:
    """One more attempt of this call was throttled."""
    before = span.attributes.get(THROTTLES)
    span.set_attribute(THROTTLES, (before if isinstance(before, int) else 0) + 1)


def _note(
    response: Any = None, caught_exception: Any = None, request_dict: Any = None, **_others: Any
) -> None:  # its answer would decide on the retry
    with guard("clients.retries"):
        span = current_span()
        # Another one is current where a hook of the user's has made it so, and the attempt is not its own.
        if span is None or not span.open or span.attributes.get("rpc.system.name") != "aws-api":
            return
        notes: list[str] = request_dict["context"].setdefault(_NOTES, [])
        if notes:
            span.set_attribute(REASONS, notes)
        reason, throttled = _reason(response, caught_exception)
        if reason:
            notes.append(reason)
        if throttled:
            count_throttle(span)


def _reason(response: Any, error: BaseException | None) -> tuple[str, bool]:
    """Why an attempt failed, empty when it did not, and whether that was throttling."""
    if error is not None:
        return exception_type(error), False
    if response is None:
        return "", False
    answer, parsed = response
    status = answer.status_code
    told = parsed.get("Error") if isinstance(parsed, dict) else None
    code = str(told.get("Code") or "") if isinstance(told, dict) else ""
    if status < 300 and not code:
        return "", False
    return code or str(status), is_throttle(code) or status == _TOO_MANY
