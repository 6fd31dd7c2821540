"""The records of a batch and what happened to each, so that its span says what is true of it and of no other record.

`following` finds a record's work here, takes it up and puts it down. The spans go out when the invocation is over,
since only then its result says which records failed.

Imported by whoever follows records, and by nobody else.
"""

from __future__ import annotations

import threading
import time

from . import encode
from .lineage import Lineage, open_lineages, own_record
from .shape import Shape
from .spans import ERROR, Span, activate, current_span, restore
from .spans.exceptions import exception_message, exception_type
from .spans.span import observer

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from typing import Any

    from .raised import Place, Stack


PROCESSED = "hoptrace.record.processed"
REDELIVERED = "hoptrace.record.redelivered"

NOTED = 10
"""Of a batch with at most so many records each one that is taken up or put down is noted for the collector, which then
can say in which record a function was killed. SQS delivers ten at most by default; in larger batches the notes would
cost more than what they tell."""

# Both locks are re-entrant: whatever is allocated under one may start the garbage collector, which may drop a loop that
# lies in a cycle, in this very thread.
_making = threading.RLock()


class Work:
    """One record: its span, and what happened to it.

    Attributes:
        begun, done: when it was taken up first and put down last, nanoseconds since the epoch; 0 for not yet.
        active: how often it is in work just now (a loop inside a loop).
        failed: whether an error came out of it.
        loops: where each loop that is at this record goes on, by the loop's id.
        dropped: the stacks under which a loop at this record was dropped.
    """

    __slots__ = ("active", "begun", "done", "dropped", "failed", "loops", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.begun = 0
        self.done = 0
        self.active = 0
        self.failed = False
        self.loops: dict[int, Place] = {}
        self.dropped: list[Stack] = []

    def mark(self, error: BaseException) -> None:
        """An error came out of it."""
        if self.failed:
            return
        self.failed = True
        self.span.set_attribute("error.type", exception_type(error))
        self.span.set_status(ERROR, exception_message(error))
        self.span.record_exception(error)


class Batch:
    """The records of one invocation, found by what the user's code has in its hands."""

    __slots__ = ("_by_identity", "_by_name", "_lineage", "_lock", "_members", "_noted", "_own", "_works")

    def __init__(self, lineage: Lineage) -> None:
        members = members_of(lineage.event)[:]
        if len(members) != len(lineage.arrival.records):
            members = []
        self._lineage = lineage
        self._lock = threading.RLock()
        self._members = members  # held, since what is gone may share its identity with what comes
        self._noted = len(lineage.records) <= NOTED
        self._own = not lineage.records
        self._works: dict[int, Work] = {}
        self._by_identity: dict[int, int] = {}
        self._by_name: dict[str, int] = {}
        for index, member in enumerate(members):
            self._by_identity.setdefault(id(member), index)
            name = lineage.arrival.records[index].item_id
            if name:
                self._by_name.setdefault(name, index)

    def index(self, record: Any) -> int:
        """Which of the batch this is, the very object or a copy; -1 for none."""
        found = self._by_identity.get(id(record))
        return self._by_name.get(_name(record), -1) if found is None else found

    def work(self, index: int) -> Work | None:
        """The work on a record; `None` for one that has no span (`HOPTRACE_MAX_BATCH_RECORDS`)."""
        with self._lock:
            if self._own and not self._lineage.records:
                span = own_record(self._lineage)
                watching = observer()
                if watching is not None and span.recording:
                    watching.started(span)
            if index >= len(self._lineage.records):
                return None
            if index not in self._works:
                self._works[index] = Work(self._lineage.records[index][1])
            return self._works[index]

    def take_up(self, work: Work) -> Any:
        """It is in work from now on; the answer is for `put_down`."""
        with self._lock:
            work.active += 1
            first = not work.begun
            if first:
                work.begun = time.time_ns()
        if first or work.done:
            self._note(work, 0)
        return activate(work.span)

    def put_down(self, work: Work, token: Any) -> None:
        """It is no longer in work here."""
        with self._lock:
            work.active -= 1
            if not work.active:
                work.done = time.time_ns()
        if not work.active:
            self._note(work, work.done)
        if current_span() is not work.span:
            return  # somebody else's turn: in another thread, or in a loop beside this one
        restore(token)
        before, invocation = current_span(), self._lineage.invocation
        if before is None or before is invocation:
            return
        if any(before is each.span and not each.active for each in list(self._works.values())):
            activate(invocation)  # two loops beside each other: the other one has gone on

    def _note(self, work: Work, done: int) -> None:
        """Tell the collector, which otherwise hears of the records only when the invocation is over."""
        if self._noted and self._lineage.write is not None and work.span.recording:
            whole = self._own or work.failed
            self._lineage.write(encode.followed_record(work.span, work.begun, done, whole=whole))

    def raised(self, error: BaseException) -> bool:
        """The handler raised: mark what was in work. Whether anything was followed at all."""
        with self._lock:  # a thread may still be at it
            works = list(self._works.values())
        if not any(work.begun for work in works):
            return False
        from .raised import Traceback

        traceback = Traceback(error)
        for work in works:
            if any(map(traceback.passed, work.loops.values())) or any(map(traceback.dropped, work.dropped)):
                work.mark(error)
        if self._lineage.arrival.partial_failures:
            # An event source takes back all of a batch whose invocation failed.
            for index, (_, span) in enumerate(self._lineage.records):
                if index not in self._works or not self._works[index].failed:
                    span.set_attribute(REDELIVERED, True)
        return True

    def close(self, now: int) -> None:
        """The invocation is over: give the spans their true times."""
        with self._lock:  # a thread may still be at it
            works = dict(self._works)
        self._let_go()
        if not any(work.begun for work in works.values()):
            return
        for index, (_, span) in enumerate(self._lineage.records):
            work = works.get(index)
            if work is not None and work.begun:
                span.start = work.begun
                span.end(now if work.active else work.done)
            else:
                span.set_attribute(PROCESSED, False)
                span.start = now
                span.end(now)

    def _let_go(self) -> None:
        """Give up the user's event and the way back from the lineage: in a cycle both would wait for the collector."""
        self._lineage.event = self._lineage.batch = None
        self._by_identity, self._members = {}, []


def find(record: Any) -> tuple[Batch, Work] | None:
    """The batch of a record that is being worked on in this process, and the work on it."""
    if not open_lineages:
        return None
    made_of = getattr(record, "raw_event", record)  # Powertools' data classes have the record itself in them
    current = current_span()
    request_id = "" if current is None else current.request_id
    for lineage in sorted(open_lineages, key=lambda each: each.invocation.request_id != request_id):
        batch = lineage.batch
        if batch is None:
            with _making:
                batch = lineage.batch = lineage.batch or Batch(lineage)
        index = batch.index(record)
        if index < 0 and made_of is not record:
            index = batch.index(made_of)
        if index >= 0:
            work = batch.work(index)
            return None if work is None else (batch, work)
    return None


def members_of(event: Any) -> list[Any]:
    """The records of an event in the readers' order, its own list where it has one; empty when it is no batch."""
    shape = Shape(event)
    for found in (shape, shape.get("Records"), shape.get("records"), shape.get("messages")):
        if isinstance(found.raw, list):
            return found.raw
    for grouped in (shape.get("records"), shape.get("rmqMessagesByQueue")):
        if grouped.is_object():
            return [member.raw for _, group in grouped.pairs() for member in group.items()]
    return []


def _name(record: Any) -> str:
    """What a `batchItemFailures` answer would call it, or SNS its message."""
    shape = Shape(record)
    return (
        shape.text("messageId")
        or shape.text("kinesis", "sequenceNumber")
        or shape.text("dynamodb", "SequenceNumber")
        or shape.text("Sns", "MessageId")
        or shape.text("sequenceNumber")
    )
