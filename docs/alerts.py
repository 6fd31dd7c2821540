"""Writes the tables of alerts.md from the tables in the collector's code; `make docs`.

The prose of the page is written by hand; what stands between `<!-- NAME -->` and `<!-- end -->` is not.
"""

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "collector"))

from hoptrace_collector.alert.builtin import BUILTIN, LIMITS  # noqa: E402
from hoptrace_collector.alert.facts import FIELDS  # noqa: E402

PAGE = HERE / "alerts.md"
ABOUT = {
    "report": "what Lambda reports after an invocation",
    "denial": "calls that the policy does not allow",
    "span": "spans",
    "metric": "metrics",
    "log": "log records",
}


def page(text: str) -> str:
    """The page's text, with the tables as they ought to be."""
    for name, lines in (("rules", _rules()), ("fields", _fields())):
        head, begin, rest = text.partition(f"<!-- {name} -->\n")
        _, end, tail = rest.partition("<!-- end -->")
        if not begin or not end:
            raise ValueError(f"alerts.md has no place for the table {name!r}")
        text = head + begin + "\n".join(lines) + "\n" + end + tail
    return text


def _rules() -> list[str]:
    lines = [
        "| rule | scope | alarm when | default limit, and where it comes from | severity |",
        "|---|---|---|---|---|",
    ]
    for name, rule in BUILTIN.items():
        severity = rule.get("severity", "error")
        lines.append(f"| `{name}` | {_scope(rule)} | {_condition(rule)} | {_limit(name, rule)} | {severity} |")
    return lines


def _scope(rule: dict[str, Any]) -> str:
    return str(rule.get("scope") or ("environment" if "window" in rule else "invocation"))


def _condition(rule: dict[str, Any]) -> str:
    parts = [f"{rule['summary']}: `{rule['when']}`"]
    if "where" in rule:
        parts.append(f"of those where `{rule['where']}`")
    if "of" in rule:
        parts.append(f"asked of {ABOUT[rule['of']]}")
    if "window" in rule:
        parts.append(f"within {rule['window']}")
    if "minimum" in rule:
        parts.append(f"of at least {rule['minimum']}")
    if "by" in rule:
        parts.append("for each " + " and ".join(f"`{label}`" for label in rule["by"]))
    if "resolve" in rule:
        parts.append(f"until `{rule['resolve']}`")
    if rule.get("off"):
        parts.append("**off** unless switched on")
    return ", ".join(parts).replace("|", "\\|")


def _limit(name: str, rule: dict[str, Any]) -> str:
    limit = f"`{rule['limit']}`" if "limit" in rule else ""
    return "; ".join(part for part in (limit, LIMITS.get(name, "")) if part)


def _fields() -> list[str]:
    lines = ["| of | field | type | meaning |", "|---|---|---|---|"]
    for kind, fields in FIELDS.items():
        shared = FIELDS["invocation"] if kind in ("report", "denial") else {}
        if shared:
            lines.append(f"| `{kind}` | all of `invocation`, and | | |")
        lines += [
            f"| `{kind}` | `{name}` | {type_} | {meaning} |"
            for name, (type_, meaning) in fields.items()
            if name not in shared
        ]
    return lines


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
