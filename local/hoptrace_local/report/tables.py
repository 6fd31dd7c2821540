"""Figures and alerts as tables and frames for a terminal."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table

from hoptrace_local.report.figures import Figures
from hoptrace_local.report.waterfall import duration


def figures_table(rows: Iterable[Figures], host_peaks: Mapping[str, int]) -> Table:
    """Make the table of figures by function; the peak concurrency as spans and as the local Lambda have it."""
    table = Table(title="Metrics by function", title_justify="left")
    table.add_column("function")
    for heading in ("invocations", "errors", "timeouts", "cold starts", "init avg / max", "duration avg / max"):
        table.add_column(heading, justify="right")
    table.add_column("peak concurrency\nspans / host", justify="right")
    for row in rows:
        host = str(host_peaks[row.name]) if row.name in host_peaks else "-"
        inits = f"{duration(row.init_average)} / {duration(row.init_maximum)}" if row.init_maximum else "-"
        table.add_row(
            row.name,
            str(row.invocations),
            _red(row.errors),
            _red(row.timeouts),
            str(row.cold_starts),
            inits,
            f"{duration(row.duration_average)} / {duration(row.duration_maximum)}",
            f"{row.peak_concurrency} / {host}",
        )
    return table


def alert_panel(alert: Mapping[str, Any]) -> Panel:
    """Frame the alert event as the remedy function received it."""
    body = Syntax(json.dumps(alert, indent=2), "json", word_wrap=True, background_color="default")
    return Panel(body, title="the alert event, as the remedy received it", title_align="left")


def _red(number: int) -> str:
    return f"[red]{number}[/]" if number else "0"
