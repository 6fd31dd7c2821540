"""Prints a run: the waterfall, the figures, the alert and what the remedy made of it, the checks."""

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.markup import escape
from rich.rule import Rule

from hoptrace_local.demo.outcome import Outcome
from hoptrace_local.report.figures import figures
from hoptrace_local.report.tables import alert_panel, figures_table
from hoptrace_local.report.waterfall import LEGEND, waterfall
from hoptrace_local.stage.soundness import Check


def outcome(console: Console, run: Outcome, checks: Iterable[Check]) -> None:
    """Print everything about a run of the demo."""
    console.print()
    console.print(Rule(f"trace {run.visit.trace_id}"))
    for line in waterfall(run.trace, console.width):
        console.print(line, soft_wrap=True)
    console.print(LEGEND, style="dim")
    console.print()
    console.print(figures_table(figures(run.trace), {name: c.peak_concurrency for name, c in run.counted.items()}))
    console.print()
    console.print(alert_panel(run.alert))
    console.print(f"What the remedy did: {escape(remedy_line(run.circuit))}")
    console.print()
    for check in checks:
        mark = "[green]✓[/]" if check.ok else "[red]✗[/]"
        console.print(f"{mark} {escape(check.name)}" + ("" if check.ok else f"[red]: {escape(check.wrong)}[/]"))


def remedy_line(circuit: Mapping[str, str]) -> str:
    """Say in one line what stands in the application's table because of the alert."""
    if not circuit:
        return "nothing"
    return ", ".join(f"{key}={value}" for key, value in sorted(circuit.items()) if key != "alert")


def failure(console: Console, step: str, reason: str, tail: Mapping[str, list[str]]) -> None:
    """Print which step failed, why, and the last lines of the logs."""
    for log, lines in tail.items():
        console.print(Rule(f"last lines: {escape(log)}", style="dim"))
        for line in lines:
            console.print(escape(line), style="dim", soft_wrap=True)
    console.print(f"[red]✗ {escape(step)}[/]: {escape(reason)}", soft_wrap=True)
