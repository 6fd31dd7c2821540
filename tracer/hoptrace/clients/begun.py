"""What a traced AWS call needs, imported by the first: much code imports boto3 and calls nothing while it starts."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .calls import Call

_HEADERS = f"{__package__}.headers"


def begun(client: "Any", operation: str, params: object) -> "Call":
    """Begin the span of a call, and have the client's requests carry the trace header."""
    from . import headers
    from .calls import Call

    headers.attend(client)  # before the span is current, which nobody would end if this failed
    return Call(client, operation, params)


def leave() -> None:
    """Take the header back from every client that has it."""
    loaded = sys.modules.get(_HEADERS)
    if loaded is not None:
        loaded.leave()
