"""What is set about late sampling: the share of invocations that is kept, and the rules for what is kept anyway.

    rules     rule *("," rule)
    rule      "error" | "timeout" | "crash" | "cold" | "slow>" duration | "attr:" name [operator value]
    operator  "=" | "!=" | ">" | ">=" | "<" | "<="
    duration  number ("ms" | "s" | "m")

Spaces around a rule do not count. In names and values %XX stands for a byte: they can hold commas and operators so.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from hoptrace_collector.settings.lookup import Lookup, unquote

__all__ = ["Rule", "Sampling", "parse_rules", "read_sampling"]

RATIO, KEEP = "HOPTRACE_SAMPLING_RATIO", "HOPTRACE_SAMPLING_KEEP"
DEFAULT = "error,cold"
PLAIN = ("error", "timeout", "crash", "cold")
OPERATORS = (">=", "<=", "!=", ">", "<", "=")  # the longer ones first
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}

_WANTED = "error, timeout, crash, cold, slow>DURATION (slow>2s) or attr:NAME=VALUE (also !=, >, >=, <, <=)"


class Rule(NamedTuple):
    """One rule. `kind` is one of `PLAIN`, `slow` (`number` in seconds), or `attr`.

    An `attr` without an `operator` asks whether the attribute is there; `number` is its value where that is one.
    """

    kind: str
    name: str = ""
    operator: str = ""
    value: str = ""
    number: float | None = None


class Sampling(NamedTuple):
    """The share of the rest that is kept, from 0 to 1, and what is kept whatever the share is."""

    ratio: float
    keep: tuple[Rule, ...]


def read_sampling(env: Mapping[str, str], get: Lookup) -> Sampling | None:
    """Read what is set; None where everything is kept."""
    ratio = get.decimal(RATIO, 1.0)
    if ratio > 1:
        get.complain(f"{RATIO}={env[RATIO][:40]!r} is not a number from 0 to 1; the default is used")
        ratio = 1.0
    text = env.get(KEEP, "")
    try:
        keep = parse_rules(text if text.strip() else DEFAULT)
    except ValueError as error:
        get.complain(f"{KEEP}: {error}; the default {DEFAULT} is used")
        keep = parse_rules(DEFAULT)
    if ratio < 1:
        return Sampling(ratio, keep)
    if text.strip() and not env.get(RATIO, "").strip():
        get.complain(f"{KEEP} says what is kept beside a share, but {RATIO} is not set: everything is kept")
    return None


def parse_rules(text: str) -> tuple[Rule, ...]:
    """Parse rules; raises ValueError with the place of the first that is none."""
    rules, at = [], 1
    for number, entry in enumerate(text.split(","), 1):
        start = at + len(entry) - len(entry.lstrip())
        rule = _rule(entry.strip())
        if rule is None:
            raise ValueError(f"entry {number} ({entry.strip()[:40]!r}, at character {start}) is not {_WANTED}")
        rules.append(rule)
        at += len(entry) + 1
    return tuple(rules)


def _rule(entry: str) -> Rule | None:
    if entry in PLAIN:
        return Rule(entry)
    if entry.startswith("slow>"):
        seconds = _seconds(entry.removeprefix("slow>").strip())
        return None if seconds is None else Rule("slow", number=seconds)
    if entry.startswith("attr:"):
        return _attribute(entry.removeprefix("attr:"))
    return None


def _attribute(text: str) -> Rule | None:
    operator, at = "", len(text)
    for place in range(len(text)):
        operator = next((each for each in OPERATORS if text.startswith(each, place)), "")
        if operator:
            at = place
            break
    name, value = unquote(text[:at].strip()), unquote(text[at + len(operator) :].strip())
    number = _float(value)
    if not name or (operator in (">", ">=", "<", "<=") and number is None):
        return None
    return Rule("attr", name, operator, value, number)


def _seconds(text: str) -> float | None:
    for unit, seconds in UNITS.items():
        if text.endswith(unit) and (number := _float(text.removesuffix(unit).strip())) is not None and number >= 0:
            return number * seconds
    return None


def _float(text: str) -> float | None:
    parse: Callable[[str], float] = float
    plain = text.removeprefix("-").replace(".", "", 1)
    return parse(text) if plain.isascii() and plain.isdigit() and len(plain) < 300 else None
