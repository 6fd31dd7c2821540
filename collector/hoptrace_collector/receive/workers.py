"""Notices when a worker of a Managed Instance dies: its environment lives on, and Lambda tells only at the deadline.

By `/proc`, which an extension sees the function's processes in; a process that was never seen there is nobody's death.
"""

from collections.abc import Callable, Iterable

__all__ = ["Workers", "alive"]

_MOST = 4096


def alive(pid: int) -> bool:
    """Whether a process runs: one that nobody has waited for yet (a zombie) does not."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state = file.read(4096).rpartition(b")")[2].split()[:1]
    except OSError:
        return False
    return state not in ([b"Z"], [b"X"], [b"x"])


class Workers:
    """The processes that have begun invocations; `lives` tells whether one runs."""

    def __init__(self, lives: Callable[[int], bool] = alive) -> None:
        self._lives = lives
        self._seen: set[int] = set()

    def saw(self, pid: int) -> None:
        """Note that a process has begun an invocation; from the first one on it is known whether it can be seen."""
        if pid not in self._seen and len(self._seen) < _MOST and self._lives(pid):
            self._seen.add(pid)

    def dead(self, working: Iterable[int]) -> list[int]:
        """Return those of the processes at work that have been seen alive and are not any more."""
        gone = [pid for pid in set(working) if pid in self._seen and not self._lives(pid)]
        self._seen.difference_update(gone)
        return gone
