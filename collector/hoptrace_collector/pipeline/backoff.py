"""Decides when a backend that failed is asked again.

After an invocation there is no waiting: one attempt, and the next not before the pause is over, so that a dead backend
costs an environment a bounded share of its time. Each attempt that runs into its time limit also gets a shorter limit
for the next.
"""

from collections.abc import Callable

__all__ = ["Backoff"]

_FIRST, _LONGEST = 1.0, 60.0
_SHORTEST_ATTEMPT = 0.5


class Backoff:
    """Exponential pauses with jitter: the n-th failure in a row waits 0.5 to 1 times 2^(n-1) seconds, at most 60."""

    def __init__(self, clock: Callable[[], float], random: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds, `random` a number in [0, 1)."""
        self._clock = clock
        self._random = random
        self._failures = 0
        self._not_before = 0.0

    def failed(self, wait: float = 0.0) -> float:
        """Note a failure; the pause is at least `wait` seconds. Returns the pause."""
        pause = min(_LONGEST, _FIRST * 2.0 ** min(self._failures, 10)) * (0.5 + self._random() / 2)
        self._failures += 1
        pause = max(pause, wait)
        self._not_before = self._clock() + pause
        return pause

    def succeeded(self) -> None:
        """Note that the backend answers again."""
        self._failures = 0
        self._not_before = 0.0

    @property
    def pausing(self) -> bool:
        """Whether it is too early for another attempt."""
        return self._clock() < self._not_before

    def attempt(self, timeout: float) -> float:
        """Return how long the next attempt may take: half as long after each failure, but at least 0.5 s."""
        return max(min(timeout, _SHORTEST_ATTEMPT), timeout / 2.0 ** min(self._failures, 10))
