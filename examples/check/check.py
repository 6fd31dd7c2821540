"""Asks a deployed stack what AWS Lambda really does, and prints a report to send back.

    python check.py --stack hoptrace-check > report.md

It deploys nothing: it invokes the stack's functions, sends a message through each of its hops, waits, and reads what
they wrote down. It needs boto3. The exit code is 0 also when assumptions fail: that is what the report is for.
"""

import argparse
import datetime as dt
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from assumptions import ask
from evidence import Finding
from gather import World, endings, gather, replay
from report import as_json, markdown, scrub


def main(arguments: list[str] | None = None) -> int:
    """Check and print."""
    parser = argparse.ArgumentParser(description="Asks a deployed stack what AWS Lambda really does.")
    parser.add_argument("--stack", default="hoptrace-check", help="the CloudFormation stack (hoptrace-check)")
    parser.add_argument("--region")
    parser.add_argument("--profile")
    parser.add_argument("--json", default="report.json", help="file for the whole evidence (report.json); - for none")
    parser.add_argument("--full", action="store_true", help="leave account ids and names in the report")
    parser.add_argument("--patience", type=float, default=90, help="seconds to wait for each message (90)")
    parser.add_argument(
        "--spindown",
        type=float,
        default=0,
        help="minutes to wait for environments to be shut down, usually 10 or more (0: do not)",
    )
    parser.add_argument(
        "--replay", type=float, default=0, help="minutes before the archive is replayed, 15 (0: do not)"
    )
    parser.add_argument("--pace", type=float, default=1, help=argparse.SUPPRESS)  # for probes with other settings
    options = parser.parse_args(arguments)

    from aws import Stack

    try:
        stack = Stack(options.stack, options.region, options.profile)
    except Exception as error:
        print(f"the stack {options.stack} cannot be read: {error}\nREADME.md says how to deploy it", file=sys.stderr)
        return 2
    text, content = run(
        stack,
        about={"date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}", "region": stack.region},
        names=[] if options.full else stack.names,
        full=options.full,
        patience=options.patience,
        pace=options.pace,
        spindown=options.spindown,
        replay_after=options.replay,
    )
    print(text)
    if options.json != "-":
        Path(options.json).write_text(content, "utf-8")
        print(f"the evidence is in {options.json}", file=sys.stderr)
    return 0


def run(
    world: World,
    *,
    about: dict[str, Any],
    names: list[str],
    full: bool = False,
    patience: float = 90,
    pace: float = 1,
    spindown: float = 0,
    replay_after: float = 0,
) -> tuple[str, str]:
    """Gather, judge and render: the report as Markdown and as JSON."""

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    found = gather(world, patience=patience, pace=pace, tell=tell)
    if world.place("Ending"):
        world.invoke("Ending", {"do": "nothing"})
    if spindown:
        tell(f"waiting {spindown:.0f} minutes for environments to end")
        time.sleep(spindown * 60)
    try:
        found["endings"] = endings(world)
        if replay_after:
            found["replay"] = replay(world, replay_after, tell)
    except Exception as error:
        tell(f"not read: {type(error).__name__}: {error}")
    return rendered(found, about=about, names=names, full=full)


def rendered(found: dict[str, Any], *, about: dict[str, Any], names: list[str], full: bool) -> tuple[str, str]:
    """The report on what was found."""
    answers = ask(found)
    if not full:
        answers = [
            (assumption, Finding(finding.verdict, scrub(finding.seen, names))) for assumption, finding in answers
        ]
        found = scrub(found, names)
    return markdown(answers, about), as_json(answers, about, found)


if __name__ == "__main__":
    sys.exit(main())
