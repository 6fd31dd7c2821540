"""An API's authorizer: its answer's `context`, which API Gateway hands to the function behind it.

Calls: the answer of a Lambda authorizer, REST, HTTP API (policy or simple response) or WebSocket.
Written: `traceparent` and `tracestate` as members of the answer's `context`, in a copy; no baggage, since the answer
may be kept for other callers.
Read: `requestContext.authorizer.lambda`, then `requestContext.authorizer`; as a link, since it may be an earlier
request's.
Limits: members are strings, as REST and WebSocket APIs want them.
Without room: nothing
Default: opt-in `authorizer`
"""

from hoptrace.propagation import choices, extract, has_context
from hoptrace.shape import Shape
from hoptrace.spans.context import SpanContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# What stands beside or instead of a function's own context where no function decided.
_NOT_A_FUNCTION = frozenset(("claims", "scopes", "jwt", "iam"))


def inject_answer(answer: "Any", context: SpanContext) -> "Any":
    """Return a copy of an authorizer's answer that carries `context`; the very same when it is none, or says no."""
    if type(answer) is not dict or not _allows(answer):
        return answer
    theirs = answer.get("context")
    if theirs is None:
        theirs = {}
    if type(theirs) is not dict or has_context(theirs):
        return answer
    alone = SpanContext(context.trace_id, context.span_id, context.flags, context.trace_state)
    found = choices(alone)
    if not found:
        return answer
    ours = {name: value for name, value in found[0].items() if name not in theirs}
    return {**answer, "context": {**theirs, **ours}}


def extract_authorizer(request: Shape) -> SpanContext | None:
    """Read the authorizer's own span from the `requestContext` of the function behind it."""
    for place in (request.get("authorizer", "lambda"), request.get("authorizer")):
        found = extract(place.text) if place.raw else None
        if found is not None:
            return found
    return None


def was_authorized(request: Shape) -> bool:
    """Tell whether a function decided about this request, by what it left in its `requestContext`."""
    return any(
        name == "lambda" or (name not in _NOT_A_FUNCTION and member.raw is not None)
        for name, member in request.pairs("authorizer")
    )


def _allows(answer: "dict[str, Any]") -> bool:
    return answer.get("isAuthorized") is True or isinstance(answer.get("policyDocument"), dict)
