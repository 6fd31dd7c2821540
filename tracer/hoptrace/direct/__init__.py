"""Where there is no collector: the records go from this process to the OTLP endpoint, after the response is out.

    spool: what is recorded, in files that outlive this process
    batches: records read back, as many as fit one request
    measured: metrics and logs made through OpenTelemetry's API, read back
    closing: invocations that never came back
    as_json, as_protobuf: a batch's spans as OTLP writes them; signals_json, signals_protobuf: its metrics and logs
    post: one request, within a deadline
    sender: when all of that happens, and for how long

With a collector nothing of this is imported. Without one, what a cold start does not need (everything but the spool and
its settings) is imported after the first response.
"""

from __future__ import annotations

import os
import threading

from ..guard import say
from .settings import read

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from ..settings import Settings
    from .sender import Sender
    from .spool import Spool


class Direct:
    """What stands in for the collector.

    Attributes:
        spool: where records go; `None` where nothing is sent.
    """

    def __init__(self, knobs: Settings, *, in_lambda: bool) -> None:
        """Read the settings and open the spool.

        Args:
            in_lambda: whether this process is frozen between invocations, so that `over` has to wait for the backend,
                and whether the next process may find what this one leaves.
        """
        self._knobs = knobs
        self._in_lambda = in_lambda
        self._target, complaints = read(knobs.environ)
        self._complaints = complaints
        self._sender: Sender | None = None
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self.spool: Spool | None = None
        somewhere = self._target
        if not somewhere.host:
            others = (read(knobs.environ, signal)[0] for signal in ("metrics", "logs"))
            somewhere = next((other for other in others if other.host), somewhere)
        if somewhere.host:
            from .spool import Spool

            if not self._target.host:
                self._complaints = []  # that nothing is sent, which is not so
            self.spool = Spool(knobs.run_dir, somewhere.queue_bytes, knobs.max_record_bytes, keep=in_lambda)

    def over(self, deadline: int) -> None:
        """An invocation has come back: send what there is, within a share of the time until its deadline.

        Args:
            deadline: epoch milliseconds, 0 when unknown.
        """
        if self._pid != os.getpid():
            self._pid, self._lock = os.getpid(), threading.Lock()  # a thread of the parent's may hold the old one
        # Never waited for: who has it sends what is in the spool, this invocation's records included.
        if self._lock.acquire(blocking=False):
            try:
                self._over(deadline)
            finally:
                self._lock.release()

    def _over(self, deadline: int) -> None:
        complaints, self._complaints = self._complaints, []
        for line in complaints:  # now, and not at the start: a line costs a cold start time
            say(line)
        if self.spool is None:
            return
        if self._sender is None:
            from .sender import Sender

            self._sender = Sender(self.spool, self._target, self._knobs, adopts=self._in_lambda)
            if not self._in_lambda:
                import atexit

                atexit.register(self._sender.finish)
        self._sender.flush(deadline, wait=self._in_lambda)

    def close(self) -> None:
        """Send what there is and give everything back; for tests."""
        if self._sender is not None:
            import atexit

            atexit.unregister(self._sender.finish)
            self._sender.finish()
        if self.spool is not None:
            self.spool.close()


__all__ = ["Direct"]
