"""Decides when a destination that failed is tried again, and whether an invocation may be held up for it.

Closed: sent to whenever it is time. After the second failure in a row it opens: then no invocation waits for the
destination any more, which is tried only while a function works, or by who has nothing to hold up. A pause that grows
lies between two such probes. The first that is answered, and soon enough, closes it.

So a destination that swallows everything (a VPC without a way out) holds up an environment for one attempt of the time
that may be spent after a response, and one of half of it.
"""

import os
from collections.abc import Callable

__all__ = ["OPENS_AT", "Breaker", "jitter"]

OPENS_AT = 2

_FIRST, _LONGEST = 1.0, 60.0


def jitter() -> float:
    """Return a number in [0, 1); the module `random` would cost more than all it is wanted for."""
    return int.from_bytes(os.urandom(2), "big") / 65536


class Breaker:
    """Pauses with jitter: the n-th failure in a row waits 0.5 to 1 times 2^(n-1) seconds, at most 60."""

    def __init__(self, clock: Callable[[], float], random: Callable[[], float] = jitter) -> None:
        """`clock` gives monotonic seconds, `random` a number in [0, 1)."""
        self._clock = clock
        self._random = random
        self._failures = 0
        self._slow = False
        self._not_before = 0.0

    @property
    def open(self) -> bool:
        """Whether no invocation may be held up."""
        return self._slow or self._failures >= OPENS_AT

    @property
    def pausing(self) -> bool:
        """Whether it is too early for another attempt."""
        return self._clock() < self._not_before

    def limit(self, timeout: float) -> float:
        """Return how long an attempt may hold an invocation up that might take `timeout`: half after a failure."""
        return timeout / 2.0 ** min(self._failures, OPENS_AT)

    def failed(self, wait: float = 0.0) -> float:
        """Note a failure; the pause is at least `wait` seconds. Returns the pause."""
        pause = min(_LONGEST, _FIRST * 2.0 ** min(self._failures, 10)) * (0.5 + self._random() / 2)
        self._failures += 1
        pause = max(pause, wait)
        self._not_before = self._clock() + pause
        return pause

    def succeeded(self, *, slow: bool = False) -> None:
        """Note an answer. `slow`: it took longer than an invocation would have waited, so none shall."""
        self._failures = 0
        self._not_before = 0.0
        self._slow = slow

    def learn(self, other: "Breaker") -> None:
        """Take on what another signal has learnt about the same host: it does not answer."""
        if other._failures > self._failures:
            self._failures = other._failures
            self._not_before = max(self._not_before, other._not_before)
