"""Keeps which operations the policy has not allowed, until the invocation that tried them is over and judged.

Metrics count them as they are read; alerts are about invocations.
"""

from hoptrace_collector.model import Denied, Invocation

__all__ = ["Denials"]

_MOST_INVOCATIONS = 64
_MOST_OPERATIONS = 16


class Denials:
    """What is known of invocations that are not over."""

    def __init__(self) -> None:
        self._by_request: dict[str, list[Denied]] = {}

    def take(self, record: Denied) -> None:
        """Take in what was read; each operation of an invocation once."""
        found = self._by_request.setdefault(record.request_id, [])
        if record not in found and len(found) < _MOST_OPERATIONS:
            found.append(record)
        while len(self._by_request) > _MOST_INVOCATIONS:
            del self._by_request[next(iter(self._by_request))]

    def of(self, invocation: Invocation) -> Invocation:
        """Return the invocation with what was denied to it."""
        found = self._by_request.pop(invocation.request_id, None)
        return invocation._replace(denied=tuple(found)) if found else invocation
