"""Appends requests to a file, a line of OTLP's JSON each ("OpenTelemetry Protocol File Exporter" of the specification).

A file holds one signal, as the specification demands. It is bounded: when it is full it becomes the one before, whose
name has `.1` in it, and the one before that goes.
"""

import os
from collections.abc import Callable

from hoptrace_collector.export.exporter import RETRY, SENT, Limits, Loss, Result
from hoptrace_collector.export.pieces import leaves, parse_request
from hoptrace_collector.otlp_json import to_json

__all__ = ["File"]

MOST_BYTES = 64 * 1024 * 1024
_FULL = ("ENOSPC", "EDQUOT", "EFBIG")


class File:
    """Appends to `path`, or in the folder `path` (it ends with `/`) to a file that is named after the signal.

    In a folder the name also has a random part: environments share a file system, and over a network two that append
    to one file overwrite each other. `most`: bytes that both files together may have.
    """

    advice = "Check the path of the endpoint and the function's permissions for it"
    configured = True
    timeout = 5.0
    limits = Limits()

    def __init__(
        self,
        signal: str,
        path: str,
        *,
        most: int = MOST_BYTES,
        new_id: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._signal = signal
        self._where = path
        self._most = most
        self._new_id = new_id
        self.renew()

    def renew(self) -> None:
        """Take another name in a folder: environments of one snapshot would all have the same."""
        folder = self._where.endswith("/")
        self._path = f"{self._where}{self._signal}-{self._new_id(4).hex()}.jsonl" if folder else self._where
        self.name = self._path

    def send(self, body: bytes, deadline: float) -> Result:
        """Append one batch; see `Exporter.send`."""
        del deadline
        request = parse_request(self._signal, body)
        line = to_json(request) + b"\n"
        try:
            self._append(line)
        except OSError as error:
            if _is_full(error):
                lost = Loss(
                    "disk_full", sum(1 for _ in leaves(self._signal, request)), f"do not fit ({error.strerror})"
                )
                return Result(SENT, lost=(lost,))
            return Result(RETRY, error.strerror or type(error).__name__)
        return Result(SENT)

    def _append(self, line: bytes) -> None:
        """Write the whole line or nothing of it; raises OSError."""
        folder = os.path.dirname(self._path)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            before = os.fstat(descriptor).st_size
            if before and before + len(line) > self._most // 2:
                stem, dot, ending = self._path.rpartition(".")
                os.replace(self._path, f"{stem}.1{dot}{ending}")
                os.close(descriptor)
                descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                before = 0
            try:
                view = memoryview(line)
                while view:
                    view = view[os.write(descriptor, view) :]
            except OSError:
                os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)


def _is_full(error: OSError) -> bool:
    import errno

    return error.errno in [getattr(errno, name) for name in _FULL]
