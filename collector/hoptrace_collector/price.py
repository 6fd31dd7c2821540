"""What an invocation is estimated to cost, at the published price of a GB-second.

An estimate: the list price of the first tier in us-east-1 (https://aws.amazon.com/lambda/pricing/, as of November
2026), which other regions, tiers, savings plans and the free tier change. Neither the provisioned concurrency itself,
SnapStart's snapshots, storage nor transfer are in it.
"""

from typing import NamedTuple

from hoptrace_collector.settings import Settings

__all__ = ["Price", "list_price", "price_of"]

GIBIBYTE = 1024**3

# US dollars for a GB-second, by machine: on demand, and where provisioned concurrency is used.
_ON_DEMAND = {"x86_64": 0.0000166667, "aarch64": 0.0000133334}
_PROVISIONED = {"x86_64": 0.0000097222, "aarch64": 0.0000077778}


class Price(NamedTuple):
    """US dollars, for a GB-second and for one request."""

    gb_second: float
    request: float

    def of(self, seconds: float, memory: int) -> float:
        """Return what one invocation costs that is billed for `seconds`, with `memory` in bytes."""
        return self.gb_second * seconds * memory / GIBIBYTE + self.request


def list_price(machine: str, initialization_type: str) -> float:
    """Return the published price of a GB-second: `machine` as `uname` has it; unknown ones are taken for x86_64."""
    table = _PROVISIONED if initialization_type == "provisioned-concurrency" else _ON_DEMAND
    return table["aarch64" if machine in ("aarch64", "arm64") else "x86_64"]


def price_of(settings: Settings, machine: str) -> Price | None:
    """Return the price of this function's invocations; None where time is not what is paid for (Managed Instances)."""
    if settings.managed_instances:
        return None
    per_gb_second = settings.measuring.gb_second
    if per_gb_second is None:
        per_gb_second = list_price(machine, settings.initialization_type)
    return Price(per_gb_second, settings.measuring.million_requests / 1e6)
