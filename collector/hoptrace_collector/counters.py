"""Counts what happens to the data and says each trouble once.

The collector may neither fail nor fall silent: whatever is dropped, refused or malformed becomes a number that is
exported with the metrics, and each cause gets one line in the function's log, however often it happens.
"""

import sys
import threading
from collections.abc import Callable

__all__ = ["Counters", "to_stderr"]

RECEIVED = "received"
SENT = "sent"
FAILED = "failed"
DROPPED = "dropped"
UNSAMPLED = "unsampled"
SAMPLED_OUT = "sampled_out"

_LONGEST_LINE = 800
_MOST_CAUSES = 200
_MOST_REASONS = 200
_OTHER = "_OTHER"


def to_stderr(line: str) -> None:
    """Write `line` to stderr as one write, so that lines of two threads do not mix; a closed stderr is survived."""
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass


class Counters:
    """Numbers by (kind, reason) since the last `take`, and the lines already said.

    The telemetry listener's thread counts too, hence the lock.
    """

    __slots__ = ("_counts", "_lock", "_said", "_total", "_write")

    def __init__(self, write: Callable[[str], None] = to_stderr) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._total: dict[tuple[str, str], int] = {}
        self._said: set[str] = set()
        self._lock = threading.Lock()
        self._write = write

    def add(self, kind: str, reason: str = "", count: int = 1) -> None:
        """Add `count` to the number for `kind` (what happened) and `reason` (why)."""
        key = (kind, reason)
        if not count:
            return
        with self._lock:
            if key not in self._total and len(self._total) >= _MOST_REASONS:
                key = (kind, _OTHER)  # some reasons are what a stranger has written
            self._counts[key] = self._counts.get(key, 0) + count
            self._total[key] = self._total.get(key, 0) + count

    def take(self) -> dict[tuple[str, str], int]:
        """Return the numbers since the last call and begin again at zero."""
        with self._lock:
            counts, self._counts = self._counts, {}
        return counts

    def totals(self) -> dict[tuple[str, str], int]:
        """Return the numbers by (kind, reason) since the start."""
        with self._lock:
            return dict(self._total)

    def total(self, kind: str, reason: str | None = None) -> int:
        """Return the number since the start: of one reason, or of all when `reason` is None."""
        with self._lock:
            return sum(n for (k, r), n in self._total.items() if k == kind and reason in (None, r))

    def say(self, cause: str, line: str) -> None:
        """Write `hoptrace: line` unless this `cause` has had its line already.

        The line is cut at 800 characters and loses its line breaks: it may quote what a stranger sent.
        """
        with self._lock:
            if cause in self._said or len(self._said) >= _MOST_CAUSES:
                return
            self._said.add(cause)
        flat = " ".join(line.split())
        self._write("hoptrace: " + flat[:_LONGEST_LINE])

    def failed(self, where: str, error: Exception) -> None:
        """Count an error of our own that a guard has stopped, and say it once for each place and type."""
        name = type(error).__name__
        self.add("errors", where)
        self.say(f"error {where} {name}", f"{where} failed ({name}: {error}); the function is not affected")
