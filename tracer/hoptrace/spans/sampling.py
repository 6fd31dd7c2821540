"""Head sampling (`OTEL_TRACES_SAMPLER`): whether a trace is recorded is decided where it begins, or where it comes in.

By OpenTelemetry's names. A `parentbased_*` sampler does what whoever sent a context has decided, and decides by itself
where nobody sent one; the others decide again. Below a span of this process nothing is decided any more.

Imported for a sampler that somebody has set, and for a context that says how likely it was to be kept.
"""

from __future__ import annotations

from ..settings import settings
from .context import SAMPLED, SpanContext
from .probability import NEVER, passed, randomness, threshold, with_threshold


def root(trace_id: str, span_id: str) -> SpanContext:
    """The context of a span at the beginning of a trace."""
    context = SpanContext(trace_id, span_id)
    sampler = settings().sampler
    return context if sampler is None else _decided(context, sampler[0].removeprefix("parentbased_"), sampler[1])


def below(context: SpanContext) -> SpanContext:
    """A context that somebody sent, with the flags and the `tracestate` that a span below it has."""
    sampler = settings().sampler
    if sampler is not None and not sampler[0].startswith("parentbased_"):
        return _decided(context, *sampler)
    said = passed(context.trace_state)
    if said is None or not context.sampled or randomness(context.trace_id, context.trace_state) >= said:
        return context
    # Kept though its own threshold refuses it: nobody knows how likely that was ("General requirements").
    return _copy(context, context.flags, with_threshold(context.trace_state, None))


def _decided(context: SpanContext, name: str, share: float) -> SpanContext:
    if name == "always_on":
        state = context.trace_state
        state = with_threshold(state, 0) if "th:" in state else state
        return _copy(context, context.flags | SAMPLED, state)
    value = threshold(share) if name == "traceidratio" else NEVER
    kept = randomness(context.trace_id, context.trace_state) >= value
    flags = context.flags | SAMPLED if kept else context.flags & ~SAMPLED
    if not kept and "th:" not in context.trace_state:
        return _copy(context, flags, context.trace_state)
    return _copy(context, flags, with_threshold(context.trace_state, value if kept else None))


def _copy(context: SpanContext, flags: int, trace_state: str) -> SpanContext:
    return SpanContext(
        context.trace_id, context.span_id, flags, trace_state, remote=context.remote, baggage=context.baggage
    )
