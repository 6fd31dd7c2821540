"""The report: Markdown to read, JSON to send back, and nothing in it that names an account.

Account ids, ARNs, credentials and every name that the stack gave are replaced; `--full` leaves all as it is.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from evidence import FAILS, HOLDS, UNSEEN, Assumption, Finding

_ARN = re.compile(r"arn:[a-z-]+:[A-Za-z0-9-]*:[a-z0-9-]*:[0-9]*:[^\s\"',;}\])]+")
_ACCOUNT = re.compile(r"(?<![0-9A-Za-z.])[0-9]{12}(?![0-9A-Za-z.])")
_KEY = re.compile(r"\bA(?:KIA|SIA)[A-Z0-9]{12,}\b")
_QUEUE = re.compile(r"https?://[a-z0-9.-]*(?:sqs|queue)[^\s\"',;}\])]*")


def scrub(value: Any, names: Iterable[str]) -> Any:
    """The same value without account ids, ARNs, queue addresses, keys, and the names given; keys of objects, too."""
    hidden = sorted({name for name in names if len(name) > 3}, key=len, reverse=True)

    def text(found: str) -> str:
        for pattern, word in ((_ARN, "<arn>"), (_QUEUE, "<queue>"), (_KEY, "<key>"), (_ACCOUNT, "<account>")):
            found = pattern.sub(word, found)
        for name in hidden:
            found = found.replace(name, "<name>")
        return found

    def walk(found: Any) -> Any:
        if isinstance(found, str):
            return text(found)
        if isinstance(found, dict):
            return {text(str(key)): walk(each) for key, each in found.items()}
        if isinstance(found, list | tuple):
            return [walk(each) for each in found]
        return found

    return walk(value)


def markdown(answers: list[tuple[Assumption, Finding]], about: dict[str, Any]) -> str:
    """The report as a table, what fails first."""
    order = {FAILS: 0, HOLDS: 1, UNSEEN: 3}
    rows = sorted(answers, key=lambda pair: order.get(pair[1].verdict, 2))
    counts: dict[str, int] = {}
    for _, finding in answers:
        counts[finding.verdict] = counts.get(finding.verdict, 0) + 1
    head = ", ".join(f"{name}: {value}" for name, value in about.items())
    lines = ["# hoptrace: what AWS Lambda really does", "", head, ""]
    lines += [", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())), ""]
    lines += ["| | question | assumed | seen |", "|---|---|---|---|"]
    for assumption, finding in rows:
        cells = (finding.verdict, assumption.question, assumption.assumed, finding.seen)
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ")[:600] for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def as_json(answers: list[tuple[Assumption, Finding]], about: dict[str, Any], found: Any) -> str:
    """All of it: findings, and the evidence that they rest on."""
    findings = {
        assumption.name: {"verdict": finding.verdict, "assumed": assumption.assumed, "seen": finding.seen}
        for assumption, finding in answers
    }
    return json.dumps({"about": about, "findings": findings, "evidence": found}, indent=1, sort_keys=True)
