"""Knows which invocation a log line belongs to, by its request id or else by its time.

Times are compared with care: Lambda stamps a line with whole milliseconds, a moment after it was written.
"""

from collections import deque

from hoptrace_collector.model import Begin, End, LogRecord, Span

__all__ = ["Owners"]

_MOST = 64
_MILLISECOND = 1_000_000
_LATE = 100 * _MILLISECOND


class _Run:
    __slots__ = ("end", "request_id", "span", "start")

    def __init__(self, request_id: str, span: Span, end: int) -> None:
        self.request_id = request_id
        self.span = span
        self.start = span.start
        self.end = end


class Owners:
    """The invocations of late. `alone`: one at a time, so that a time tells which."""

    def __init__(self, *, alone: bool) -> None:
        self._alone = alone
        self._runs: deque[_Run] = deque(maxlen=_MOST)

    def began(self, begin: Begin, *, past: bool = False) -> None:
        """Note an invocation; `past`: of an earlier process, which says nothing any more."""
        until = begin.span.start if past else begin.deadline_ms * _MILLISECOND
        self._runs.append(_Run(begin.request_id, begin.span, until))

    def ended(self, end: End) -> None:
        """Note its end."""
        for run in reversed(self._runs):
            if run.span.span_id == end.span.span_id:
                run.end = end.span.end
                return

    def signed(self, record: LogRecord) -> LogRecord:
        """Return the record with the ids of its invocation, where it has none of its own and there is one."""
        if record.trace_id:
            run = self._by_id(record) if record.request_id else None
            same = run is not None and run.span.trace_id == record.trace_id
            return record._replace(flags=run.span.flags & 0xFF if run is not None and same else 0)
        run = self._by_id(record) if record.request_id else self._by_time(record.observed)
        if run is None:
            return record
        known = record.attributes if record.request_id else {**record.attributes, "faas.invocation_id": run.request_id}
        return record._replace(
            attributes=known,
            request_id=run.request_id,
            trace_id=run.span.trace_id,
            span_id=run.span.span_id,
            flags=run.span.flags & 0xFF,
        )

    def _by_id(self, record: LogRecord) -> _Run | None:
        """Return the attempt that ran then: a retry has the id of the one that failed."""
        same = [run for run in reversed(self._runs) if run.request_id == record.request_id]
        return next((run for run in same if run.start < record.observed + _MILLISECOND), same[0] if same else None)

    def _by_time(self, time: int) -> _Run | None:
        if not self._alone:
            return None
        for run in reversed(self._runs):
            if run.start < time + _MILLISECOND:
                return run if not run.end or time <= run.end + _LATE else None
        return None
