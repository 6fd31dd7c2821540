"""When the spans are sent, and for how long that may hold anything up.

In Lambda the work is done between the response and the next event, while the environment is still awake: in a thread,
since neither a look-up of a name nor a server that answers a byte a second knows a deadline, and the main thread waits
for it as long as the budget lasts. Elsewhere nobody waits; the process' end does, for a moment.
"""

from __future__ import annotations

import os
import threading
import time

from ..encode import SCOPE
from ..guard import guard, say
from .batches import LOGS, METRICS, SIGNALS, TRACES, Batch, Reader
from .post import REFUSED, RETRY, SENT, TOO_LARGE, Post, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..settings import Settings
    from .settings import Target
    from .spool import Source, Spool

SHARE = 0.8
RESERVE = 0.1
"""Seconds, and the share of the remaining time: what is left after them is the environment's own, to ask for the next
event in time at the smallest memory size. A function that Lambda finds at work at its deadline is reset."""

LEAST = 0.05
"""Seconds below which nothing is begun."""

_LONGEST_PAUSE = 60.0
_TRIES = 3
_MOST_FAILURES = 8
"""Of metrics or logs whose spans have been sent or go elsewhere: two minutes, by the pauses between them."""


def budget(target: Target, deadline: int, now: float) -> float:
    """Seconds that may be spent now.

    Args:
        deadline: of the invocation, epoch milliseconds; 0 when unknown.
        now: seconds since the epoch.
    """
    most = min(target.timeout, target.flush_timeout)
    return min(most, (deadline / 1000 - now) * SHARE - RESERVE) if deadline else most


