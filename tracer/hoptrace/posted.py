"""What became of a result that the handler returned and the runtime client could not hand to Lambda.

Told from the traceback of what it failed with, so that nothing of ours stands between the client and Lambda.
"""

from __future__ import annotations

from .spans.exceptions import exception_message, exception_type

EXIT = "Runtime.ExitError"
TOO_LARGE = "Function.ResponseSizeTooLarge"
LARGEST = 6 * 1024 * 1024 + 100
"""Bytes of the largest response that Lambda takes: 6 MiB and its envelope (AWS Lambda quotas, "Invocation payload")."""

_POST = "post_invocation_result"
_RESULT = "result_data"


def why(error: BaseException | None) -> tuple[str, str]:
    """`error.type` and message of a result that was not taken; `None`: the process ends and nothing says why.

    A response that is too large gets the names that its caller gets; the client's own error has neither them nor the
    HTTP status.
    """
    if error is None:
        return EXIT, f"the function's process ended before its result was taken ({EXIT})"
    if _size(error) > LARGEST:
        return TOO_LARGE, f"Response payload size exceeded maximum allowed payload size ({LARGEST} bytes)."
    return exception_type(error), exception_message(error)


def _size(error: BaseException) -> int:
    """Bytes of the result that was being posted when this was raised; 0 when none was."""
    tb = error.__traceback__
    while tb is not None:
        if tb.tb_frame.f_code.co_name == _POST:
            result = tb.tb_frame.f_locals.get(_RESULT)
            if isinstance(result, str):
                return len(result) if result.isascii() else len(result.encode("utf-8", "replace"))
            if isinstance(result, bytes):
                return len(result)
        tb = tb.tb_next
    return 0
