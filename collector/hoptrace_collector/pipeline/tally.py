"""Counts for one destination: those of further ones stand beside the plain numbers, which are of the first."""

from typing import Protocol

from hoptrace_collector.counters import Counters

__all__ = ["Named", "Tally"]


class Tally(Protocol):
    """What a flusher knows of the counters."""

    def add(self, kind: str, reason: str = "", count: int = 1) -> None:
        """Add to the number of `kind` and `reason`."""

    def say(self, cause: str, line: str) -> None:
        """Say a trouble once."""


class Named:
    """The tally of the destination `name`: its numbers are `destination_…`.

    So what was received can still be compared with what was sent and dropped.
    """

    def __init__(self, counters: Counters, name: str) -> None:
        self._counters = counters
        self._name = name

    def add(self, kind: str, reason: str = "", count: int = 1) -> None:
        """Add to the number of `kind` and `reason`, by the name."""
        self._counters.add(f"destination_{kind}", f"{self._name}: {reason}" if reason else self._name, count)

    def say(self, cause: str, line: str) -> None:
        """Say a trouble once, of this destination and with the names of its variables."""
        own = line.replace("OTEL_EXPORTER_OTLP_", f"HOPTRACE_DESTINATION_{self._name.upper()}_")
        self._counters.say(f"{self._name} {cause}", f"destination {self._name}: {own}")
