"""`hoptrace rules`: check a file of alert rules, and try it over what was recorded.

0: nothing wrong; 1: a mistake, or an alert that was expected and did not open; 2: wrong use, or a file cannot be read.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hoptrace_local.rules.check import Checked

WRONG = 1
# What only the collector itself hears of.
_NOT_RECORDED = ("report", "denial", "log")
_NOT_IN_SPANS = {"timeout", "timeout_share", "recursion", "cpu"}
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def rules() -> None:
    """Check alert rules, and try them over recorded spans."""


@rules.command()
@click.argument("path", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print the findings and every rule as JSON.")
def check(path: Path, as_json: bool) -> None:
    """Check a file of alert rules, and say of each rule whether it is on.

    Mistakes are told with line and column. Built-in rules are listed too, with where their limits come from.
    """
    checked = _checked(path)
    if as_json:
        print(json.dumps(_as_json(checked)))
    else:
        _tell(path, checked)
        _list(checked)
    if checked.findings:
        raise SystemExit(WRONG)


@rules.command()
@click.argument("path", type=_FILE)
@click.option("--events", "files", type=_FILE, multiple=True, required=True, help="What was recorded; may be repeated.")
@click.option("--expect", multiple=True, metavar="RULE", help="Fail unless this rule opens an alert; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print the events' details as JSON, a line each.")
def test(path: Path, files: tuple[Path, ...], expect: tuple[str, ...], as_json: bool) -> None:
    """Show what rules would tell, run over recorded spans and metrics.

    These are OTLP in JSON, a request a line, as a file of OTEL_EXPORTER_OTLP_ENDPOINT=file:///… has them, or the
    result.json of hoptrace demo --keep.
    """
    from hoptrace_local.rules.replay import Recorded, Unreadable, read, replay

    checked = _checked(path)
    recorded = Recorded([], [])
    try:
        for file in files:
            found = read(_text(file), str(file))
            recorded.spans.extend(found.spans)
            recorded.points.extend(found.points)
    except Unreadable as error:
        raise click.UsageError(str(error)) from None
    details = replay(checked.rules, recorded)
    if as_json:
        for detail in details:
            print(json.dumps(detail))
    else:
        _tell(path, checked)
        _show(details, recorded.spans, recorded.points)
        unasked = [rule.name for rule in checked.rules if rule.of in _NOT_RECORDED or _NOT_IN_SPANS & {*rule.names}]
        if unasked:
            click.echo(f"not judged, since no span says what they are about: {', '.join(unasked)}")
    opened = {detail["rule"] for detail in details if detail["transition"] == "opened"}
    missing = [name for name in expect if name not in opened]
    for name in missing:
        click.echo(f"{name} was expected to open an alert, and did not", err=True)
    if missing or checked.findings:
        raise SystemExit(WRONG)


def _checked(path: Path) -> "Checked":
    from hoptrace_local.rules import check as checking

    return checking.check(_text(path), str(path))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path} cannot be read: {error}") from None


def _tell(path: Path, checked: "Checked") -> None:
    for finding in checked.findings:
        whose = f"rule {finding.rule}" + (f", {finding.key}" if finding.key else "")
        told = f"{whose}: {finding.message}" if finding.rule else finding.message
        click.echo(f"{path}:{finding.place.line}:{finding.place.column}: {told}", err=True)


def _list(checked: "Checked") -> None:
    for rule in checked.judged:
        parts = [rule.scope, rule.state, f"limit {rule.limit}" if rule.limit else ""]
        click.echo(f"{rule.name}: {'; '.join(part for part in parts if part)}")


def _as_json(checked: "Checked") -> dict[str, Any]:
    return {
        "ok": not checked.findings,
        "findings": [
            {
                "line": finding.place.line,
                "column": finding.place.column,
                "rule": finding.rule,
                "key": finding.key,
                "message": finding.message,
            }
            for finding in checked.findings
        ],
        "rules": [rule._asdict() for rule in checked.judged],
    }


def _show(details: list[dict[str, Any]], spans: list[Any], points: list[Any]) -> None:
    for detail in details:
        state, resource = detail["state"], detail["resource"]
        trace = f" trace {detail['trace']['traceId']}" if "trace" in detail else ""
        click.echo(
            f"{state['timestamp']} {detail['transition']} {detail['rule']} ({detail['severity']}, {detail['scope']}) "
            f"{resource['functionName']}: {state['reason']}{trace}"
        )
    click.echo(f"{len(details)} events of {len(spans)} spans and {len(points)} points")
