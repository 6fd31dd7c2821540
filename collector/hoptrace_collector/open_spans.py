"""Which spans are open inside the invocations, so that they can be closed with them.

The tracer writes down that a span has begun, and later the whole span. What has begun and not ended when its invocation
is broken off was cut short by the same thing: the call that a timeout waited in is found here.
"""

from collections.abc import Iterable
from typing import Any

from hoptrace_collector.model import SpanBegun

__all__ = ["OpenSpans"]

_MOST = 1024
_MOST_REQUESTS = 256
_MOST_LEFT = 256
_MOST_TOLD = 256


class _Course:
    """What is known of one invocation's spans: `latest` is the last moment that they tell of, nanoseconds."""

    __slots__ = ("latest", "open", "untracked")

    def __init__(self) -> None:
        self.latest = 0
        self.open: dict[bytes, SpanBegun] = {}
        self.untracked = 0


class OpenSpans:
    """By request, in the order in which they began; bounded."""

    def __init__(self) -> None:
        self._courses: dict[str, _Course] = {}
        self._left: dict[bytes, tuple[SpanBegun, int]] = {}
        self._open = 0

    def begun(self, record: SpanBegun) -> None:
        """Note that a span has begun in an invocation."""
        course = self._course(record.request_id)
        course.latest = max(course.latest, record.start)
        if record.span_id in course.open:
            return
        if self._open >= _MOST:
            course.untracked += 1
            return
        course.open[record.span_id] = record
        self._open += 1

    def ended(self, request_id: str, span_id: bytes, end: int) -> None:
        """Note that a span has ended, at `end`."""
        if request_id:
            course = self._course(request_id)
            course.latest = max(course.latest, end)
            if course.open.pop(span_id, None) is not None:
                self._open -= 1
        if self._left:
            self._left.pop(span_id, None)

    def told(self, request_id: str) -> list[dict[str, Any]]:
        """Return the records of what is open, for the next generation."""
        course = self._courses.get(request_id)
        return [record.raw for record in list(course.open.values())[:_MOST_TOLD]] if course is not None else []

    def resume(self, request_id: str, records: Iterable[SpanBegun]) -> None:
        """Take over what `told` has told."""
        for record in records:
            self.begun(record)
        self._course(request_id)

    def latest(self, request_id: str) -> int:
        """Return the last moment that the spans of an invocation tell of; 0 when there is none."""
        course = self._courses.get(request_id)
        return course.latest if course is not None else 0

    def untracked(self, request_id: str) -> int:
        """Return how many spans of an invocation may be open of which nothing is kept here."""
        course = self._courses.get(request_id)
        return course.untracked if course is not None else 0

    def take(self, request_id: str) -> list[SpanBegun]:
        """Forget an invocation, and return what is open in it."""
        course = self._courses.pop(request_id, None)
        if course is None:
            return []
        self._open -= len(course.open)
        return list(course.open.values())

    def came_back(self, request_id: str, at: int) -> None:
        """An invocation has come back: what is open in it may end later, as long as the function's process lives."""
        for record in self.take(request_id):
            self._left[record.span_id] = (record, at)
            if len(self._left) > _MOST_LEFT:
                del self._left[next(iter(self._left))]

    def take_left(self) -> list[tuple[SpanBegun, int]]:
        """Return what nobody will end any more, and when its invocation came back; the function's process is gone."""
        left, self._left = list(self._left.values()), {}
        return left

    def _course(self, request_id: str) -> _Course:
        course = self._courses.get(request_id)
        if course is None:
            course = self._courses[request_id] = _Course()
            if len(self._courses) > _MOST_REQUESTS:
                self.take(next(iter(self._courses)))
        return course
