"""Chooses what exports a signal, by what its settings say."""

import time
from collections.abc import Callable

from hoptrace_collector.connections import Connections
from hoptrace_collector.export.exporter import Exporter
from hoptrace_collector.export.sender import Sender
from hoptrace_collector.settings import Otlp

__all__ = ["exporter_for"]


def exporter_for(
    signal: str, target: Otlp, *, connections: Connections | None = None, now: Callable[[], float] = time.time
) -> Exporter:
    """Return the exporter of `signal` (`traces`, `metrics` or `logs`) to `target`.

    `connections` may be shared by exporters that one thread calls; `now` gives seconds since the epoch.
    """
    del signal  # OTLP/HTTP in protobuf is the same for all of them
    return Sender(target, now=now, connections=connections)
