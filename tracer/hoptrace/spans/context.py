"""The span's identity, under the name by which the spans' room knows it.

The type itself lies one floor down, in `hoptrace.context`: carriers and spans stand side by side and both need it.
"""

from hoptrace.context import (
    SAMPLED,
    SpanContext,
    format_traceparent,
    format_xray,
    parse_traceparent,
    parse_xray,
    parse_xray_root,
)

__all__ = [
    "SAMPLED",
    "SpanContext",
    "format_traceparent",
    "format_xray",
    "parse_traceparent",
    "parse_xray",
    "parse_xray_root",
]
