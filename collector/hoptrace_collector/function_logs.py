"""Ships what the function logs, each record with the ids of its trace; loaded only where that is asked for."""

from collections.abc import Callable, Iterable
from typing import Any

from hoptrace_collector.counters import RECEIVED, Counters
from hoptrace_collector.export.logs import encode_logs
from hoptrace_collector.model import Begin, End
from hoptrace_collector.pipeline.queue import Inlet, Item
from hoptrace_collector.receive.function_logs import read
from hoptrace_collector.receive.owners import Owners
from hoptrace_collector.told import Line

__all__ = ["FunctionLogs"]


class FunctionLogs:
    """Takes lines from `lines()`, and queues them as OTLP."""

    def __init__(
        self,
        lines: Callable[[], Iterable[Line]],
        queue: Inlet,
        counters: Counters,
        *,
        opened: Iterable[Begin],
        managed: bool,
        now: Callable[[], int],
    ) -> None:
        """`opened`: what an earlier generation has left open; `managed`: many invocations run side by side."""
        self._lines = lines
        self._queue = queue
        self._counters = counters
        self._now = now
        self._owners = Owners(alone=not managed)
        for begin in opened:
            self._owners.began(begin, past=True)

    def follow(self, record: object) -> None:
        """See an invocation begin or end."""
        if isinstance(record, Begin):
            self._owners.began(record)
        elif isinstance(record, End):
            self._owners.ended(record)

    def take(self, resource: tuple[tuple[str, Any], ...]) -> None:
        """Queue what has come; everything that the function has recorded must have been read before."""
        now = self._now()
        read_lines = (read(line, now) for line in self._lines())
        records = [self._owners.signed(record) for record in read_lines if record is not None]
        if not records:
            return
        self._counters.add("logs_" + RECEIVED, "", len(records))
        for data, amount in encode_logs(resource, records):
            self._queue.put(Item(None, data, amount=amount))
