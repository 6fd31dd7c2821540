"""What one side waits for and the other side says, round after round: the tick between processes and life cycle."""

from __future__ import annotations

import asyncio


class Signal:
    """An event whose wait is a plain future, so that waiting for several at once needs no task."""

    __slots__ = ("_future",)

    def __init__(self) -> None:
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def future(self) -> asyncio.Future[None]:
        """The future of the current round."""
        return self._future

    def is_set(self) -> bool:
        """Whether the current round has happened."""
        return self._future.done()

    def set(self) -> None:
        """Say that it happened."""
        if not self._future.done():
            self._future.set_result(None)

    def clear(self) -> None:
        """Begin a new round."""
        if self._future.done():
            self._future = asyncio.get_running_loop().create_future()
