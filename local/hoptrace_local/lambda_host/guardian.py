"""The process that outlives a killed host by a moment, to take the host's children with it.

A parent-death signal would reach only direct children and needs code between fork and exec; the guardian kills whole
process groups, stopped ones too, and the host can start its children without running Python in the forked process.
"""

from __future__ import annotations

import os
import subprocess
import sys

_SCRIPT = """
import os, signal, sys
groups = set()
def finish(*_):
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:
            pass
    os._exit(0)
signal.signal(signal.SIGTERM, finish)
signal.signal(signal.SIGINT, signal.SIG_IGN)
try:
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG: a forked copy of the host may hold the pipe
    if os.getppid() != int(sys.argv[1]):
        finish()
except (ImportError, AttributeError, OSError):
    pass
for line in sys.stdin:
    sign, group = line[0], int(line[1:])
    (groups.add if sign == "+" else groups.discard)(group)
finish()
"""


class Guardian:
    """Kills every watched process group when this process is gone or `close` is called."""

    def __init__(self, python: str = sys.executable) -> None:
        self._process = subprocess.Popen(
            [python, "-I", "-S", "-c", _SCRIPT, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def watch(self, group: int) -> None:
        """Kill this process group when the host dies."""
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        """This process group is over; its number may become someone else's."""
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """Kill what is still watched and end the guardian."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        if self._process.stdin is not None and not self._process.stdin.closed:
            try:
                os.write(self._process.stdin.fileno(), line.encode())
            except BrokenPipeError:  # someone killed the guardian; the children are still ours to end
                pass
