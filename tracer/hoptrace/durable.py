"""What an invocation of a durable execution came to: `PENDING` is no end, `FAILED` is an answer that Lambda takes."""

from __future__ import annotations

from .spans import ERROR

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .spans import Span


def outcome(span: Span, result: Mapping[str, Any]) -> None:
    """Say what the SDK answered (`DurableExecutionInvocationOutput`): the status, and the error of a failed one."""
    status = result.get("Status")
    if not isinstance(status, str):
        return
    span.set_attribute("durable.invocation.status", status)
    if status != "FAILED":
        return
    error = result.get("Error")
    known = error if isinstance(error, dict) else {}
    kind, message = known.get("ErrorType"), known.get("ErrorMessage")
    span.set_attribute("error.type", kind if isinstance(kind, str) and kind else "FAILED")
    span.set_status(ERROR, message if isinstance(message, str) else "")
