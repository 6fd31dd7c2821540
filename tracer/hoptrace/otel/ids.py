"""A span's identity in both spellings: ours in hex digits, the API's in numbers."""

from opentelemetry import trace

from ..spans.context import SpanContext

Theirs = trace.SpanContext


def to_theirs(context: SpanContext) -> Theirs:
    """As the API has it."""
    state = trace.TraceState.from_header([context.trace_state]) if context.trace_state else trace.TraceState()
    return Theirs(
        int(context.trace_id, 16),
        int(context.span_id, 16),
        is_remote=context.remote,
        trace_flags=trace.TraceFlags(context.flags),
        trace_state=state,
    )


def to_ours(context: Theirs) -> SpanContext:
    """As we have it; of a valid one."""
    state = context.trace_state
    return SpanContext(
        format(context.trace_id, "032x"),
        format(context.span_id, "016x"),
        int(context.trace_flags),
        state.to_header() if state else "",
        remote=bool(context.is_remote),
    )


def parent_of(trace_id: str, span_id: str) -> Theirs | None:
    """The parent of a span of ours, of which no more than the ids is known."""
    return to_theirs(SpanContext(trace_id, span_id)) if span_id else None
