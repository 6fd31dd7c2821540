"""Free ports for listeners inside environments, from below the range in which the kernel gives out its own."""

from __future__ import annotations

import itertools
import os
import socket

_FIRST, _LAST = 18_000, 31_999


class PortPool:
    """Hands out a port that is free now and was not handed out lately."""

    def __init__(self) -> None:
        # Hosts that run side by side begin in different places.
        span = _LAST - _FIRST + 1
        self._numbers = itertools.cycle(range(_FIRST, _LAST + 1))
        for _ in range(os.getpid() * 61 % span):
            next(self._numbers)

    def take(self) -> int:
        """A free port of 127.0.0.1."""
        for port in itertools.islice(self._numbers, _LAST - _FIRST + 1):
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port
        raise OSError("no free port on 127.0.0.1")
