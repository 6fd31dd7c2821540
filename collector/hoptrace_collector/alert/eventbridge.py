"""Puts events on a bus: one signed POST, and an answer for each entry (EventBridge API reference, "PutEvents")."""

from typing import Any, NamedTuple

from hoptrace_collector.aws import api

__all__ = ["MOST_ENTRIES", "Answer", "EventBridge"]

MOST_ENTRIES = 10
RETRYABLE = (
    "InternalFailure",
    "InternalException",
    "InternalServerError",
    "ServiceUnavailable",
    "ThrottlingException",
    "Throttling",
    "RequestLimitExceeded",
)


class Answer(NamedTuple):
    """What became of one entry: `error` is empty when it was taken."""

    error: str = ""
    message: str = ""

    @property
    def retryable(self) -> bool:
        """Whether the same entry may be taken later."""
        return self.error in RETRYABLE


class EventBridge:
    """Puts entries on whatever bus they name, by `events`."""

    def __init__(self, events: api.Api) -> None:
        self._events = events

    def put(self, entries: list[dict[str, Any]], deadline: float) -> list[Answer]:
        """Send at most ten entries and return an answer for each, in their order. Never raises."""
        return _answers(self._events.call("AWSEvents.PutEvents", {"Entries": entries}, deadline), len(entries))


def _answers(said: api.Answer, count: int) -> list[Answer]:
    """Read the answer; it lists one result for each entry, in order, whatever the HTTP status says of the whole."""
    if said.status != 200:
        kind = said.error
        if not said.status or said.status >= 500 or said.status == 429:
            kind = kind if kind in RETRYABLE else "ServiceUnavailable"
        return [Answer(kind or f"HTTP {said.status}", said.message)] * count
    results = said.body.get("Entries")
    if not isinstance(results, list) or len(results) != count:
        return [Answer("ServiceUnavailable", "the answer does not speak of every entry")] * count
    return [_answer(result) for result in results]


def _answer(result: object) -> Answer:
    if isinstance(result, dict) and result.get("ErrorCode"):
        return Answer(str(result["ErrorCode"]), str(result.get("ErrorMessage", "")))
    return Answer()
