"""Where our own errors stop: nothing that goes wrong in the tracer reaches the user's function.

One guard, used at the seams (an invocation's begin and end, a patched call, a patch). It lets `BaseException`s that
are not `Exception`s through, counts what it swallows, and says each cause once. Tests set `LOUD`, so that our bugs
fail them.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from types import TracebackType


LOUD = False
"""Whether swallowed errors are raised again; for tests only."""

errors: dict[str, int] = {}
"""How often each cause (`where: type`) was swallowed in this process."""


class guard:  # noqa: N801  a context manager that reads as a word
    """Swallow and count an `Exception` of ours.

    `where` names the seam, such as `"handler.begin"`; it is what the one line in the log says.
    """

    __slots__ = ("where",)

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        if kind is None or not issubclass(kind, Exception):
            return False
        if getattr(kind, "passes_guard", False):
            return False  # meant for the user: `hoptrace.Denied`
        if LOUD or from_a_signal_handler(tb):
            return False
        swallowed(self.where, error)
        return True


def from_a_signal_handler(tb: TracebackType | None) -> bool:
    """Whether the error was raised by a signal handler of the user's that happened to run while our code did.

    It is theirs (a timeout by SIGALRM, usually) and passes. Python calls a handler with the signal's number and the
    frame that it interrupted, and nothing else is called so.
    """
    frame_type = type(sys._getframe())
    while tb is not None:
        frame = tb.tb_frame
        for name in frame.f_code.co_varnames[: min(frame.f_code.co_argcount, 3)]:
            if type(frame.f_locals.get(name)) is frame_type:
                return True
        tb = tb.tb_next
    return False


def swallowed(where: str, error: BaseException | None) -> None:
    """Count an error of ours and say it once per cause, on standard error, in one line."""
    kind = type(error).__name__
    cause = f"{where}: {kind}"
    seen = errors.get(cause, 0)
    errors[cause] = seen + 1
    if seen:
        return
    try:
        say(f"internal error in {where} ({kind}: {error}); the function runs on, part of its trace may be missing")
    except Exception:
        return


def say(message: str) -> None:
    """Write one line about ourselves to standard error, where Lambda's logs pick it up; never raises."""
    try:
        line = "hoptrace: " + message.replace("\n", " ")[:2000] + "\n"
        stream = sys.__stderr__
        if stream is not None:
            stream.write(line)
            stream.flush()
    except Exception:
        return
