"""Whether an invocation is kept whatever its chance is."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from hoptrace_collector.fit import Attributes
from hoptrace_collector.model import Begin, Invocation
from hoptrace_collector.settings.sampling import Rule

__all__ = ["Facts", "keeps"]


class Facts(NamedTuple):
    """What is known of an invocation when it is decided about; `seconds` is how long it has taken.

    `outcome` as in `Invocation`, empty while it is not over; `failed` says that one of its spans has the status ERROR.
    """

    outcome: str
    failed: bool
    seconds: float
    attributes: Attributes
    resource: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, invocation: Invocation, *, failed: bool) -> "Facts":
        """All that there is to know: it is over."""
        span = invocation.span
        seconds = max(0, span.end - span.start) / 1e9
        return cls(invocation.outcome, failed, seconds, span.attributes, invocation.origin.resource)

    @classmethod
    def so_far(cls, begin: Begin | None, *, failed: bool, now: int) -> "Facts":
        """What is known of one that is not over; without a `begin` there is only its spans."""
        if begin is None:
            return cls("", failed, 0.0, {}, ())
        return cls("", failed, max(0, now - begin.span.start) / 1e9, begin.span.attributes, begin.origin.resource)


def keeps(rules: Iterable[Rule], facts: Facts) -> bool:
    """Whether one of the rules keeps an invocation."""
    return any(_holds(rule, facts) for rule in rules)


def _holds(rule: Rule, facts: Facts) -> bool:
    if rule.kind == "error":
        return facts.failed or facts.outcome not in ("", "ok", "unknown")
    if rule.kind == "timeout":
        return facts.outcome == "timeout"
    if rule.kind == "crash":
        return facts.outcome in ("crash", "init_error")
    if rule.kind == "cold":
        return facts.attributes.get("faas.coldstart") is True
    if rule.kind == "slow":
        return rule.number is not None and facts.seconds > rule.number
    value = facts.attributes.get(rule.name)
    if value is None:
        value = next((value for name, value in facts.resource if name == rule.name), None)
    return value is not None and _compares(rule, value)


def _compares(rule: Rule, value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_compares(rule, item) for item in value)
    if not rule.operator:
        return True
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = str(value).lower() if isinstance(value, bool) else value
        if rule.operator in ("=", "!="):
            return (text == rule.value) == (rule.operator == "=")
        return False
    if rule.number is None:
        return rule.operator == "!="
    return {
        "=": value == rule.number,
        "!=": value != rule.number,
        ">": value > rule.number,
        ">=": value >= rule.number,
        "<": value < rule.number,
        "<=": value <= rule.number,
    }[rule.operator]
