"""Spans: the record of one operation, which one is current, and where it goes when it ends.

Plain data by design: no SDK is imported in the function's process before its first response.
"""

from .current import activate, current_span, restore, set_invocation
from .span import (
    CLIENT,
    CONSUMER,
    ERROR,
    INTERNAL,
    OK,
    PRODUCER,
    SERVER,
    UNSET,
    Link,
    Span,
    on_end,
    on_start,
    start_span,
)

__all__ = [
    "CLIENT",
    "CONSUMER",
    "ERROR",
    "INTERNAL",
    "OK",
    "PRODUCER",
    "SERVER",
    "UNSET",
    "Link",
    "Span",
    "activate",
    "current_span",
    "on_end",
    "on_start",
    "restore",
    "set_invocation",
    "start_span",
]
