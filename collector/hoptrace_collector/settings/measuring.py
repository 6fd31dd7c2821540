"""What is set about metrics."""

from typing import NamedTuple

from hoptrace_collector.settings.lookup import Lookup

__all__ = ["Measuring", "read_measuring"]


class Measuring(NamedTuple):
    """Prices in US dollars: `gb_second` None stands for the list price."""

    gb_second: float | None = None
    million_requests: float = 0.2


def read_measuring(get: Lookup) -> Measuring:
    """Read what is set about metrics."""
    return Measuring(
        gb_second=get.decimal("HOPTRACE_PRICE_PER_GB_SECOND", None),
        million_requests=get.decimal("HOPTRACE_PRICE_PER_MILLION_REQUESTS", 0.2),
    )
