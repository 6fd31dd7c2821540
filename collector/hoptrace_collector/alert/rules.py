"""What a rule is, and how one is read: of a table of plain values, whoever has parsed the file.

    [rules.checkout-is-slow]
    when = "p95(duration) > 1.5s"

A rule that has a mistake is off, and says where the mistake is; every other rule is as it would be without it. What is
set of a built-in rule is laid over its own settings.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from hoptrace_collector.alert.compiled import Get, Value, compile_condition, compile_value
from hoptrace_collector.alert.grammar import Node, aggregates_in, names_in, needs_of, parse
from hoptrace_collector.alert.tokens import ExpressionError, quantity

__all__ = ["KINDS", "SCOPES", "SETTINGS", "SEVERITIES", "Mistake", "Rule", "Sample", "read_rules"]

INVOCATION, ENVIRONMENT, FLEET = SCOPES = ("invocation", "environment", "fleet")
# What a rule can be about.
KINDS = ("invocation", "report", "denial", "span", "metric", "log")
SEVERITIES = ("info", "warning", "error", "critical")
MOST_RULES = 100
MOST_LABELS = 5
MOST_NAMES = 10
_LONGEST_TEXT = 500
_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
DEFAULT_WINDOW = 300.0
_LONGEST_WINDOW = 86_400.0


class Mistake(NamedTuple):
    """What is wrong with one rule: under which `key` of it (empty: the rule itself), and where in an expression.

    `at` counts characters of the value from 0; -1 where it is the value as a whole.
    """

    rule: str
    key: str
    message: str
    at: int = -1

    def __str__(self) -> str:
        place = f", character {self.at + 1} of {self.key}" if self.at >= 0 else f", {self.key}" if self.key else ""
        return f"rule {self.rule}{place}: {self.message}"


class Sample(NamedTuple):
    """One aggregate of a condition: what it does with which values.

    `at` is its place in the condition, `text` how it is written there; `share` is a percentile's, from 0 to 100.
    """

    at: int
    function: str
    value: Value
    share: float
    text: str


class Rule(NamedTuple):
    """A rule, ready to be asked; times in seconds, 0 for none.

    `where` says which observations it is about, `when` what makes an alert, `resolve` what ends it where that is more
    than not `when`; `names` are the fields of `when`, and `text` is it as written. With `samples` it is about a window,
    and `when` is asked of their values. Without any of the attributes in `needs` it has nothing to say.
    """

    name: str
    scope: str
    of: str
    severity: str
    where: Callable[[Get], bool] | None
    when: Callable[[Get], bool]
    resolve: Callable[[Get], bool] | None
    samples: tuple[Sample, ...]
    window: float
    hold: float
    minimum: int
    by: tuple[str, ...]
    cooldown: float
    repeat: float
    limit: float | str | None
    summary: str
    runbook: str
    text: str
    names: tuple[str, ...]
    needs: frozenset[str] | None

    @property
    def waits_for_silence(self) -> bool:
        """Whether it is about what does not happen."""
        return any(sample.function == "absent" for sample in self.samples)


def read_rules(tables: Mapping[str, Any], builtin: Mapping[str, Mapping[str, Any]]) -> tuple[list[Rule], list[Mistake]]:
    """Return the rules that are on, the built-in ones first, and what is wrong with the others."""
    rules: list[Rule] = []
    mistakes: list[Mistake] = []
    for name in [*builtin, *(name for name in tables if name not in builtin)]:
        given = tables.get(name, {})
        if len(rules) >= MOST_RULES:
            mistakes.append(Mistake(str(name)[:100], "", f"more than {MOST_RULES} rules; it is off"))
            continue
        if not isinstance(given, Mapping):
            mistakes.append(Mistake(str(name)[:100], "", "a rule is a table of settings"))
            continue
        try:
            rule = _Reader(name, {**builtin.get(name, {}), **given}).rule()
        except _Wrong as wrong:
            mistakes.append(wrong.mistake)
            continue
        if rule is not None:
            rules.append(rule)
    return rules, mistakes


class _Wrong(Exception):
    def __init__(self, mistake: Mistake) -> None:
        super().__init__(str(mistake))
        self.mistake = mistake


class _Reader:
    """Reads one rule; its methods raise _Wrong."""

    def __init__(self, name: str, given: dict[str, Any]) -> None:
        self._name = name
        self._given = given

    def rule(self) -> Rule | None:
        if not self._name or len(self._name) > 60 or not _NAME.issuperset(self._name):
            self._name = str(self._name)[:100]
            raise self._wrong("", "a rule's name is of up to 60 small letters, digits, - and _")
        for key in self._given:
            if key not in SETTINGS:
                raise self._wrong(str(key)[:100], f"no rule has this setting; there are {', '.join(SETTINGS)}")
        if self._switched_off():
            return None
        limit = self._limit()
        constants = {} if limit is None else {"limit": limit}
        node = self._condition("when", constants)
        if node is None:
            raise self._wrong("", "it has no condition: set when")
        where, resolve = self._condition("where", constants), self._condition("resolve", constants)
        for key, other in (("where", where), ("resolve", resolve)):
            if other is not None and (found := aggregates_in(other)):
                raise self._wrong(key, f"{found[0].value} is for when", found[0].at)
        window, minimum = self._seconds("window", 0.0), self._whole("minimum", 1)
        aggregates = aggregates_in(node)
        if aggregates:
            window = window or DEFAULT_WINDOW
        elif minimum > 1 and not window:
            raise self._wrong("minimum", 'more than one are counted in a window: set window, such as "5m"')
        if resolve is not None and window:
            raise self._wrong("resolve", "what is counted in a window is over when the window says so")
        when, samples = self._prepared(node, aggregates, window, minimum, constants)
        return Rule(
            name=self._name,
            scope=self._one_of("scope", SCOPES, ENVIRONMENT if window else INVOCATION),
            of=self._one_of("of", KINDS, KINDS[0]),
            severity=self._one_of("severity", SEVERITIES, "error"),
            where=None if where is None else compile_condition(where, constants),
            when=when,
            resolve=None if resolve is None else compile_condition(resolve, constants),
            samples=samples,
            window=window,
            hold=self._seconds("for", 0.0),
            minimum=minimum if aggregates else 0,
            by=self._labels(),
            cooldown=self._seconds("cooldown", 300.0),
            repeat=self._seconds("repeat", 0.0),
            limit=limit,
            summary=self._text("summary"),
            runbook=self._text("runbook"),
            text=str(self._given["when"]),
            needs=_needs(where, aggregates or [node], bool(window)),
            names=tuple(dict.fromkeys(each.value for each in names_in(node) if each.value != "limit"))[:MOST_NAMES],
        )

    def _prepared(
        self, node: Node, aggregates: list[Node], window: float, minimum: int, constants: Mapping[str, Any]
    ) -> tuple[Callable[[Get], bool], tuple[Sample, ...]]:
        """Return what is asked, and of which samples; a plain condition in a window is a count of it."""
        condition = compile_condition(node, constants)
        if not window:
            return condition, ()
        if aggregates:
            return condition, tuple(_sample(each, constants, self._given["when"]) for each in aggregates)
        counted = Sample(0, "count", condition, 0.0, "count")
        return lambda get: bool(get(0) >= minimum), (counted,)

    def _wrong(self, key: str, message: str, at: int = -1) -> _Wrong:
        return _Wrong(Mistake(self._name, key, message, at))

    def _switched_off(self) -> bool:
        off = self._given.get("off", False)
        if not isinstance(off, bool):
            raise self._wrong("off", "it is true or false")
        return off

    def _condition(self, key: str, constants: Mapping[str, Any]) -> Node | None:
        if key not in self._given:
            return None
        text = self._given[key]
        if not isinstance(text, str):
            raise self._wrong(key, 'a condition is a text, such as "duration > 2s"')
        try:
            node = parse(text, constants=tuple(constants))
        except ExpressionError as error:
            raise self._wrong(key, error.message, error.at) from None
        if "limit" not in constants and (at := _asks_for(node, "limit")) >= 0:
            raise self._wrong(key, "the rule has no limit: set limit", at)
        return node

    def _limit(self) -> float | str | None:
        value = self._given.get("limit")
        if value is None:
            return None
        if isinstance(value, str):
            number = quantity(value)
            return value[:_LONGEST_TEXT] if number is None else number
        if isinstance(value, bool) or not isinstance(value, int | float) or not -1e300 < value < 1e300:
            raise self._wrong("limit", 'it is a number, such as 10, "2s" or "80%", or a text')
        return float(value)

    def _seconds(self, key: str, default: float) -> float:
        value = self._given.get(key, default)
        number = quantity(value) if isinstance(value, str) and "%" not in value and "B" not in value else value
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= _LONGEST_WINDOW:
            raise self._wrong(key, 'it is a time up to a day, such as "30s" or "5m"')
        return float(number)

    def _whole(self, key: str, least: int) -> int:
        value = self._given.get(key, least)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 1_000_000:
            raise self._wrong(key, f"it is a whole number from {least} to a million")
        return value

    def _one_of(self, key: str, values: tuple[str, ...], default: str) -> str:
        value = self._given.get(key, default)
        if not isinstance(value, str) or value not in values:
            raise self._wrong(key, f"it is one of {', '.join(values)}")
        return value

    def _labels(self) -> tuple[str, ...]:
        value = self._given.get("by", [])
        value = [value] if isinstance(value, str) else value
        if (
            not isinstance(value, list)
            or len(value) > MOST_LABELS
            or not all(isinstance(label, str) and label for label in value)
        ):
            raise self._wrong("by", f"it is a list of up to {MOST_LABELS} names of fields")
        return tuple(value)

    def _text(self, key: str) -> str:
        value = self._given.get(key, "")
        if not isinstance(value, str):
            raise self._wrong(key, "it is a text")
        return value[:_LONGEST_TEXT]


SETTINGS = (
    "when", "where", "resolve", "of", "scope", "window", "minimum", "for", "by", "limit", "severity", "cooldown",
    "repeat", "summary", "runbook", "off",
)  # fmt: skip
_PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0}


def _sample(node: Node, constants: Mapping[str, Any], text: str) -> Sample:
    written = text[node.at : node.end]
    function, share = str(node.value), _PERCENTILES.get(node.value, 0.0)
    if function == "percentile":
        share = node.args[1].value
    elif share:
        function = "percentile"
    if not node.args:
        return Sample(node.at, function, lambda _: True, share, written)
    compiler: Any = compile_condition if function in ("count", "rate", "absent") else compile_value
    return Sample(node.at, function, compiler(node.args[0], constants), share, written)


def _needs(where: Node | None, counted: list[Node], windowed: bool) -> frozenset[str] | None:
    """Return what there must be of something for the rule to count it, or to be ended by it."""
    if where is not None and (found := needs_of(where)) is not None:
        return found
    if not windowed or any(each.value == "rate" for each in counted):
        return None
    parts = [needs_of(each) for each in counted]
    return None if None in parts else frozenset().union(*(part for part in parts if part is not None))


def _asks_for(node: Node, name: str) -> int:
    return next((each.at for each in names_in(node) if each.value == name), -1)
