"""Gives the span of a restore from a snapshot its true beginning.

The tracer sees its process run on, which is when most of a restore is over; Lambda tells how long the whole took, in
`platform.restoreReport`. The two come in any order, and the span waits for the report as long as whoever holds it
wants to.
"""

from collections.abc import Callable, Iterable

from hoptrace_collector.model import ERROR, INTERNAL, Span, SpanEnded
from hoptrace_collector.told import RestoreReport

__all__ = ["Restore", "failed"]

MARK = "hoptrace.restore"
_FAILED = ("error", "failure", "timeout")


def failed(report: RestoreReport, new_id: Callable[[int], bytes]) -> SpanEnded | None:
    """Return the span of a restore that came to nothing, such as by a hook that raised; None for one that did not.

    No invocation tells of it, since none has begun, and the process is gone.
    """
    if report.status not in _FAILED or not report.time:
        return None
    kind = report.error_type or ("timeout" if report.status == "timeout" else "Runtime.RestoreError")
    return SpanEnded(
        "",
        Span(
            new_id(16),
            new_id(8),
            "restore",
            INTERNAL,
            max(0, report.time - int(report.duration * 1e9)),
            report.time,
            attributes={MARK: True, "error.type": kind, "hoptrace.closed_by": "collector"},
            status=ERROR,
            status_message=f"the snapshot could not be restored ({kind})",
        ),
    )


class Restore:
    """The restore of this environment: its span as the tracer has written it, and what Lambda says of it."""

    def __init__(self) -> None:
        self._waiting: list[SpanEnded] = []
        self._report: RestoreReport | None = None

    @property
    def waits(self) -> bool:
        """Whether there is a span that the report has not come for."""
        return bool(self._waiting) and self._report is None

    @property
    def reported(self) -> bool:
        """Whether Lambda has told of it."""
        return self._report is not None

    def takes(self, record: SpanEnded) -> bool:
        """Keep the span of a restore; whether this is one."""
        if record.span.attributes.get(MARK) is not True:
            return False
        self._waiting.append(record)
        return True

    def told(self, report: RestoreReport) -> None:
        """Note what Lambda says."""
        self._report = report

    def release(self) -> Iterable[SpanEnded]:
        """Give out what was kept, from its true beginning on where that is known."""
        waiting, self._waiting = self._waiting, []
        report = self._report
        for record in waiting:
            span = record.span
            if report is not None and report.time and report.duration:
                begun = report.time - int(report.duration * 1e9)
                # Before the snapshot ran on, and not in the life before it.
                span.start = min(span.start, begun)
                span.end = max(span.end, span.start)
            yield record
