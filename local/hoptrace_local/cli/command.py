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

FAILED = 1
INTERRUPTED, TERMINATED = 130, 143
WIDTH = 120


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("hoptrace"), prog_name="hoptrace")
def hoptrace() -> None:
    """Tracing for Python on AWS Lambda, hop by hop across SQS, SNS and EventBridge."""


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


def _width(stream: object) -> int | None:
    """Answer None for a terminal, which knows its own width."""
    return None if getattr(stream, "isatty", bool)() else WIDTH


def _terminated(_number: int, _frame: FrameType | None) -> None:
    """End as an exception does, so that everything that was started is stopped."""
    raise SystemExit(TERMINATED)
