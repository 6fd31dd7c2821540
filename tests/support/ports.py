"""A port that nobody listens on."""

import socket


def free_port() -> int:
    """A free TCP port of the loopback."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
