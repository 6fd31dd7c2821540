"""Dead letters of services: the event that a target was to get, and beside it attributes that say what went wrong.

Lambda sends what an asynchronous invocation could not handle to a function's dead-letter queue or topic as it was, with
`RequestID`, `ErrorCode` and `ErrorMessage`; EventBridge and Scheduler do the same for a rule's or a schedule's target.
"""

from hoptrace.shape import as_number
from hoptrace.triggers.arrival import Record, last_of_arn
from hoptrace.triggers.envelopes import Opener, origin, within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST = 1_024


def given_up(text: str, get: "Callable[[str], str]", opener: Opener) -> Record | None:
    """Read a message whose attributes (`get` has their texts) make it a dead letter; None when it is none."""
    if get("RequestID") and get("ErrorCode"):
        return _of_function(text, get, opener)
    if get("ERROR_CODE") and (get("RULE_ARN") or get("TARGET_ARN")):
        return _of_rule(text, get, opener)
    return None


def _of_function(text: str, get: "Callable[[str], str]", opener: Opener) -> Record:
    found = origin(opener.open(text, sure=True), opener) or Record()
    found.attributes["hoptrace.origin.invocation_id"] = get("RequestID")[:_LONGEST]
    _error(found, get("ErrorCode"), get("ErrorMessage"))
    return found


def _of_rule(text: str, get: "Callable[[str], str]", opener: Opener) -> Record:
    """Nothing of the target has run yet, so the event's own hops are part of the way here."""
    found = within(opener.open(text, sure=True), opener) or Record()
    rule, target = last_of_arn(get("RULE_ARN")), get("TARGET_ARN")
    if rule:
        found.attributes["hoptrace.eventbridge.rule"] = rule[:_LONGEST]
    if target:
        found.attributes["hoptrace.origin.target_arn"] = target[:_LONGEST]
    _error(found, get("ERROR_CODE"), get("ERROR_MESSAGE"))
    return found


def _error(found: Record, code: str, message: str) -> None:
    number = as_number(code)
    found.attributes["hoptrace.origin.error_code"] = code[:_LONGEST] if number is None else int(number)
    if message:
        found.attributes["hoptrace.origin.error_message"] = message[:_LONGEST]
