"""Ports that nobody listens on."""

import contextlib
import socket
from collections.abc import Iterator


def free_port() -> int:
    """A free TCP port of the loopback."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def refusing() -> Iterator[str]:
    """The address of a backend that is not there, and whose port nobody else gets meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: whoever connects is refused
        yield f"http://127.0.0.1:{held.getsockname()[1]}"
