"""Makes metrics of the peaks, beside the limit of the account that they share."""

from collections.abc import Iterable

from hoptrace_collector.gateway.peaks import Peak
from hoptrace_collector.model import Number

__all__ = ["points"]

_FUNCTION = ("hoptrace.function.concurrency.max", "Largest number of invocations of the function at a time.")
_ACCOUNT = ("hoptrace.account.concurrency.max", "Largest number of invocations in the account and region at a time.")
_LIMIT = ("hoptrace.account.concurrency.limit", "The account's concurrency limit, as it was set.")
_SHARE = ("hoptrace.account.concurrency.utilization", "Largest number of invocations at a time, by the limit.")
_UNIT = "{invocation}"


def points(peaks: Iterable[Peak], limits: Iterable[tuple[tuple[str, str], int]] = ()) -> list[Number]:
    """Return gauges: by function and by account, with the account's limit and the share of it where that is known.

    `limits` are by account and region, either empty for any. A window that was closed before its time is marked
    by `hoptrace.concurrency.complete` = false.
    """
    known = dict(limits)
    made = []
    for peak in peaks:
        account, region, name = peak.function
        attributes = [("cloud.account.id", account), ("cloud.region", region), ("faas.name", name)]
        told: tuple[tuple[str, object], ...] = tuple((key, value) for key, value in attributes if value)
        if not peak.complete:
            told = (*told, ("hoptrace.concurrency.complete", False))
        of, description = _FUNCTION if name else _ACCOUNT
        made.append(_gauge(of, _UNIT, description, told, peak.value, peak))
        limit = None if name else _limit(known, account, region)
        if limit:
            made.append(_gauge(_LIMIT[0], _UNIT, _LIMIT[1], told, limit, peak))
            made.append(_gauge(_SHARE[0], "1", _SHARE[1], told, peak.value / limit, peak))
    return made


def _limit(known: dict[tuple[str, str], int], account: str, region: str) -> int | None:
    for where in ((account, region), (account, ""), ("", region), ("", "")):
        if where in known:
            return known[where]
    return None


def _gauge(
    name: str, unit: str, description: str, told: tuple[tuple[str, object], ...], value: float, at: Peak
) -> Number:
    return Number("gauge", name, unit, description, told, value, at.start, at.end)
