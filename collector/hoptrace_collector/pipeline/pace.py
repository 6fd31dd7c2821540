"""Decides when is sent: at the end of an invocation, which holds the environment up, or while the next one works.

What is not sent at the end of an invocation is safe in the records file, and may have to wait there for the next event:
nothing runs between two invocations.
"""

from collections import deque
from collections.abc import Callable

from hoptrace_collector.settings import FlushStrategy

__all__ = ["FREQUENT", "Pace"]

# The mean time between the last events at which they count as frequent, how many are looked at, and how often is sent
# then, all in seconds. Ten milliseconds of sending after each of two events a second is two per cent of an environment
# that the user pays for; after one event in a minute it is nothing, and what it tells should not wait a minute.
FREQUENT = 10.0
_LOOKED_AT = 5
_EVERY = 5.0
# So much is not left waiting for its time, in bytes.
_MUCH = 512 * 1024
# A request that is nearly answered is waited for rather than frozen, in seconds.
_GRACE = 0.1


class Pace:
    """Answers at each moment whether to send. `clock` is seconds that go on through a freeze: the wall clock's."""

    def __init__(self, strategy: FlushStrategy, clock: Callable[[], float]) -> None:
        self._kind = strategy.kind
        self._every = strategy.every if strategy.kind != "adaptive" else _EVERY
        self._clock = clock
        self._events: deque[float] = deque(maxlen=_LOOKED_AT + 1)
        self._sent: float | None = None

    @property
    def frequent(self) -> bool:
        """Whether events come close after one another."""
        if len(self._events) <= _LOOKED_AT:
            return False
        return 0 <= self._events[-1] - self._events[0] <= FREQUENT * _LOOKED_AT

    @property
    def grace(self) -> float:
        """How long the end of an invocation waits for what is being sent in the background, in seconds."""
        return 0.0 if self._kind == "continuous" else _GRACE

    def event(self) -> None:
        """Note that the function has been given an event."""
        self._events.append(self._clock())

    def meanwhile(self, waiting: int) -> bool:
        """Whether to send the `waiting` bytes while the function works."""
        if self._kind == "continuous":
            return self._due(waiting)
        return self._kind == "adaptive" and self.frequent and self._due(waiting)

    def over(self) -> bool:
        """Whether to send now that an invocation is over, before the next event is asked for."""
        if self._kind == "periodic":
            return self._due(0)
        return self._kind == "end" or (self._kind == "adaptive" and not self.frequent)

    def sent(self) -> None:
        """Note that sending has begun."""
        self._sent = self._clock()

    def renew(self) -> None:
        """Begin anew: what was before was another environment's."""
        self._events.clear()
        self._sent = None

    def _due(self, waiting: int) -> bool:
        if self._sent is None or waiting >= _MUCH:
            return True
        # A clock that was set back is no reason to wait for it.
        return not 0 <= self._clock() - self._sent < self._every
