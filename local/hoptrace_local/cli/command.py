"""What `hoptrace` can be told, and the exit code it ends with.

0: everything held; 1: a step failed or a check does not hold; 2: wrong use, or something is not installed; 130 and 143:
interrupted.
"""

import json
import os
import signal
import sys
from importlib.metadata import version
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from hoptrace_local.cli.rules import rules

FAILED = 1
INTERRUPTED, TERMINATED = 130, 143
WIDTH = 120


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("hoptrace"), prog_name="hoptrace")
def hoptrace() -> None:
    """Tracing for Python on AWS Lambda, hop by hop across SQS, SNS and EventBridge."""


hoptrace.add_command(rules)


@hoptrace.command()
@click.option("--json", "as_json", is_flag=True, help="Print the whole result as JSON; the steps go to stderr.")
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep logs and the result (result.json) in this folder.",
)
def demo(as_json: bool, keep: Path | None) -> None:
    """Run a four-function application on this machine and show its trace.

    Starts an emulated AWS and a local Lambda with the layer attached, places three orders at once, and shows one
    trace across HTTP API, SNS, SQS and EventBridge, the metrics, and the alert that a remedy function acted on. With
    OTEL_EXPORTER_OTLP_ENDPOINT set, the same trace is sent there.
    """
    from hoptrace_local.demo import show
    from hoptrace_local.demo.checks import judge
    from hoptrace_local.demo.run import run
    from hoptrace_local.stage.steps import StepFailed

    signal.signal(signal.SIGTERM, _terminated)
    progress = Console(stderr=as_json, highlight=False, width=_width(sys.stderr if as_json else sys.stdout))
    try:
        outcome = run(progress, os.environ, keep)
    except StepFailed as failure:
        show.failure(Console(stderr=True, highlight=False), failure.step, failure.reason, failure.tail)
        raise SystemExit(FAILED) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    checks = judge(outcome)
    result = {
        **outcome.as_json(),
        "checks": [{"name": check.name, "ok": check.ok, "wrong": check.wrong} for check in checks],
    }
    if keep is not None:
        (keep / "result.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
        progress.print(f"[dim]kept in {keep}[/]")
    if as_json:
        print(json.dumps(result))
    else:
        show.outcome(progress, outcome, checks)
    if not all(check.ok for check in checks):
        raise SystemExit(FAILED)


@hoptrace.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the whole result as JSON; the steps go to stderr.")
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep logs and the result (result.json) in this folder.",
)
def patterns(name: str | None, as_json: bool, keep: Path | None) -> None:
    """List patterns of event-driven applications, or run one and show its trace.

    Fan-out, aggregator, router, retries to a dead-letter queue and others: each is a small application that is built
    as its SAM template says, in an emulated AWS and a local Lambda with the layer attached. The trace that comes of it
    is compared with the one in its README.
    """
    from hoptrace_local.demo.show import failure as show_failure
    from hoptrace_local.patterns import show
    from hoptrace_local.patterns.catalog import load_all
    from hoptrace_local.patterns.run import run
    from hoptrace_local.stage.parts import PartMissing
    from hoptrace_local.stage.steps import StepFailed

    signal.signal(signal.SIGTERM, _terminated)
    try:
        found = load_all()
    except PartMissing as missing:
        raise click.ClickException(str(missing)) from None
    if name is None:
        listing = [{"name": pattern.name, "title": pattern.title} for pattern in found.values()]
        if as_json:
            print(json.dumps(listing))
        else:
            show.listed(Console(highlight=False, width=_width(sys.stdout)), found.values())
        return
    if name not in found:
        raise click.UsageError(f"there is no pattern {name}; there are {', '.join(found)}")
    progress = Console(stderr=as_json, highlight=False, width=_width(sys.stderr if as_json else sys.stdout))
    try:
        outcome = run(found[name], progress, keep)
    except StepFailed as failure:
        show_failure(Console(stderr=True, highlight=False), failure.step, failure.reason, failure.tail)
        raise SystemExit(FAILED) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    if keep is not None:
        (keep / "result.json").write_text(json.dumps(outcome.as_json(), indent=1), encoding="utf-8")
        progress.print(f"[dim]kept in {keep}[/]")
    if as_json:
        print(json.dumps(outcome.as_json()))
    else:
        show.outcome(progress, outcome)
    if not all(check.ok for check in outcome.checks):
        raise SystemExit(FAILED)


def _width(stream: object) -> int | None:
    """Answer None for a terminal, which knows its own width."""
    return None if getattr(stream, "isatty", bool)() else WIDTH


def _terminated(_number: int, _frame: FrameType | None) -> None:
    """End as an exception does, so that everything that was started is stopped."""
    raise SystemExit(TERMINATED)
