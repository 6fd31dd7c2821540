"""When is sent: HOPTRACE_FLUSH_STRATEGY, and the older HOPTRACE_FLUSH_INTERVAL."""

from collections.abc import Mapping
from typing import NamedTuple

from hoptrace_collector.settings.lookup import Lookup

__all__ = ["FlushStrategy", "read_strategy"]

_PERIOD = 20_000


class FlushStrategy(NamedTuple):
    """`kind` is `adaptive`, `end`, `periodic` or `continuous`; `every` the least time between two, in seconds."""

    kind: str = "adaptive"
    every: float = 0.0


def read_strategy(env: Mapping[str, str], get: Lookup) -> FlushStrategy:
    """Read `adaptive`, `end`, `periodic[,MS]` or `continuous[,MS]`; an interval alone makes it periodic."""
    interval = get.milliseconds("HOPTRACE_FLUSH_INTERVAL", 0, least=0)
    text = env.get("HOPTRACE_FLUSH_STRATEGY", "").strip()
    if not text:
        return FlushStrategy("periodic", interval) if interval else FlushStrategy()
    kind, comma, number = (part.strip().lower() for part in text.partition(","))
    if kind in ("adaptive", "end") and not comma:
        return FlushStrategy(kind)
    if kind in ("periodic", "continuous") and (
        not comma or (number.isascii() and number.isdigit() and len(number) < 9)
    ):
        default = (interval or _PERIOD / 1000) if kind == "periodic" else 0.0
        return FlushStrategy(kind, int(number) / 1000 if comma else default)
    get.complain(
        f"HOPTRACE_FLUSH_STRATEGY={text[:40]!r} is none of adaptive, end, periodic,MS and continuous; adaptive is used"
    )
    return FlushStrategy()
