"""Prints a pattern's run: what happened as a waterfall of each trace, the outline, the checks."""

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.markup import escape
from rich.rule import Rule
from rich.table import Table

from hoptrace_local.otlp import Span
from hoptrace_local.patterns.catalog import Pattern
from hoptrace_local.patterns.play import Outcome
from hoptrace_local.report.waterfall import LEGEND, waterfall


def listed(console: Console, patterns: Iterable[Pattern]) -> None:
    """Print which patterns there are."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for pattern in patterns:
        table.add_row(f"[bold]{escape(pattern.name)}[/]", escape(pattern.title))
    console.print(table)
    console.print("\n[dim]hoptrace patterns NAME runs one of them on this machine[/]")


def outcome(console: Console, run: Outcome) -> None:
    """Print everything about a run."""
    for trace_id, spans in _traces(run.spans).items():
        console.print()
        console.print(Rule(f"trace {trace_id}"))
        for line in waterfall(spans, console.width, run.spans):
            console.print(line, soft_wrap=True)
    console.print(LEGEND, style="dim")
    console.print()
    console.print(Rule("what must come of every run"))
    for text in run.lines:
        console.print(escape(text), soft_wrap=True, highlight=False)
    console.print()
    for check in run.checks:
        mark = "[green]✓[/]" if check.ok else "[red]✗[/]"
        wrong = "" if check.ok else f"[red]: {escape(check.wrong)}[/]"
        console.print(f"{mark} {escape(check.name)}{wrong}", soft_wrap=True)


def _traces(spans: Iterable[Span]) -> Mapping[str, list[Span]]:
    """The spans by trace, the trace that began first before the others."""
    found: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda span: span.start):
        found.setdefault(span.trace_id, []).append(span)
    return found
