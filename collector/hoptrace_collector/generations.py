"""What one generation of the collector leaves to the next; `receive.cursor` and `receive.journal` have it on disk.

The next one goes on at the oldest span of the records file that some destination has not had; each destination knows up
to where it has. What waits and is in no file, or in one that has no name any more, goes into the journal. What is
acknowledged is written down at once, so that a kill between two requests has nothing sent twice.
"""

import os
import threading
from typing import TYPE_CHECKING

from hoptrace_collector.complete import Completer
from hoptrace_collector.counters import Counters
from hoptrace_collector.model import Begin
from hoptrace_collector.pipeline.delivery import Delivery
from hoptrace_collector.pipeline.destination import Place
from hoptrace_collector.pipeline.queue import Item
from hoptrace_collector.receive.cursor import Cursor, load, save
from hoptrace_collector.receive.decode import decode
from hoptrace_collector.receive.journal import Journal, Kept
from hoptrace_collector.receive.records import HELD, ROTATE_AT, ROTATE_BEHIND, RecordReader
from hoptrace_collector.receive.taken import Taken

if TYPE_CHECKING:
    from hoptrace_collector.sampling.sampler import Sampler

__all__ = ["Generations"]


class Generations:
    """The files in `run_dir` that one generation writes and the next reads; `limit` bytes of what is in no other."""

    def __init__(self, run_dir: str, limit: int, counters: Counters) -> None:
        self._path = os.path.join(run_dir, "cursor.json")
        self._counters = counters
        self.cursor = load(self._path)
        self._journal = Journal(os.path.join(run_dir, "journal"), limit, counters)
        # By the identity of what waits: its number in the journal, and itself, so that no other gets its identity.
        self._written: dict[int, tuple[int, object]] = {}
        self._taken = Taken(os.path.join(run_dir, "taken"), counters)
        # The file of records that the cursor speaks of, by its number here.
        self._file = 1 if self.cursor.position.inode else 0
        self._ordered = True
        # Each destination's thread tells what it has sent.
        self._lock = threading.Lock()

    def take_over(self, completer: Completer, delivery: Delivery, sampler: "Sampler | None" = None) -> None:
        """Go on where an earlier generation was; the reader begins at the cursor's position by itself."""
        begins = [begin for begin in map(decode, self.cursor.opened) if isinstance(begin, Begin)]
        completer.resume(begins, self.cursor.closed, self.cursor.origin)
        self._ordered = sampler is None
        sent = {name: Place(offset, part) for name, offset, part in self.cursor.sent}
        had = {name: set(lines) for name, lines in self.cursor.had}
        for name, place, lines in self._taken.load(self.cursor.position):
            sent[name] = max(sent.get(name, Place()), Place(*place))
            had.setdefault(name, set()).update(lines)
        for destination in delivery.destinations:
            destination.sent = sent.get(destination.name, Place())
            destination.had = frozenset(had.get(destination.name, ()))
            destination.tell(self.settled)
        held = []
        for number, kept in self._journal.load().items():
            item = Item(kept.origin, kept.data, amount=kept.amount)
            self._written[id(item)] = (number, item)
            if kept.signal == HELD:
                held.append((kept.request_id, kept.origin, kept.data))
            for destination in delivery.destinations:
                if destination.name in kept.destinations and kept.signal in destination.queues:
                    destination.put(kept.signal, item)
        if sampler is not None:
            pending = self.cursor.pending
            sampler.resume(begins, None if pending is None else dict(pending), held)

    def knows(self, reader: RecordReader) -> bool:
        """Whether the next generation would know the file that is being read again, and what of it has been sent."""
        return not (position := reader.position).inode or (
            self._file == reader.file and position.inode == self.cursor.position.inode
        )

    def settled(self, name: str, items: list[Item]) -> None:
        """Write down at once that a destination is done with `items`, before anything else is sent there."""
        with self._lock:
            marks = [item.mark for item in items if item.mark is not None and item.mark.file == self._file]
            try:
                if marks and self._file:
                    # Without sampling what stands before it has been sent there, or dropped.
                    last = max(marks, key=lambda mark: (mark.offset, mark.part))
                    place = (last.offset, last.part + 1) if self._ordered else (0, 0)
                    lines = () if self._ordered else [mark.offset for mark in marks]
                    self._taken.add(self.cursor.position, name, place, lines)
                if self._journal.had(name, [self._written[id(item)][0] for item in items if id(item) in self._written]):
                    self._journal.write()
            except OSError as error:
                self._counters.failed("taken", error)

    def leave(
        self, reader: RecordReader, completer: Completer, delivery: Delivery, sampler: "Sampler | None" = None
    ) -> None:
        """Write down what the next generation has to know; errors are counted."""
        with self._lock:
            self._leave(reader, completer, delivery, sampler)

    def _leave(
        self, reader: RecordReader, completer: Completer, delivery: Delivery, sampler: "Sampler | None" = None
    ) -> None:
        reader.rotate(at=ROTATE_AT if delivery.empty else ROTATE_BEHIND)
        position, waiting = reader.position, _Waiting()
        file = reader.file if position.inode else 0
        again = file == 1 and reader.resumed
        pending: set[tuple[int, str]] = set()
        sent = []
        own: dict[str, set[int]] = {}
        for destination in delivery.destinations:
            waits = own[destination.name] = set()
            first = Place(position.offset)
            if again:
                first = max(first, destination.sent)
            for signal, queue in destination.queues.items():
                for item in queue.items():
                    if file and item.mark is not None and item.mark.file == file:
                        first = min(first, Place(item.mark.offset, item.mark.part))
                        pending.add((item.mark.offset, item.mark.decided))
                        waits.add(item.mark.offset)
                    else:
                        waiting.add(item, item, signal, destination.name)
            sent.append((destination.name, *first))
        decided = set() if sampler is None else {offset for offset, _ in pending}
        start = min(offset for _, offset, _ in sent)
        undecided = False
        for request_id, held in sampler.left() if sampler is not None else ():
            if file and held.mark is not None and held.mark.file == file:
                start, undecided = min(start, held.mark.offset), True
                pending.add((held.mark.offset, HELD))
            else:
                waiting.add(held, Item(held.origin, held.whole()), HELD, "", request_id)
        if sampler is not None and again:
            pending.update(sampler.unread(position.offset))
        had = []
        lines = {offset for offset, _ in pending}
        for destination in delivery.destinations if sampler is not None else ():
            known = (decided - own[destination.name]) | (destination.had if again else frozenset())
            had.append((destination.name, tuple(sorted(x for x in known if x in lines or x >= position.offset))))
        try:
            self._write(waiting)
            cursor = Cursor(
                position=reader.position_at(start) if file else position,
                seen_to=reader.seen_to,
                # What is undecided is found again before it can be sent anywhere.
                sent=tuple(
                    (name, *min(Place(offset, part), Place(start))) if undecided else (name, offset, part)
                    for name, offset, part in sent
                ),
                origin=completer.origin,
                opened=tuple(completer.left()),
                closed=tuple(completer.closed),
                pending=None if sampler is None else tuple(sorted(pending)),
                had=tuple(each for each in had if each[1]),
            )
            if cursor != self.cursor:
                # After the journal: what stands in both is sent twice at worst, what stands in neither is lost.
                save(self._path, cursor)
                self.cursor = cursor
            self._file = file
            self._taken.clear()
        except OSError as error:
            self._counters.failed("cursor.json", error)

    def _write(self, waiting: "_Waiting") -> None:
        for identity, (number, _) in list(self._written.items()):
            found = waiting.items.pop(identity, None)
            self._journal.left(number, found[1].destinations if found is not None else frozenset())
            if found is None:
                del self._written[identity]
        for identity, (thing, kept) in waiting.items.items():
            number = self._journal.put(kept)
            if number:
                self._written[identity] = (number, thing)
        self._journal.write()


class _Waiting:
    """What waits and is in no records file, each thing once, with the destinations that it waits for."""

    def __init__(self) -> None:
        self.items: dict[int, tuple[object, Kept]] = {}

    def add(self, thing: object, item: Item, signal: str, destination: str, request_id: str = "") -> None:
        known = self.items.get(id(thing))
        names = frozenset((destination,)) | (known[1].destinations if known is not None else frozenset())
        self.items[id(thing)] = (thing, Kept(signal, item.origin, item.amount, item.data, names, request_id))
