"""What one generation of the collector leaves to the next, in memory's terms; `receive.cursor` has it on disk.

The next one goes on at the oldest span of the records file that has not been sent. What waits and is in no file, or in
one that has no name any more, is taken along.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hoptrace_collector.complete import Completer
from hoptrace_collector.model import Begin
from hoptrace_collector.pipeline.queue import Item, Queue
from hoptrace_collector.receive.cursor import Cursor, Unsent
from hoptrace_collector.receive.decode import decode
from hoptrace_collector.receive.records import HELD, RecordReader

if TYPE_CHECKING:
    from hoptrace_collector.sampling.sampler import Sampler

__all__ = ["leave", "take_over"]


def take_over(
    cursor: Cursor, completer: Completer, queues: Mapping[str, Queue], sampler: "Sampler | None" = None
) -> None:
    """Go on where an earlier generation was; the reader begins at the cursor's position by itself."""
    begins = [begin for begin in map(decode, cursor.opened) if isinstance(begin, Begin)]
    completer.resume(begins, cursor.closed, cursor.origin)
    for signal, origin, amount, data, _ in cursor.unsent:
        if signal in queues:
            queues[signal].put(Item(origin, data, amount=amount))
    if sampler is not None:
        sampler.resume(
            begins,
            None if cursor.pending is None else dict(cursor.pending),
            [
                (each.request_id, each.origin, each.data)
                for each in cursor.unsent
                if each.signal == HELD and each.origin
            ],
        )


def leave(
    reader: RecordReader, completer: Completer, queues: Mapping[str, Queue], sampler: "Sampler | None" = None
) -> Cursor:
    """Return what the next generation has to know."""
    waiting = [(signal, item, "") for signal, queue in queues.items() for item in queue.items()]
    undecided = sampler.left() if sampler is not None else []
    waiting += [(HELD, Item(held.origin, held.whole(), held.mark), request_id) for request_id, held in undecided]
    position = reader.position
    seen_to = position.offset
    here = {
        id(item): item.mark.offset
        for _, item, _ in waiting
        if position.inode and item.mark is not None and item.mark.file == reader.file
    }
    if here:
        position = reader.position_at(min(here.values()))
    return Cursor(
        position=position,
        seen_to=seen_to,
        origin=completer.origin,
        opened=tuple(begin.raw for begin in completer.opened),
        closed=tuple(completer.closed),
        unsent=tuple(
            Unsent(signal, item.origin, item.amount, item.data, request_id)
            for signal, item, request_id in waiting
            if id(item) not in here
        ),
        pending=None
        if sampler is None
        else tuple(
            sorted(
                (item.mark.offset, HELD if signal == HELD else item.mark.decided)
                for signal, item, _ in waiting
                if id(item) in here
            )
        ),
    )