class Sender:
    """Sends what the spool has.

    Args:
        adopts: whether to send what dead processes have left.
    """

    def __init__(self, spool: Spool, target: Target, knobs: Settings, *, adopts: bool) -> None:
        self._spool = spool
        self._target = target
        self._knobs = knobs
        self._resource = knobs.resource
        self._adopts = adopts
        self._dead: set[str] = set()
        self._posts = {TRACES: Post(target)}
        self._post = self._posts[TRACES]
        self._readers: dict[Source, Reader] = {}
        self._pid = os.getpid()
        self._thread: threading.Thread | None = None
        self._given_up: threading.Thread | None = None
        self._again = False
        self._failures = 0
        self._not_before = 0.0  # seconds since the epoch: a monotonic clock may stand still in the freeze
        self._said: set[str] = set()
        self.dropped: dict[str, int] = {}
        """Spans that were not delivered and never will be, by reason."""

    def flush(self, deadline: int, *, wait: bool) -> None:
        """Send in a thread; with `wait` until that is done, or the budget is used up."""
        if self._pid != os.getpid():
            self._forked()
        seconds = budget(self._target, deadline, time.time()) if wait else self._target.timeout
        if seconds < LEAST or time.time() < self._not_before:
            return
        self._again = True
        thread = self._thread
        if thread is None or not thread.is_alive():
            # A look-up that hangs has one thread, not one for each invocation.
            until = time.monotonic() + seconds
            thread = self._thread = threading.Thread(target=self._run, args=(until,), name="hoptrace", daemon=True)
            thread.start()
        if wait:
            thread.join(seconds)
            if thread.is_alive():
                self._given_up = thread
                self._post.abort()
                self._failed(Result(RETRY, f"no answer within {seconds:.1f} s"))

    def finish(self) -> None:
        """The process ends: send what is left, within the time of one flush."""
        if self._pid != os.getpid():
            return
        until = time.monotonic() + min(self._target.timeout, self._target.flush_timeout)
        thread = self._thread
        if thread is not None:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                self._post.abort()
                return
        self._again = True
        if time.time() >= self._not_before:
            self._run(until)

    def _forked(self) -> None:
        """A child has its parent's memory, and neither its threads nor its files."""
        self._pid = os.getpid()
        self._thread = None
        self._readers = {}
        self._posts = {TRACES: Post(self._target)}
        self._post = self._posts[TRACES]

    # -- in the thread ---------------------------------------------------------------------------------------------

    def _run(self, until: float) -> None:
        with guard("direct.send"):
            while self._again:
                self._again = False
                if self._adopts:
                    self._adopts = False
                    self._count("left behind", self._spool.adopt(), "file")
                if not self._send_all(until):
                    return

    def _send_all(self, until: float) -> bool:
        """Send every source; whether all of it is gone."""
        for source in self._spool.sources():
            reader = self._readers.get(source)
            if reader is None:
                reader = self._readers[source] = Reader(source, self._resource, SCOPE)
            while (batch := reader.read(time.time_ns())) is not None:
                if not self._deliver(batch, until):
                    if batch.begun:
                        reader.keep(batch)
                    return False
                reader.commit(batch)
                for reason, count in batch.dropped.items():
                    self._count(reason, count, "record")
            if source.finished:
                del self._readers[source]
            self._spool.done(source)
        return True

    def _deliver(self, batch: Batch, until: float) -> bool:
        """Whether the batch is done with, every signal of it: sent, refused for good, or given up."""
        for signal in SIGNALS:
            if batch.of(signal) and not self._sent(batch, signal, until):
                batch.failures += 1
                most = 1 if signal in self._dead else _MOST_FAILURES
                if batch.failures < most or not self._is_alone(batch, signal):
                    return False
                # It must not hold up the spans for ever.
                self._dead.add(signal)
                self._failures, self._not_before = 0, 0.0
                self._count("their endpoint does not answer", _amount(batch, signal), _NAMES[signal])
                batch.of(signal).clear()
        return True

    def _is_alone(self, batch: Batch, signal: str) -> bool:
        """Whether a signal that cannot be sent has a fault of its own: the spans go elsewhere, or have been sent."""
        return signal != TRACES and (batch.begun or self._post.target.address != self._target.address)

    def _sent(self, batch: Batch, signal: str, until: float) -> bool:
        """Whether a signal is done with; what is sent of it is out of the batch."""
        post = self._post = self._post_for(signal)
        items = batch.of(signal)
        size = len(items)
        while items:
            part = batch.part(signal, items[:size])
            result = self._tried(post, part, until) if post.target.host else Result(REFUSED)
            if result.kind == RETRY:
                if threading.current_thread() is not self._given_up:
                    self._failed(result, _NAMES[signal])
                return False
            self._failures, self._not_before = 0, 0.0
            self._dead.discard(signal)
            if result.kind == TOO_LARGE and len(part.of(signal)) > 1:
                size = len(part.of(signal)) // 2
                continue
            self._account(post, part, signal, result)
            del items[:size]
            batch.begun = True
        return True

    def _account(self, post: Post, part: Batch, signal: str, result: Result) -> None:
        """Count what was not delivered and never will be."""
        count, name = _amount(part, signal), _NAMES[signal]
        if result.kind == SENT:
            self._count(f"rejected by the backend ({result.reason[:200]})", result.rejected, name)
        elif not post.target.host:
            self._count("there is no endpoint for them", 0 if post.target.off else count, name)
        else:
            kind = REFUSED if result.kind == REFUSED else TOO_LARGE
            self._count(f"{kind}, {post.target.address} answered {result.reason}", count, name)

    def _post_for(self, signal: str) -> Post:
        if signal not in self._posts:
            from .settings import read

            target, lines = read(self._knobs.environ, signal)
            for line in lines:
                if f"_{signal.upper()}_" in line:  # what concerns all signals is said for the traces
                    self._say_once(line, line)
            self._posts[signal] = Post(target, signal)
        return self._posts[signal]

    def _tried(self, post: Post, batch: Batch, until: float) -> Result:
        """Post, and again after a pause where the budget has room for it."""
        for number in range(_TRIES):
            result = post.send(batch, until)
            if result.kind != RETRY:
                break
            pause = result.wait or 0.1 * 2**number * (0.5 + os.urandom(1)[0] / 255)
            if time.monotonic() + pause > until - LEAST:
                break
            time.sleep(pause)
        return result

    def _failed(self, result: Result, name: str = "span") -> None:
        """Leave the backend alone for a while, longer each time; the records wait."""
        self._failures += 1
        pause = result.wait or min(2.0 ** (self._failures - 1), _LONGEST_PAUSE)
        self._not_before = time.time() + pause
        self._say_once(
            result.reason,
            f"{name}s cannot be sent to {self._post.target.address} ({result.reason}); they are kept, up to "
            f"{self._target.queue_bytes} bytes, and sent with later ones",
        )

    def _count(self, reason: str, count: int, what: str) -> None:
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count
            self._say_once(reason, f"{count} {what}{'s' if count > 1 else ''} lost: {reason}")

    def _say_once(self, cause: str, line: str) -> None:
        if cause not in self._said and len(self._said) < 32:
            self._said.add(cause)
            say(line)


_NAMES = {TRACES: "span", LOGS: "log record", METRICS: "data point"}


def _amount(batch: Batch, signal: str) -> int:
    if signal != METRICS:
        return len(batch.of(signal))
    from .measured import amount

    return sum(map(amount, batch.metrics))
