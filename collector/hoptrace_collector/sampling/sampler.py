"""Holds the spans of each invocation until it is over, and decides then whether they are exported.

One decision for an invocation: a rule keeps it whole, its `tracestate` as it came. What no rule keeps is left to
chance, trace by trace (a batch may have records of many), so that every function decides the same about a trace; what
is kept so carries the threshold that it has passed.

What is held is bounded. An invocation that has too much is decided by what is known of it so far, and what follows of
it shares that decision; but should it end in a way that a rule keeps, its own span is kept for that.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from hoptrace_collector.complete import Finished
from hoptrace_collector.counters import SAMPLED_OUT, Counters
from hoptrace_collector.export.encode import without_trace_state
from hoptrace_collector.model import ERROR, Begin, Origin, Span
from hoptrace_collector.pipeline.queue import Item
from hoptrace_collector.receive.records import HELD, RULE, SHARE, Mark
from hoptrace_collector.sampling.foreign import Piece, chosen, taken_apart
from hoptrace_collector.sampling.held import Group, Held, all_held, any_failed
from hoptrace_collector.sampling.probability import (
    ERASED,
    chance_of,
    decide,
    threshold_of,
    threshold_passed,
    with_threshold,
)
from hoptrace_collector.sampling.rules import Facts, keeps
from hoptrace_collector.settings.sampling import Sampling

__all__ = ["Sampler"]

_MOST_DECIDED = 256


class _Decision(NamedTuple):
    """`kept`: by a rule, all of it; else chance decides, which is `chance` in the invocation's own trace.

    `early`: before it was over.
    """

    kept: bool
    trace_id: bytes = b""
    chance: int = 0
    early: bool = False


class Sampler:
    """Takes whole spans in and `put`s those on that are to be exported.

    `limit` is in bytes, `now` nanoseconds since the epoch.
    """

    def __init__(
        self,
        sampling: Sampling,
        limit: int,
        counters: Counters,
        put: Callable[[Item], None],
        now: Callable[[], int],
    ) -> None:
        self._rules = sampling.keep
        self._threshold = threshold_of(sampling.ratio)
        self._limit = limit
        self._counters = counters
        self._put = put
        self._now = now
        self._size = 0
        self._open: dict[str, Group] = {}
        # Spans of an invocation that is decided: they follow it, unless they turn out to be of the next attempt.
        self._after: dict[str, Group] = {}
        self._decided: dict[str, _Decision] = {}
        self._traces: dict[bytes, str] = {}
        self._pending: dict[int, str] | None = None

    # What one generation leaves to the next.

    def resume(
        self, begins: Iterable[Begin], pending: dict[int, str] | None, held: Iterable[tuple[str, Origin | None, bytes]]
    ) -> None:
        """Take over what an earlier generation has left undecided.

        `pending`: the places in the file of what was neither sent nor sampled out, and how it was decided; None where
        nobody sampled. `held`: request id, origin and the encoded span, of what is in no file; without an origin it
        is somebody else's.
        """
        self._pending = pending
        for begin in begins:
            self.began(begin)
        for request_id, origin, data in held:
            group = self._open.setdefault(request_id, Group())
            if origin is None:
                self._hold_foreign(group, Piece.of(data))
                continue
            bare, span = without_trace_state(data)
            each = Held(origin, bare, span.trace_id, span.trace_state, None)
            self._hold(group, each, failed=span.status.code == ERROR)

    def left(self) -> list[tuple[str, Held | Piece]]:
        """Return what is undecided, each with its request id."""
        return list(all_held([*self._open.items(), *self._after.items()]))

    def unread(self, offset: int) -> list[tuple[int, str]]:
        """Return what an earlier generation has left that stands from `offset` on, where nobody has read again yet."""
        return [each for each in (self._pending or {}).items() if each[0] >= offset]

    # What happens.

    def began(self, begin: Begin) -> None:
        """An invocation has begun. What has come with its request id since the last one ended is its own."""
        group = self._after.pop(begin.request_id, None) or self._open.get(begin.request_id) or Group()
        group.begin = begin
        self._open[begin.request_id] = group
        self._decided.pop(begin.request_id, None)
        self._trace(begin.span.trace_id, begin.request_id)

    def take(
        self, finished: Finished, mark: Mark | None, request_id: str, *, ended: bool = False, seen: bool = False
    ) -> None:
        """Take spans in; `request_id` is their record's, where there is one.

        `ended`: the invocation is over by it, even where `finished` does not tell which. `seen`: an earlier
        generation has had them.
        """
        if seen and self._pending is not None:
            decided = self._pending.get(mark.offset) if mark is not None else None
            if decided is None:
                return  # it was sent or sampled out
            if decided != HELD:
                self._again(finished, mark, decided)
                return
        invocation = finished.invocation
        if invocation is not None:
            self._end(invocation.request_id, finished, mark)
            return
        if ended or not request_id:
            # Without a record it was closed here, for the last time; without an invocation it stands alone.
            self._end(request_id or _request_id(finished.spans), finished, mark)
            return
        for span in finished.spans:
            group = (self._after if request_id in self._decided else self._open).setdefault(request_id, Group())
            self._hold(group, Held.of(finished.origin, span, mark), failed=any_failed([span]))

    def take_foreign(self, data: bytes) -> None:
        """Take in an encoded ResourceSpans of somebody else's; what belongs to no invocation of here is put on."""
        for piece in taken_apart(data, self._traces.__contains__):
            request_id = self._traces.get(piece.trace_id)
            if request_id is None:
                self._put(Item(None, piece.data, amount=piece.amount))
            elif (group := self._open.get(request_id)) is not None:
                self._hold_foreign(group, piece)
            elif (decision := self._decided.get(request_id)) is not None:
                self._release_foreign(decision, piece)
            else:
                self._put(Item(None, piece.data, amount=piece.amount))

    def settle(self) -> None:
        """Everything that there was has been read: what came after a decision follows it."""
        after, self._after = self._after, {}
        for request_id, group in after.items():
            self._release(self._decided.get(request_id) or _Decision(kept=True), group)

    def shutdown(self) -> None:
        """Nothing more will come: decide about what never had an end, nor a beginning."""
        self.settle()
        for request_id in list(self._open):
            self._early(request_id)

    # Deciding.

    def _end(self, request_id: str, finished: Finished, mark: Mark | None) -> None:
        """Decide: the invocation is over, or the spans belong to none."""
        group = (self._open.pop(request_id, None) if request_id else None) or Group()
        failed = group.failed or any_failed(finished.spans)
        invocation, own = finished.invocation, finished.spans[:1]
        if invocation is not None:
            facts = Facts.of(invocation, failed=failed)
        else:
            own_attributes = own[0].attributes if own else {}
            facts = Facts("", failed, 0.0, own_attributes, finished.origin.resource)
        before = self._decided.get(request_id)
        kept = keeps(self._rules, facts) or (before is not None and before.early and before.kept)
        decision = _Decision(kept)
        if own:
            decision = _Decision(kept, own[0].trace_id, chance_of(own[0].trace_id, own[0].trace_state))
        if request_id:
            self._decide(request_id, decision)
        self._release(decision, group)
        for span in finished.spans:
            self._release_span(decision, Held.of(finished.origin, span, mark))

    def _early(self, request_id: str) -> None:
        """Decide by what is known so far."""
        group = self._open.pop(request_id)
        facts = Facts.so_far(group.begin, failed=group.failed, now=self._now())
        decision = _Decision(keeps(self._rules, facts), early=True)
        span = group.begin.span if group.begin is not None else None
        if span is not None:
            decision = decision._replace(trace_id=span.trace_id, chance=chance_of(span.trace_id, span.trace_state))
        self._decide(request_id, decision)
        self._release(decision, group)

    def _decide(self, request_id: str, decision: _Decision) -> None:
        self._decided.pop(request_id, None)
        self._decided[request_id] = decision
        self._trace(decision.trace_id, request_id)
        while len(self._decided) > _MOST_DECIDED:
            del self._decided[next(iter(self._decided))]

    def _trace(self, trace_id: bytes, request_id: str) -> None:
        if trace_id:
            self._traces.pop(trace_id, None)
            self._traces[trace_id] = request_id
        while len(self._traces) > _MOST_DECIDED:
            del self._traces[next(iter(self._traces))]

    # Holding.

    def _hold(self, group: Group, held: Held, *, failed: bool) -> None:
        group.hold(held, failed=failed)
        self._grown(held.size)

    def _hold_foreign(self, group: Group, piece: Piece) -> None:
        before = group.size
        group.hold_foreign(piece)
        self._grown(group.size - before)

    def _grown(self, size: int) -> None:
        self._size += size
        if self._size > self._limit:
            self.settle()
        while self._size > self._limit and self._open:
            self._early(max(self._open, key=lambda request_id: self._open[request_id].size))

    # Putting on.

    def _release(self, decision: _Decision, group: Group) -> None:
        self._size -= group.size
        for held in group.spans:
            self._release_span(decision, held)
        for piece in group.foreign:
            self._release_foreign(decision, piece)

    def _release_span(self, decision: _Decision, held: Held) -> None:
        if decision.kept:
            self._put(Item(held.origin, held.whole(), _decided_mark(held.mark, RULE)))
            return
        threshold = self._chosen(decision, held.trace_id, held.trace_state)
        if threshold is None:
            self._counters.add(SAMPLED_OUT)
            return
        state = with_threshold(held.trace_state, threshold if threshold != ERASED else None)
        self._put(Item(held.origin, held.whole(state), _decided_mark(held.mark, SHARE)))

    def _release_foreign(self, decision: _Decision, piece: Piece) -> None:
        data, amount = piece.data, piece.amount
        if not decision.kept:
            data, amount = chosen(piece.data, lambda state: self._chosen(decision, piece.trace_id, state))
        if piece.amount > amount:
            self._counters.add(SAMPLED_OUT, "", piece.amount - amount)
        if amount:
            self._put(Item(None, data, amount=amount))

    def _chosen(self, decision: _Decision, trace_id: bytes, trace_state: str) -> int | None:
        """Return the threshold that a span has passed now, `ERASED` where nobody can know it, None if it has not."""
        chance = decision.chance if trace_id == decision.trace_id else chance_of(trace_id, trace_state)
        return decide(chance, self._threshold, trace_state)

    def _again(self, finished: Finished, mark: Mark | None, decided: str) -> None:
        """Put on what an earlier generation has decided and could not send."""
        for span in finished.spans:
            held = Held.of(finished.origin, span, mark)
            passed = threshold_passed(span.trace_state)
            state = span.trace_state
            if decided == SHARE:
                broken = passed is not None and chance_of(span.trace_id, state) < passed
                state = with_threshold(state, None if broken else max(passed or 0, self._threshold))
            self._put(Item(held.origin, held.whole(state), _decided_mark(mark, decided)))


def _request_id(spans: list[Span]) -> str:
    """Return the request id that a span itself has."""
    found = spans[0].attributes.get("faas.invocation_id") if spans else ""
    return found if isinstance(found, str) else ""


def _decided_mark(mark: Mark | None, decided: str) -> Mark | None:
    return None if mark is None else mark._replace(decided=decided)
