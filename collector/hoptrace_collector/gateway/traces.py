"""Samples whole traces, when all their functions have had time to tell: what no single function can decide.

Spans are held by trace for a time after the first of them. Then a rule keeps all of the trace, or chance decides, the
same chance as everywhere (`sampling.probability`), so that a trace that a function's collector has kept with 0.1 is
kept here with 0.1 or more. The decision is remembered for a while: what comes later goes the same way.

What is held is bounded in bytes; what is there for the longest is decided early then.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from hoptrace_collector.counters import SAMPLED_OUT, Counters
from hoptrace_collector.model import ERROR
from hoptrace_collector.otlp_request import Part
from hoptrace_collector.sampling.foreign import chosen
from hoptrace_collector.sampling.probability import chance_of, decide, threshold_of
from hoptrace_collector.sampling.rules import Facts, keeps
from hoptrace_collector.settings.sampling import Sampling

__all__ = ["Traces"]

_ENTRIES = (2, 5)  # SERVER, CONSUMER: what an invocation is, or any other service's answer to somebody
_MOST_DECIDED = 100_000
# What the heads of one resource may grow to when its spans are laid apart by trace.
_MOST_HEADS = 16 * 1024 * 1024
_OVERHEAD = 400


class Piece(NamedTuple):
    """An encoded ResourceSpans with spans of one trace."""

    trace_id: bytes
    data: bytes
    amount: int
    keep: bool


class _Held:
    __slots__ = ("due", "keep", "parts", "size")

    def __init__(self, due: float) -> None:
        self.due = due
        self.keep = False
        self.parts: list[Part] = []
        self.size = _OVERHEAD


class Traces:
    """Holds traces for `wait` seconds, at most `limit` bytes of them; `size` is how many there are."""

    def __init__(self, sampling: Sampling, wait: float, limit: int, counters: Counters) -> None:
        self._rules = sampling.keep
        self._threshold = threshold_of(sampling.ratio)
        self._wait = wait
        self._limit = limit
        self._counters = counters
        self.size = 0
        # In the order in which they are due.
        self._held: OrderedDict[bytes, _Held] = OrderedDict()
        self._decided: OrderedDict[bytes, bool] = OrderedDict()

    def take(self, parts: Iterable[Part], now: float) -> list[Part]:
        """Take in encoded ResourceSpans; returns what is to be sent of it, and of what it has pushed out.

        `now` is a time of the monotonic clock.
        """
        out: list[Part] = []
        for part in parts:
            pieces = list(self._apart(part))
            if not pieces:
                out.append(part)
            for piece in pieces:
                out += self._add(piece, now)
        while self.size > self._limit:
            self._counters.add("traces_early")
            out += self._decide(next(iter(self._held)))
        return out

    def due(self, now: float, *, last: bool = False) -> list[Part]:
        """Return what is to be sent of the traces that have waited long enough, or at the `last` of all."""
        out: list[Part] = []
        while self._held:
            trace_id = next(iter(self._held))
            if not last and self._held[trace_id].due > now:
                break
            out += self._decide(trace_id)
        return out

    def _add(self, piece: Piece, now: float) -> list[Part]:
        decided = self._decided.get(piece.trace_id)
        if decided is not None:
            if piece.keep and not decided:  # too late for the rest; from here on it is kept
                self._decided[piece.trace_id] = decided = True
            self._decided.move_to_end(piece.trace_id)
            return self._choose(piece.trace_id, [Part(piece.data, piece.amount)], kept=decided)
        held = self._held.get(piece.trace_id)
        if held is None:
            held = self._held[piece.trace_id] = _Held(now + self._wait)
            self.size += held.size
        held.keep |= piece.keep
        held.parts.append(Part(piece.data, piece.amount))
        held.size += len(piece.data)
        self.size += len(piece.data)
        return []

    def _decide(self, trace_id: bytes) -> list[Part]:
        held = self._held.pop(trace_id)
        self.size -= held.size
        self._decided[trace_id] = held.keep
        while len(self._decided) > _MOST_DECIDED:
            self._decided.popitem(last=False)
        return self._choose(trace_id, held.parts, kept=held.keep)

    def _choose(self, trace_id: bytes, parts: list[Part], *, kept: bool) -> list[Part]:
        if kept:
            return parts

        def choose(trace_state: str) -> int | None:
            return decide(chance_of(trace_id, trace_state), self._threshold, trace_state)

        out = []
        for part in parts:
            data, amount = chosen(part.data, choose)
            if amount:
                out.append(Part(data, amount))
            if part.amount > amount:
                self._counters.add(SAMPLED_OUT, "", part.amount - amount)
        return out

    def _apart(self, part: Part) -> Iterator[Piece]:
        """Give a part by trace; nothing when it is too large for that."""
        whole = ResourceSpans.FromString(part.data)
        spans = [span for scope in whole.scope_spans for span in scope.spans]
        traces = {span.trace_id for span in spans}
        if len(traces) <= 1:
            for trace_id in traces:
                yield Piece(trace_id, part.data, part.amount, self._keeps(whole))
            return
        head = _head(whole, "scope_spans")
        heads = [_head(scope, "spans") for scope in whole.scope_spans]
        if (head.ByteSize() + sum(each.ByteSize() for each in heads)) * len(traces) > _MOST_HEADS:
            self._counters.add("traces_whole", "", part.amount)
            return
        for trace_id, message in _laid_apart(whole, head, heads).items():
            amount = sum(len(scope.spans) for scope in message.scope_spans)
            yield Piece(trace_id, message.SerializeToString(), amount, self._keeps(message))

    def _keeps(self, message: Any) -> bool:
        return any(
            keeps(self._rules, _facts(span, message.resource))
            for scope in message.scope_spans
            for span in scope.spans
            if span.kind in _ENTRIES or span.status.code == ERROR
        )


def _head(message: Any, below: str) -> Any:
    """Return a copy of a message without what hangs from it; what only a newer protocol knows is in it."""
    copy = type(message)()
    copy.CopyFrom(message)
    del getattr(copy, below)[:]
    return copy


def _laid_apart(whole: Any, head: Any, heads: list[Any]) -> dict[bytes, Any]:
    out: dict[bytes, Any] = {}
    last: dict[bytes, int] = {}
    for number, scope in enumerate(whole.scope_spans):
        for span in scope.spans:
            message = out.get(span.trace_id)
            if message is None:
                message = out[span.trace_id] = type(head).FromString(head.SerializeToString())
            if last.get(span.trace_id) != number:
                last[span.trace_id] = number
                message.scope_spans.add().CopyFrom(heads[number])
            message.scope_spans[-1].spans.add().CopyFrom(span)
    return out


def _facts(span: Any, resource: Any) -> Facts:
    """What is known of a span: the outcome of an invocation is in its `error.type` and status."""
    attributes = _plain(span.attributes)
    failed = span.status.code == ERROR
    outcome = ""
    if span.kind in _ENTRIES:
        kind = str(attributes.get("error.type", ""))
        if kind == "timeout":
            outcome = "timeout"
        elif kind.startswith("Runtime.") and attributes.get("hoptrace.closed_by") == "collector":
            outcome = "crash"
        else:
            outcome = "error" if failed else "ok"
    seconds = max(0, span.end_time_unix_nano - span.start_time_unix_nano) / 1e9 if span.kind in _ENTRIES else 0.0
    of_entry = attributes if span.kind in _ENTRIES else {}
    return Facts(outcome, failed, seconds, of_entry, tuple(_plain(resource.attributes).items()))


def _plain(attributes: Any) -> dict[str, Any]:
    return {each.key: _value(each.value) for each in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind in ("string_value", "bool_value", "int_value", "double_value") else ""
