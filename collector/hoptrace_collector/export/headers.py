"""The headers of a request, as they are set; `looked_up` has those that have to be looked up first."""

from hoptrace_collector.settings import Secret

__all__ = ["Headers", "Pairs", "Unknown"]

Pairs = tuple[tuple[str, Secret], ...]


class Unknown(Exception):
    """A header could not be looked up; nothing may be sent without it."""


class Headers:
    """What every request to a destination carries.

    A class to derive from and no protocol, which would cost a start a millisecond.
    """

    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs

    def get(self, deadline: float) -> list[tuple[str, str]]:
        """Return names and values, before `deadline` (monotonic); raises Unknown."""
        del deadline
        return [(name, value.reveal()) for name, value in self._pairs]

    def renew(self, deadline: float) -> bool:
        """After a refusal: look up again, and tell whether it is worth asking once more."""
        del deadline
        return False
