"""Spans that somebody else has sent, taken apart by trace, so that they share the fate of their invocation."""

from collections.abc import Callable
from typing import Any, NamedTuple

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from hoptrace_collector.model import ERROR
from hoptrace_collector.sampling.probability import with_threshold

__all__ = ["Piece", "chosen", "taken_apart"]


class Piece(NamedTuple):
    """An encoded ResourceSpans with spans of one trace (`trace_id` empty: of several, which belong to nothing here)."""

    trace_id: bytes
    data: bytes
    amount: int
    failed: bool = False

    @classmethod
    def of(cls, data: bytes) -> "Piece":
        """Read one that was put away, of one trace."""
        message = ResourceSpans.FromString(data)
        traces = [span.trace_id for scope in message.scope_spans for span in scope.spans]
        return cls(traces[0] if traces else b"", data, len(traces), _failed(message))

    @property
    def origin(self) -> None:
        """Who made it stands in it."""

    @property
    def mark(self) -> None:
        """It is in no file that is read again."""

    def whole(self) -> bytes:
        """Return it as it came."""
        return self.data


def taken_apart(data: bytes, known: Callable[[bytes], bool]) -> list[Piece]:
    """Return the pieces of an encoded ResourceSpans: one for each trace that is `known`, and one for the rest.

    Nothing is lost of what only a newer protocol knows: the pieces are copies with fewer spans.
    """
    whole = ResourceSpans.FromString(data)
    traces = {span.trace_id for scope in whole.scope_spans for span in scope.spans}
    ours = [trace_id for trace_id in traces if known(trace_id)]
    if not ours:
        return [Piece(b"", data, _amount(whole))]
    pieces = [_only(whole, trace_id, {trace_id}) for trace_id in ours]
    rest = traces.difference(ours)
    return [*pieces, _only(whole, b"", rest)] if rest else pieces


def chosen(data: bytes, choose: Callable[[str], int | None]) -> tuple[bytes, int]:
    """Return the spans of which `choose`, given their tracestate, says a threshold, with it; and how many they are."""
    message = ResourceSpans.FromString(data)
    for scope in message.scope_spans:
        kept = []
        for span in scope.spans:
            threshold = choose(span.trace_state)
            if threshold is not None:
                span.trace_state = with_threshold(span.trace_state, threshold if threshold >= 0 else None)
                kept.append(span)
        _replace(scope, kept)
    return message.SerializeToString(), _amount(message)


def _only(whole: Any, trace_id: bytes, wanted: set[bytes]) -> Piece:
    message = ResourceSpans()
    message.CopyFrom(whole)
    for scope in message.scope_spans:
        _replace(scope, [span for span in scope.spans if span.trace_id in wanted])
    empty = [at for at, scope in enumerate(message.scope_spans) if not scope.spans]
    for at in reversed(empty):
        del message.scope_spans[at]
    return Piece(trace_id, message.SerializeToString(), _amount(message), _failed(message))


def _failed(message: Any) -> bool:
    return any(span.status.code == ERROR for scope in message.scope_spans for span in scope.spans)


def _replace(scope: Any, spans: list[Any]) -> None:
    if len(spans) < len(scope.spans):
        copies = [type(span).FromString(span.SerializeToString()) for span in spans]
        del scope.spans[:]
        scope.spans.extend(copies)


def _amount(message: Any) -> int:
    return sum(len(scope.spans) for scope in message.scope_spans)
