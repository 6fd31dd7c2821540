"""The headers of a request, where they are known and where they have to be looked up first."""

from collections.abc import Callable
from typing import Protocol

from hoptrace_collector.settings import Secret

__all__ = ["Headers", "KnownHeaders", "LookedUpHeaders", "Pairs", "Unknown"]

Pairs = tuple[tuple[str, Secret], ...]


class Unknown(Exception):
    """A header could not be looked up; nothing may be sent without it."""


class Headers(Protocol):
    """What every request to a destination carries."""

    def get(self, deadline: float) -> list[tuple[str, str]]:
        """Return names and values, before `deadline` (monotonic); raises Unknown."""

    def renew(self, deadline: float) -> bool:
        """After a refusal: look up again, and tell whether it is worth asking once more."""


class KnownHeaders:
    """Headers as they are set."""

    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs

    def get(self, deadline: float) -> list[tuple[str, str]]:
        """Return them."""
        del deadline
        return [(name, value.reveal()) for name, value in self._pairs]

    def renew(self, deadline: float) -> bool:
        """They do not change."""
        del deadline
        return False


class LookedUpHeaders:
    """Headers of which some refer to secrets; `resolve(value, deadline, anew)` gives what a value stands for.

    It raises an exception whose text says what to do; `say(cause, line)` tells the user, once.
    """

    def __init__(
        self, pairs: Pairs, resolve: Callable[[str, float, bool], str], say: Callable[[str, str], None]
    ) -> None:
        self._pairs = pairs
        self._resolve = resolve
        self._say = say
        self._last: list[tuple[str, str]] = []

    def get(self, deadline: float) -> list[tuple[str, str]]:
        """Return them with the secrets in them."""
        self._last = self._look_up(deadline, anew=False)
        return self._last

    def renew(self, deadline: float) -> bool:
        """Look up again: a secret that was rotated is another one."""
        before = self._last
        try:
            self._last = self._look_up(deadline, anew=True)
        except Unknown:
            return False
        return self._last != before

    def _look_up(self, deadline: float, *, anew: bool) -> list[tuple[str, str]]:
        out = []
        for name, value in self._pairs:
            try:
                out.append((name, self._resolve(value.reveal(), deadline, anew)))
            except Exception as error:
                self._say(f"header {name}", f"the header {name} is not known yet: {error}. Until then nothing is sent")
                raise Unknown(f"its header {name} could not be looked up") from None
        return out
