"""EventBridge: refuses what PutEvents refuses, and remembers the trace header of each event.

- At most ten entries: API reference, PutEvents ("Maximum number of 10 items").
- Less than 1 MB for all entries, counted by the user guide's "Calculating PutEvents event entry size": 14 bytes for
  Time, then Source, DetailType, Detail and Resources. The guide does not say which megabyte; here it is the smaller.
- A Detail that is no JSON object fails its entry with MalformedDetail: API reference, PutEventsResultEntry.
- TraceHeader, or else the request's tracing header, goes on to the event's targets, not in the event; one that is not
  of X-Ray's form is dropped: user guide, "Amazon EventBridge integration with AWS X-Ray".
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable
from threading import Condition
from typing import Any

from .wire import Answer, Request, refuse, size_of

MOST_ENTRIES = 10
MEGABYTE = 1_000_000
_TIME_BYTES = 14
_REMEMBERED = 10_000
#: Seconds that a call is waited for whose event is here already.
_LONGEST_ANSWER = 5.0
_VALID = re.compile(r"(?:^|.*;)Root=1-[0-9a-fA-F]{8}-[0-9a-fA-F]{24}(?:;.*|$)")

Send = Callable[[Request], Answer]


class Buses:
    """The rules of EventBridge."""

    def __init__(self) -> None:
        self._headers: OrderedDict[str, str] = OrderedDict()
        self._changed = Condition()
        self._asking = 0

    def header_of(self, body: str) -> str:
        """The trace header that an event was put with, when `body` is an event that went through here."""
        if '"detail-type"' not in body:
            return ""
        try:
            event = json.loads(body)
        except ValueError:
            return ""
        if not isinstance(event, dict):
            return ""
        event_id = str(event.get("id"))
        with self._changed:
            # A target can have the event before the one who put it has the answer, which is what tells its id.
            self._changed.wait_for(lambda: event_id in self._headers or not self._asking, _LONGEST_ANSWER)
            return self._headers.get(event_id, "")

    def handle(self, request: Request, send: Send) -> Answer | None:
        """The answer, None for what there is no rule about."""
        if request.operation != "AWSEvents.PutEvents":
            return None
        with self._changed:
            self._asking += 1
        try:
            return self._put(request, send)
        finally:
            with self._changed:
                self._asking -= 1
                self._changed.notify_all()

    def _put(self, request: Request, send: Send) -> Answer:
        asked = json.loads(request.body)
        entries: list[dict[str, Any]] = asked.get("Entries", [])
        if len(entries) > MOST_ENTRIES:
            told = (
                "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length"
            )
            return refuse("ValidationException", f"{told} less than or equal to {MOST_ENTRIES}")
        if sum(_size(entry) for entry in entries) >= MEGABYTE:
            return refuse("ValidationException", "Total size of the entries in the request is over the limit.")
        good = [entry for entry in entries if not _is_malformed(entry.get("Detail"))]
        document: dict[str, Any] = {"FailedEntryCount": 0, "Entries": []}
        answer = Answer(200, {"Content-Type": "application/x-amz-json-1.1"}, b"")
        if good or not entries:
            answer = send(request.with_json({**asked, "Entries": good}))
            if answer.status != 200:
                return answer
            document = json.loads(answer.body)
        accepted = iter(document.get("Entries", []))
        results = []
        for entry in entries:
            if not _is_malformed(entry.get("Detail")):
                results.append(next(accepted))
                self._remember(results[-1].get("EventId"), entry.get("TraceHeader") or request.trace_header)
            else:
                results.append({"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."})
        failed = sum("ErrorCode" in result for result in results)
        return answer.with_json({**document, "FailedEntryCount": failed, "Entries": results})

    def _remember(self, event_id: str | None, header: str) -> None:
        if not event_id or not _VALID.fullmatch(header):
            return
        with self._changed:
            self._headers[event_id] = header
            while len(self._headers) > _REMEMBERED:
                self._headers.popitem(last=False)


def _size(entry: dict[str, Any]) -> int:
    size = _TIME_BYTES if entry.get("Time") is not None else 0
    size += sum(size_of(entry.get(name)) for name in ("Source", "DetailType", "Detail"))
    return size + sum(size_of(resource) for resource in entry.get("Resources") or [])


def _is_malformed(detail: Any) -> bool:
    """Whether a Detail is something else than a JSON object; one that is missing is refused with other words."""
    try:
        return isinstance(detail, str) and not isinstance(json.loads(detail), dict)
    except (ValueError, RecursionError):
        return True
