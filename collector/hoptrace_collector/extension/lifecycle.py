"""Goes from event to event, and decides when there is time for what.

Nothing here knows spans: `Work` is what happens at each moment. Whatever goes wrong in it is counted and said, and the
loop goes on, because an extension that ends before SHUTDOWN ends the function with it.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from hoptrace_collector.counters import Counters
from hoptrace_collector.extension.client import Client, ExtensionsApiError
from hoptrace_collector.told import Invoke, Shutdown

__all__ = ["Lifecycle", "Work"]

# How long before its deadline an invocation is left alone: by then `/next` must have been asked for.
MARGIN = 0.2
# Lambda kills what is left at the deadline of SHUTDOWN.
SHUTDOWN_MARGIN = 0.15
SHUTDOWN_DEFAULT = 1.4
_LONGEST_PAUSE = 5.0
# How often it is looked, in seconds, whether a snapshot is about to be taken, and how long sending may take then: the
# tracer waits for a second longer. Nobody waits for a version to be published.
_SNAPSHOT_LOOK = 0.02
SNAPSHOT_LIMIT = 4.0
# About two minutes of trying: then there is no Lambda any more, only a process that nobody ended.
_MOST_TRIES = 30


class Work(Protocol):
    """What there is to do. Deadlines are times of `time.monotonic`, in seconds."""

    def started(self, event: Invoke | Shutdown | None) -> None:
        """This generation of the collector begins with `event` (None: it has to ask for one)."""

    def invoked(self, event: Invoke) -> None:
        """The function has been given an event."""

    @property
    def attached(self) -> bool:
        """Whether the function's process has ever been heard of: where it has not, nobody rings."""

    def running(self, deadline: float) -> None:
        """The function works on it: what holds nobody up can be done meanwhile, in another thread."""

    def gone(self) -> None:
        """No function process is alive."""

    def unfinished(self, event: Invoke, /) -> bool:
        """Read the records; whether the event's invocation has not ended."""

    def drain(self, deadline: float) -> None:
        """Read everything that came in."""

    def over(self, event: Invoke, /) -> None:
        """The event's invocation has rung: whatever else is known of it, it came back."""

    def flush(self, deadline: float) -> None:
        """Send what is worth sending now."""

    def released(self) -> None:
        """The next event is about to be asked for."""

    def snapshot(self, deadline: float) -> None:
        """A snapshot is about to be taken: send everything, keep nothing."""

    def restored(self) -> None:
        """This process runs on from a snapshot."""

    def shutdown(self, event: Shutdown, deadline: float) -> None:
        """Close everything and send the last."""


class Waiter(Protocol):
    """The bell, or in its place something that never rings."""

    def wait(self, seconds: float) -> str:
        """Wait; `rung`, `gone` or `late`."""

    def clear(self) -> None:
        """Forget rings that nobody waited for."""

    def snapshot_wanted(self) -> bool:
        """Whether a snapshot is about to be taken."""


class Lifecycle:
    """The loop; `clock` is `time.monotonic`, `now` nanoseconds since the epoch."""

    def __init__(
        self,
        client: Client,
        bell: Waiter | None,
        work: Work,
        counters: Counters,
        *,
        idle_every: float | None = None,
        snap_start: bool = False,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], int] = time.time_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`idle_every`: seconds between flushes while waiting for an event, where none comes for an invocation.

        `snap_start`: a snapshot is taken before the first event.
        """
        self._client = client
        self._bell = bell
        self._work = work
        self._counters = counters
        self._idle_every = idle_every
        self._snap_start = snap_start
        self._clock = clock
        self._now = now
        self._sleep = sleep
        self._late = False

    def run(self, event: Invoke | Shutdown | None, *, rung: bool) -> None:
        """Work until SHUTDOWN. `event` is one that has been received already; `rung`: its invocation is over."""
        self._guard("start", lambda: self._work.started(event))
        if event is None:
            event = self._first()
        while isinstance(event, Invoke):
            self._guard("invocation", partial(self._invocation, event, rung=rung))
            rung = False
            event = self._next()
        self._guard("shutdown", partial(self._shutdown, event))

    def _invocation(self, event: Invoke, *, rung: bool) -> None:
        self._work.invoked(event)
        deadline = self._deadline(event.deadline_ms) - MARGIN
        if not rung:
            self._guard("background", lambda: self._work.running(deadline))
        heard = "rung" if rung else self._wait(event, deadline)
        if heard == "gone" and not self._work.attached:
            # Nobody would ring: what the invocations before have left is sent while this one runs.
            self._work.drain(deadline)
            if not self._work.attached:
                self._work.flush(deadline)
                self._work.released()
                return
        if heard == "gone":
            # Lambda is resetting, and the caller's error waits for us: the rest can be done at SHUTDOWN.
            self._work.gone()
        self._work.drain(deadline)
        if heard == "rung":
            self._work.over(event)
            self._work.flush(deadline)
        if self._bell is not None:
            self._bell.clear()
        self._work.released()

    def _wait(self, event: Invoke, deadline: float) -> str:
        if self._bell is None:
            return "late"
        heard = self._bell.wait(deadline - self._clock())
        if heard == "rung" and self._late and self._work.unfinished(event):
            # The ring of an invocation that we had given up waiting for.
            heard = self._bell.wait(deadline - self._clock())
        self._late = heard == "late"
        return heard

    def _shutdown(self, event: Shutdown) -> None:
        deadline = self._clock() + SHUTDOWN_DEFAULT
        if event.deadline_ms:
            deadline = self._deadline(event.deadline_ms) - SHUTDOWN_MARGIN
        self._work.shutdown(event, deadline)

    def _deadline(self, deadline_ms: int) -> float:
        """Turn epoch milliseconds into a time of the monotonic clock."""
        return self._clock() + deadline_ms / 1000.0 - self._now() / 1e9

    def _first(self) -> Invoke | Shutdown:
        """Ask for the first event; between that and its answer a snapshot may have been taken."""
        if not self._snap_start:
            return self._next()
        event = self._next(self._look, _SNAPSHOT_LOOK)
        if isinstance(event, Invoke):
            self._guard("restore", self._work.restored)
        return event

    def _look(self) -> None:
        if self._bell is not None and self._bell.snapshot_wanted():
            self._guard("snapshot", lambda: self._work.snapshot(self._clock() + SNAPSHOT_LIMIT))

    def _next(self, idle: Callable[[], None] | None = None, every: float = 0.0) -> Invoke | Shutdown:
        """Ask until there is an event: an extension has nothing else to live for."""
        pause = 0.05
        if idle is None and self._idle_every:
            idle, every = self._idle, self._idle_every
        for _ in range(_MOST_TRIES):
            try:
                event = self._client.next(idle, every or 1.0)
                if event is not None:
                    return event
                self._counters.add("events", "unknown")
            except ExtensionsApiError as error:
                self._counters.say("next", f"Lambda's Extensions API does not answer ({error}); asking again")
                self._sleep(pause)
                pause = min(_LONGEST_PAUSE, pause * 2)
        self._counters.say("no api", "Lambda's Extensions API is gone; ending as for SHUTDOWN")
        return Shutdown("failure", 0)

    def _idle(self) -> None:
        deadline = self._clock() + 10.0
        self._guard("drain", lambda: self._work.drain(deadline))
        self._guard("flush", lambda: self._work.flush(deadline))

    def _guard(self, where: str, do: Callable[[], None]) -> None:
        try:
            do()
        except Exception as error:  # the one guard: nothing may end this loop but SHUTDOWN
            self._counters.failed(where, error)
