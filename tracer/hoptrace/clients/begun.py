"""What a traced AWS call needs, imported by the first: much code imports boto3 and calls nothing while it starts."""

import sys

from ..settings import settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..capture.policy import Denied
    from .calls import Call

_HEADERS = f"{__package__}.headers"


def begun(client: "Any", operation: str, params: object) -> "Call":
    """Begin the span of a call, and have the client's requests carry the trace header."""
    from . import headers
    from .calls import Call

    denied = _denied(client, operation) if settings().policy else None
    try:
        headers.attend(client)  # before the span is current, which nobody would end if this failed
        call = Call(client, operation, params)
    except Exception:
        if denied is not None and settings().policy == "block":
            raise denied from None  # whatever of ours has failed, the call is not made
        raise
    if denied is not None:
        call.denied(denied)
    return call


def _denied(client: "Any", operation: str) -> "Denied | None":
    from ..capture.policy import action

    return action(client.meta.service_model, operation)


def leave() -> None:
    """Take the header back from every client that has it."""
    loaded = sys.modules.get(_HEADERS)
    if loaded is not None:
        loaded.leave()
