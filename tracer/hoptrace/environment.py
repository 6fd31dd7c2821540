"""How this environment came to be: initialised while somebody waited, ahead of demand, or restored from a snapshot.

The first invocation is cold when it waited for that. What it waited for is then a child of its span, older than it;
what nobody waited for is a trace of its own, at its true time, which may be days before the first invocation.
"""

from __future__ import annotations

import time

from .spans import INTERNAL, Span
from .spans.context import SpanContext
from .spans.span import new_span_id, new_trace_id, root_context

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Callable

    from .settings import Settings


AHEAD = 10_000_000_000
"""Nanoseconds between a ready handler and its first invocation from which the environment counts as initialised ahead
of demand: Lambda does that on its own, and nobody waited for that start."""

SNAP_START = "snap-start"
_ON_DEMAND = ("", "on-demand")


class Environment:
    """The beginning of one process; times are nanoseconds since the epoch.

    Args:
        started: when this process started.
        in_lambda: whether the runtime client runs here.
        clock: nanoseconds since the epoch.
    """

    def __init__(
        self, settings: Settings, *, started: int, in_lambda: bool, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._settings = settings
        self._started = started
        self._in_lambda = in_lambda
        self._clock = clock
        self._ready = 0
        self._restored = 0
        self._owed = in_lambda  # whether the initialisation (or the restore) has not been told yet
        self.waited = False

    def ready(self) -> None:
        """The handler is loaded; what follows until the first event is not initialisation."""
        self._ready = self._clock()

    def restored(self) -> None:
        """The snapshot runs again, and hooks may follow; nothing that was a time before it means anything now."""
        self._restored = self._started = self._ready = self._clock()
        self._owed = True

    def rests(self) -> Span | None:
        """The runtime client asks for its first event; the span of an initialisation that nobody waits for.

        An on-demand environment, or a restored one, still has to see how soon the first event comes.
        """
        if not self._owed:
            return None
        if self._restored:
            if self._ready == self._restored:
                self._ready = self._clock()
            return None
        if self._settings.initialization_type in _ON_DEMAND:
            return None
        return self._alone()

    def first(self, invocation: Span) -> Span | None:
        """The span that the first invocation brings along, its child where it waited; `waited` says whether it did."""
        if not self._owed:
            self.waited = False
            return None
        kind = self._settings.initialization_type
        waits = kind in _ON_DEMAND or (kind == SNAP_START and self._restored != 0)
        self.waited = waits and invocation.start - (self._ready or invocation.start) < AHEAD
        if not self.waited:
            return self._alone()
        self._owed = False
        context = invocation.context.child(new_span_id())
        return self._span(context, invocation.context.span_id, invocation.start, invocation.request_id)

    def _alone(self) -> Span:
        """A trace of its own, with all that tells whose it is: no record of an invocation need have come before it."""
        self._owed = False
        span = self._span(root_context(new_trace_id(), new_span_id()), "", self._ready or self._clock(), "")
        span.attributes["aws.lambda.initialization_type"] = self._settings.initialization_type or "on-demand"
        span.resource = dict(self._settings.resource)
        return span

    def _span(self, context: SpanContext, parent_id: str, latest: int, request_id: str) -> Span:
        name = "restore" if self._restored else "init"
        start = min(self._started, latest)
        # Written whether sampled or not: the metric of its duration is made of it.
        span = Span(name, INTERNAL, context, parent_id, start, request_id)
        span.attributes[f"hoptrace.{name}"] = True
        span.end_time = max(start, min(self._ready or latest, latest))
        return span
