"""Puts events on a bus: one signed POST, and an answer for each entry (EventBridge API reference, "PutEvents")."""

import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from hoptrace_collector.aws import CredentialsError, CredentialsSource, amz_date, sign
from hoptrace_collector.settings import Url
from hoptrace_collector.transport import Response, TransportError, request

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
    """Sends entries to `url` in `region`; `now` gives seconds since the epoch."""

    def __init__(
        self, url: Url, region: str, credentials: CredentialsSource, *, now: Callable[[], float] = time.time
    ) -> None:
        self._url = url
        self._region = region or "us-east-1"
        self._credentials = credentials
        self._now = now
        self._tls_context: Any = None

    def put(self, entries: list[dict[str, Any]], deadline: float) -> list[Answer]:
        """Send at most ten entries and return an answer for each, in their order. Never raises."""
        body = json.dumps({"Entries": entries}).encode()
        headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "AWSEvents.PutEvents")]
        try:
            signed = sign(
                self._credentials.get(deadline),
                service="events",
                region=self._region,
                url=self._url,
                headers=headers,
                body=body,
                date=amz_date(self._now()),
            )
            response = request("POST", self._url, signed, body, deadline=deadline, tls=self._tls)
        except CredentialsError as error:
            return [Answer("ServiceUnavailable", str(error))] * len(entries)
        except (TransportError, OSError) as error:
            return [Answer("ServiceUnavailable", str(error))] * len(entries)
        return _answers(response, len(entries))

    def _tls(self) -> Any:
        if self._tls_context is None:
            import ssl

            self._tls_context = ssl.create_default_context()
        return self._tls_context


def _answers(response: Response, count: int) -> list[Answer]:
    """Read the answer; it lists one result for each entry, in order, whatever the HTTP status says of the whole."""
    try:
        value = json.loads(response.body)
    except (ValueError, RecursionError):
        value = None
    body = value if isinstance(value, dict) else {}
    if response.status != 200:
        kind = str(body.get("__type", "")).rpartition("#")[2].partition(":")[0]
        if response.status >= 500 or response.status == 429:
            kind = kind if kind in RETRYABLE else "ServiceUnavailable"
        message = body.get("message") or body.get("Message") or f"HTTP {response.status}"
        return [Answer(kind or f"HTTP {response.status}", str(message))] * count
    results = body.get("Entries")
    if not isinstance(results, list) or len(results) != count:
        return [Answer("ServiceUnavailable", "the answer does not speak of every entry")] * count
    return [_answer(result) for result in results]


def _answer(result: object) -> Answer:
    if isinstance(result, dict) and result.get("ErrorCode"):
        return Answer(str(result["ErrorCode"]), str(result.get("ErrorMessage", "")))
    return Answer()
