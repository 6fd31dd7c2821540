"""Finds what is wrong with a file of rules, and says of each rule who judges it and where its limit comes from."""

import re
from typing import Any, NamedTuple

from hoptrace_collector.alert.builtin import BUILTIN, LIMITS
from hoptrace_collector.alert.facts import FIELDS
from hoptrace_collector.alert.grammar import names_in, parse
from hoptrace_collector.alert.rules import FLEET, KINDS, SETTINGS, Rule, read_rules
from hoptrace_collector.alert.sources import of_text
from hoptrace_collector.alert.tokens import ExpressionError
from hoptrace_local.rules.names import meant, unknown
from hoptrace_local.rules.positions import Place, locate

__all__ = ["Checked", "Finding", "Judged", "check"]

FLEET_IS_OFF = (
    "off: it is about all environments of the function together, and no table or gateway pools what they see. "
    "hoptrace rules test shows what it would do"
)
_CONDITIONS = ("when", "where", "resolve")


class Finding(NamedTuple):
    """One mistake; `rule` and `key` are empty where it is the file's."""

    place: Place
    rule: str
    key: str
    message: str


class Judged(NamedTuple):
    """What becomes of one rule: `state` is `on`, `off`, `broken`, or why it is off; `limit` with where it is from."""

    name: str
    scope: str
    state: str
    builtin: bool
    limit: str


class Checked(NamedTuple):
    """Everything that is said of a file; `rules` are those that can be asked."""

    findings: list[Finding]
    judged: list[Judged]
    rules: list[Rule]


def check(text: str, name: str) -> Checked:
    """Check the text of a file; `name` is what it is called."""
    tables, complaints = of_text(text, name)
    findings = [Finding(_told(complaint), "", "", complaint) for complaint in complaints]
    rules, mistakes = read_rules(tables, BUILTIN)
    for mistake in mistakes:
        message = mistake.message
        if mistake.key and mistake.key not in SETTINGS:
            message = f"no rule has this setting{meant(mistake.key, SETTINGS)}; there are {', '.join(SETTINGS)}"
        elif not mistake.key and "no condition" in message:
            message += meant(mistake.rule, tuple(BUILTIN))
        findings.append(
            Finding(locate(text, mistake.rule, mistake.key, mistake.at), mistake.rule, mistake.key, message)
        )
    for rule_name, table in tables.items():
        if isinstance(table, dict):
            findings += _names(text, rule_name, {**BUILTIN.get(rule_name, {}), **table}, table)
    for rule in rules:
        if isinstance(rule.limit, str) and rule.limit[:1].isdigit():
            message = f'{rule.limit!r} is a text: a number is written 10, "2s", "80%" or "512MB"'
            findings.append(Finding(locate(text, rule.name, "limit"), rule.name, "limit", message))
    broken = {mistake.rule for mistake in mistakes}
    judged = [_judged(each, tables, rules, broken) for each in dict.fromkeys([*BUILTIN, *tables])]
    return Checked(sorted(findings), judged, rules)


def _names(text: str, name: str, whole: dict[str, Any], own: dict[str, Any]) -> list[Finding]:
    """Find names that nobody knows in what the file itself says of a rule, and what is compared with another kind."""
    kind = whole.get("of", KINDS[0])
    found: list[Finding] = []
    if kind not in KINDS:
        return found
    for key in _CONDITIONS:
        condition = own.get(key)
        if not isinstance(condition, str):
            continue
        try:
            nodes = names_in(parse(condition, constants=("limit",)))
        except ExpressionError:
            continue  # said already
        wrong = [
            (node.at, message)
            for node in nodes
            if not condition.startswith("attr", node.at) and (message := unknown(kind, str(node.value)))
        ]
        try:
            parse(condition, constants=("limit",), types={field: type_ for field, (type_, _) in FIELDS[kind].items()})
        except ExpressionError as error:
            wrong.append((error.at, error.message))
        found += [Finding(locate(text, name, key, at), name, key, message) for at, message in wrong]
    labels = own.get("by", [])
    for label in [labels] if isinstance(labels, str) else labels if isinstance(labels, list) else []:
        message = unknown(kind, label) if isinstance(label, str) else ""
        if message:
            found.append(Finding(locate(text, name, "by"), name, "by", message))
    return found


def _judged(name: str, tables: dict[str, Any], rules: list[Rule], broken: set[str]) -> Judged:
    rule = next((each for each in rules if each.name == name), None)
    given = tables.get(name)
    table = {**BUILTIN.get(name, {}), **(given if isinstance(given, dict) else {})}
    scope = rule.scope if rule is not None else str(table.get("scope", ""))
    state = FLEET_IS_OFF if scope == FLEET else "on"
    if rule is None:
        state = "broken" if name in broken else "off"
    limit = ""
    if "limit" in table:
        changed = isinstance(given, dict) and "limit" in given
        source = "set in this file" if changed else LIMITS.get(name, "")
        limit = f"{table['limit']} ({source})" if source else str(table["limit"])
    return Judged(name, scope, state, name in BUILTIN, limit)


def _told(complaint: str) -> Place:
    """Return the place that a parser's own message names."""
    found = re.search(r"line (\d+),? col(?:umn)? (\d+)", complaint)
    return Place(int(found[1]), int(found[2])) if found else Place(1, 1)
