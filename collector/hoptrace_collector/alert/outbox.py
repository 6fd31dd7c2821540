"""Events on their way: kept until EventBridge has taken them, within a bound, and told why where it will not."""

from collections.abc import Callable
from typing import Any, Protocol

from hoptrace_collector.alert.eventbridge import MOST_ENTRIES, Answer
from hoptrace_collector.counters import Counters

__all__ = ["Channel", "Outbox"]

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_DENIED = ("AccessDeniedException", "AccessDenied", "UnrecognizedClientException", "InvalidSignatureException")


class Channel(Protocol):
    """Where events go."""

    def put(self, entries: list[dict[str, Any]], deadline: float) -> list[Answer]:
        """Send at most ten entries; an answer for each."""


class Outbox:
    """What has not been delivered, `most` at a time; `what` is what it counts as: `alerts`, `summaries`."""

    def __init__(
        self,
        what: str,
        bus: str,
        channel: Channel,
        counters: Counters,
        *,
        most: int,
        clock: Callable[[], float],
    ) -> None:
        self._what = what
        self._bus = bus
        self._channel = channel
        self._counters = counters
        self._most = most
        self._clock = clock
        self._not_before = 0.0
        self._pause = _FIRST_PAUSE
        self.entries: list[dict[str, Any]] = []

    def put(self, entry: dict[str, Any]) -> None:
        """Take an entry; the oldest goes where there is no room."""
        self.entries.append(entry)
        while len(self.entries) > self._most:
            del self.entries[0]
            self._counters.add(f"{self._what}_dropped", "queue_full")

    def load(self, value: object) -> None:
        """Take over what an earlier generation could not deliver."""
        entries = [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
        self.entries = [*entries, *self.entries][-self._most :]

    def deliver(self, deadline: float, *, last: bool = False) -> bool:
        """Send before `deadline` (monotonic); tell whether anything has left.

        `last`: do not heed the pause after a failure.
        """
        if not self.entries or (self._clock() < self._not_before and not last):
            return False
        moved = False
        while self.entries and self._clock() < deadline:
            entries = self.entries[:MOST_ENTRIES]
            answers = self._channel.put(entries, deadline)
            again = [entry for entry, answer in zip(entries, answers, strict=True) if self._wants_again(answer)]
            self.entries[: len(entries)] = again
            moved = moved or len(again) < len(entries)
            if again:
                self._not_before = self._clock() + self._pause
                self._pause = min(_LONGEST_PAUSE, self._pause * 2)
                return moved
            self._pause = _FIRST_PAUSE
        return moved

    def _wants_again(self, answer: Answer) -> bool:
        if not answer.error:
            self._counters.add(f"{self._what}_sent")
            return False
        one = "an alert" if self._what == "alerts" else "a summary"
        if answer.retryable:
            self._counters.add(f"{self._what}_failed", answer.error)
            self._counters.say(
                f"{self._what} {answer.error}", f"EventBridge did not take {one} ({answer.message}); kept for later"
            )
            return True
        self._counters.add(f"{self._what}_dropped", answer.error)
        if answer.error in _DENIED:
            line = (
                f"EventBridge refused {one} ({answer.error}): the function's role needs the permission "
                f"events:PutEvents on the event bus {self._bus}"
            )
        else:
            line = f"EventBridge refused {one} for good ({answer.error}: {answer.message})"
        self._counters.say(f"{self._what} {answer.error}", line)
        return False
