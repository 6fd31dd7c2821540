"""Watches invocations and sees that each state change reaches EventBridge.

The state lives in a file as well: a timeout, the very thing to be alarmed about, resets this process. What could not
be delivered waits there too, for the next attempt or the next generation.
"""

import json
import os
from collections.abc import Callable
from typing import Any, Protocol

from hoptrace_collector.alert.denied import evaluate_denied
from hoptrace_collector.alert.eventbridge import MOST_ENTRIES, Answer
from hoptrace_collector.alert.events import make_entry
from hoptrace_collector.alert.rules import States, evaluate, states_from_json, states_to_json
from hoptrace_collector.counters import Counters
from hoptrace_collector.model import Invocation

__all__ = ["Alerts"]

MOST_PENDING = 100
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_DENIED = ("AccessDeniedException", "AccessDenied", "UnrecognizedClientException", "InvalidSignatureException")


class Channel(Protocol):
    """Where alerts go."""

    def put(self, entries: list[dict[str, Any]], deadline: float) -> list[Answer]:
        """Send entries; an answer for each."""


class Alerts:
    """The rule's state and the events on their way. `function` is the name that alerts are about."""

    def __init__(
        self,
        path: str,
        bus: str,
        function: str,
        channel: Channel,
        counters: Counters,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._path = path
        self._bus = bus
        self._function = function
        self._channel = channel
        self._counters = counters
        self._clock = clock
        self._not_before = 0.0
        self._pause = _FIRST_PAUSE
        self._states, self._pending = self._load()

    @property
    def pending(self) -> int:
        """How many events have not been delivered."""
        return len(self._pending)

    def observe(self, invocation: Invocation) -> None:
        """Let the rule see an invocation that is over; a state change is written down at once."""
        function = self._function or invocation.attribute("faas.name") or "function"
        before = self._states
        self._states, changes = evaluate(before, invocation, function)
        self._states, denied = evaluate_denied(self._states, invocation, function)
        changes += denied
        if self._states is before:
            return
        for change in changes:
            self._pending.append(make_entry(change, self._bus))
        while len(self._pending) > MOST_PENDING:
            del self._pending[0]
            self._counters.add("alerts_dropped", "queue_full")
        self._save()

    def deliver(self, deadline: float, *, last: bool = False) -> None:
        """Send what is pending before `deadline` (monotonic); `last`: do not heed the pause after a failure."""
        if not self._pending or (self._clock() < self._not_before and not last):
            return
        while self._pending and self._clock() < deadline:
            entries = self._pending[:MOST_ENTRIES]
            answers = self._channel.put(entries, deadline)
            again = [entry for entry, answer in zip(entries, answers, strict=True) if self._wants_again(answer)]
            self._pending[: len(entries)] = again
            self._save()
            if again:
                self._not_before = self._clock() + self._pause
                self._pause = min(_LONGEST_PAUSE, self._pause * 2)
                return
            self._pause = _FIRST_PAUSE

    def _wants_again(self, answer: Answer) -> bool:
        if not answer.error:
            self._counters.add("alerts_sent")
            return False
        if answer.retryable:
            self._counters.add("alerts_failed", answer.error)
            self._counters.say(
                f"alert {answer.error}", f"EventBridge did not take an alert ({answer.message}); kept for later"
            )
            return True
        self._counters.add("alerts_dropped", answer.error)
        if answer.error in _DENIED:
            line = (
                f"EventBridge refused an alert ({answer.error}): the function's role needs the permission "
                f"events:PutEvents on the event bus {self._bus}"
            )
        else:
            line = f"EventBridge refused an alert for good ({answer.error}: {answer.message})"
        self._counters.say(f"alert {answer.error}", line)
        return False

    def _load(self) -> tuple[States, list[dict[str, Any]]]:
        try:
            with open(self._path, "rb") as file:
                value = json.loads(file.read())
        except FileNotFoundError:
            return {}, []
        except (OSError, ValueError, RecursionError):
            self._counters.add("errors", "alerts.json")
            return {}, []
        if not isinstance(value, dict):
            return {}, []
        pending = value.get("pending")
        entries = [entry for entry in pending if isinstance(entry, dict)] if isinstance(pending, list) else []
        return states_from_json(value.get("states")), entries[:MOST_PENDING]

    def _save(self) -> None:
        data = json.dumps({"states": states_to_json(self._states), "pending": self._pending}).encode()
        beside = f"{self._path}.new"
        try:
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
                file.write(data)
            os.replace(beside, self._path)
        except OSError as error:
            self._counters.failed("alerts.json", error)
