"""Counts the attempts at a request that died with their process; those of a living process the tracer counts itself."""

from hoptrace_collector.model import Span

__all__ = ["Attempts"]

_MOST = 16
_ATTEMPT = "hoptrace.invocation.attempt"


class Attempts:
    """By request, the last few."""

    def __init__(self) -> None:
        self._died: dict[str, int] = {}

    def count(self, request_id: str, span: Span) -> int:
        """Return which attempt an invocation was, and say so in its span when it was not the first."""
        counted = span.attributes.get(_ATTEMPT, 1)
        attempt = self._died.get(request_id, 0) + (counted if isinstance(counted, int) else 1)
        if attempt > 1:
            span.attributes[_ATTEMPT] = attempt
        return attempt

    def died(self, request_id: str, attempt: int) -> None:
        """Remember that this attempt did not come back."""
        self._died[request_id] = attempt
        while len(self._died) > _MOST:
            del self._died[next(iter(self._died))]

    def told(self) -> list[str]:
        """Return what the next generation has to know, as `request_id xN`."""
        return [f"{request_id} x{attempt}" for request_id, attempt in self._died.items()]

    def resume(self, request_id: str, attempt: str) -> bool:
        """Take over one of them by its two words; whether it was one."""
        if attempt[:1] != "x" or not attempt[1:].isdigit():
            return False
        self._died[request_id] = int(attempt[1:])
        return True
