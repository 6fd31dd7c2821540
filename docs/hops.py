"""Writes hops.md, the table of every trigger and every carrier, from the code; `make docs`.

Nothing is imported: the table of triggers and the docstrings are read as syntax, so any Python can write the page and
nothing depends on what a module does when it is loaded. A labelled line of a docstring ("Context: …") reaches to the
next label or to a blank line.
"""

import ast
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TRACER = HERE.parent / "tracer" / "hoptrace"

TRIGGER_LABELS = ("Recognised by", "Context", "Hops", "Pointers")
CARRIER_LABELS = ("Calls", "Written", "Read", "Limits", "Without room", "Default")
# What several carriers are built of; no call of AWS's is theirs alone.
SHARED = ("attributes", "json_data", "keys", "reserved")


class Unlabelled(ValueError):
    """A module whose docstring does not say what the page needs."""


def triggers(package: Path = TRACER) -> list[tuple[str, Path]]:
    """Every trigger's name and module in the order of the table, and what is left for everything else."""
    folder = package / "triggers"
    for node in ast.parse((folder / "__init__.py").read_text("utf-8")).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "TRIGGERS":
            assert isinstance(node.value, ast.Tuple)
            rows = [row.elts for row in node.value.elts if isinstance(row, ast.Tuple)]
            return [*((_text(row[0]), folder / f"{_text(row[2])}.py") for row in rows), ("other", folder / "direct.py")]
    raise Unlabelled("triggers/__init__.py has no TRIGGERS")


def carriers(package: Path = TRACER) -> list[tuple[str, Path]]:
    """Every carrier's name and module."""
    files = sorted((package / "carriers").glob("*.py"))
    return [(file.stem, file) for file in files if file.stem not in ("__init__", *SHARED)]


def labelled(file: Path, labels: tuple[str, ...]) -> dict[str, str]:
    """The labelled lines of a module's docstring.

    Raises:
        Unlabelled: one is missing or empty.
    """
    found: dict[str, list[str]] = {}
    current = None
    for line in (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").splitlines():
        label, colon, rest = line.partition(":")
        if colon and label in labels:
            current = label
            found[label] = [rest.strip()]
        elif not line.strip():
            current = None
        elif current is not None:
            found[current].append(line.strip())
    values = {label: " ".join(lines).strip() for label, lines in found.items()}
    missing = [label for label in labels if not values.get(label)]
    if missing:
        raise Unlabelled(f"{file.parent.name}/{file.name}: the docstring has no line {missing[0]!r}")
    return values


def faas_trigger(file: Path) -> str:
    """The `faas.trigger` of a trigger's arrivals: what its module makes them with, "other" where it says nothing."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Arrival", "arrive"):
            said = node.args[1] if len(node.args) > 1 else None
            constants = (said.body, said.orelse) if isinstance(said, ast.IfExp) else (said,)
            found |= {"http"} if node.func.id == "arrive" else {_text(one) if one else "other" for one in constants}
    return " or ".join(sorted(found, key=lambda word: (word == "other", word))) or "other"


def table(rows: list[tuple[str, Path]], labels: tuple[str, ...], first: str) -> list[str]:
    """One table, as lines of Markdown."""
    more = ["`faas.trigger`"] if labels is TRIGGER_LABELS else []
    titles = [first, *more, *(label.lower() for label in labels)]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for name, file in rows:
        values = labelled(file, labels)
        cells = [f"`{name}`", *(faas_trigger(file) for _ in more), *(_cell(values[label]) for label in labels)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _cell(text: str) -> str:
    """A sentence alone needs no full stop in a table."""
    alone = text.endswith(".") and ". " not in text
    return (text[:-1] if alone else text).replace("|", "\\|")


def page(package: Path = TRACER) -> str:
    """The page's text."""
    return "\n".join(
        [
            "# Every trigger and every carrier",
            "",
            "Written from the code by `make docs`: each row is the docstring of a module in `tracer/hoptrace/triggers`",
            "or `tracer/hoptrace/carriers`. What lies behind them is in [triggers.md](triggers.md) and",
            "[propagation.md](propagation.md).",
            "",
            "## Triggers: where a context is looked for",
            "",
            "The first row that fits reads the event.",
            "",
            *table(triggers(package), TRIGGER_LABELS, "trigger"),
            "",
            "## Carriers: where a context is put",
            "",
            *table(carriers(package), CARRIER_LABELS, "carrier"),
            "",
        ]
    )


def _text(node: ast.expr) -> str:
    assert isinstance(node, ast.Constant)
    assert isinstance(node.value, str)
    return node.value


if __name__ == "__main__":
    target = HERE / "hops.md"
    try:
        text = page()
    except Unlabelled as error:
        sys.exit(str(error))
    if "--check" in sys.argv:
        sys.exit(target.read_text("utf-8") != text)
    target.write_text(text, "utf-8")
