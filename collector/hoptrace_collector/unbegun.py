"""Invocations that the shell has written down because their function died at once, perhaps before it recorded any.

The collector of the same generation has them from the shell as well. When it has no time to start before Lambda kills
it, the next one finds them here.
"""

from collections.abc import Iterable

from hoptrace_collector.model import Begin
from hoptrace_collector.told import Invoke

__all__ = ["Unbegun", "belong_together"]

_MOST = 64
_SAME_DEADLINE_MS = 2_000


class Unbegun:
    """What was handed out, as far as nothing else is known of it."""

    def __init__(self) -> None:
        self._waiting: list[Invoke] = []
        self._came_back = ("", 0)

    def came_back(self, request_id: str, deadline_ms: int) -> None:
        """This invocation has ended; its deadline is 0 when unknown."""
        self._came_back = (request_id, deadline_ms)

    def handed_out(self, event: Invoke, opened: Iterable[Begin]) -> None:
        """Note an event, unless its invocation is known to have begun."""
        request_id, deadline_ms = self._came_back
        over = request_id == event.request_id and _close(deadline_ms, event.deadline_ms)
        if not over and not any(belong_together(begin, event) for begin in opened) and len(self._waiting) < _MOST:
            self._waiting.append(event)

    def take(self, known: Invoke | None) -> list[Invoke]:
        """Return those that only an earlier generation has had; `known` is the last event of this one."""
        waiting, self._waiting = self._waiting, []
        return [
            event
            for event in waiting
            if known is None or event.request_id != known.request_id or not _close(known.deadline_ms, event.deadline_ms)
        ]


def belong_together(begin: Begin, event: Invoke) -> bool:
    """Whether a begin record is of this very event: a retried request keeps its id, but not its deadline."""
    return begin.request_id == event.request_id and _close(begin.deadline_ms, event.deadline_ms)


def _close(one_ms: int, other_ms: int) -> bool:
    return not one_ms or abs(one_ms - other_ms) < _SAME_DEADLINE_MS
