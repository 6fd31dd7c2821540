"""Following records: the loop and the block that make a record's span current while it is processed.

Four ways lead here: `hoptrace.records` and `hoptrace.processing`, Powertools' processors (`clients.powertools`), and
plain iteration where that is watched.

A loop does not hear of an exception that ends it: Python drops the iterator on the way up. What was in work is told
from where the iterator was dropped, once the handler has raised (`hoptrace.raised`).
"""

from __future__ import annotations

from . import batch
from .guard import guard
from .lineage import open_lineages
from .spans import ERROR

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Any, Self


class Records:
    """An iterator over records, the very objects, that makes the span of each current until the next one is asked for.

    Args:
        source: what it iterates over.
    """

    __slots__ = ("_batch", "_source", "_token", "_work")

    def __init__(self, source: Iterator[Any]) -> None:
        self._source = source
        self._batch: batch.Batch | None = None
        self._work: batch.Work | None = None
        self._token: Any = None

    def __iter__(self) -> Records:
        return self

    def __next__(self) -> Any:
        if self._work is not None:
            with guard("batch.next"):
                self._leave()
        record = next(self._source)
        if open_lineages:
            with guard("batch.record"):
                self._enter(record)
        return record

    def close(self) -> None:
        """Go no further; the record that is in work is done."""
        self._source = iter(())
        if self._work is not None:
            with guard("batch.close"):
                self._leave()

    def __del__(self) -> None:
        if self._work is not None:
            with guard("batch.dropped"):
                from .raised import stack

                self._work.dropped.append(stack(2))
                self._leave()

    def _enter(self, record: Any) -> None:
        found = batch.find(record)
        if found is None:
            return
        from .raised import place

        self._batch, work = found
        work.loops[id(self)] = place(3)
        work.dropped.clear()
        self._token = self._batch.take_up(work)
        self._work = work

    def _leave(self) -> None:
        whole, work, token = self._batch, self._work, self._token
        self._batch = self._work = self._token = None
        if whole is not None and work is not None:
            work.loops.pop(id(self), None)
            whole.put_down(work, token)


class Processing:
    """One record in work for as long as the block lasts, in whichever thread or task."""

    __slots__ = ("_found", "_record", "_token")

    def __init__(self, record: Any) -> None:
        self._record = record
        self._found: tuple[batch.Batch, batch.Work] | None = None
        self._token: Any = None

    def __enter__(self) -> Self:
        with guard("batch.record"):
            found = batch.find(self._record)
            if found is not None:
                self._token = found[0].take_up(found[1])
                self._found = found
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        found, self._found = self._found, None
        if found is not None:
            with guard("batch.done"):
                if error is not None and not isinstance(error, GeneratorExit):
                    found[1].mark(error)
                found[0].put_down(found[1], self._token)

    def failed(self, error: BaseException | None, message: str = "") -> None:
        """Somebody caught what came out of it: the exception, or where it is not known, what is said of it."""
        if self._found is not None:
            work = self._found[1]
            if error is not None:
                work.mark(error)
            elif not work.failed:
                work.failed = True
                work.span.set_status(ERROR, message)


def records(event: Any) -> Records:
    """What `hoptrace.records` does."""
    members: Any = ()
    with guard("batch.records"):
        event = getattr(event, "raw_event", event)
        members = batch.members_of(event)
        if not members and not isinstance(event, dict | str | bytes) and hasattr(event, "__iter__"):
            members = event  # no event at all, and yet something to iterate over
    return Records(list.__iter__(members) if isinstance(members, list) else iter(members))
