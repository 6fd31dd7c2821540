"""What a hop costs, against parsing the same event in the same run: never in microseconds, which machines differ in."""

import json
import subprocess
import sys

from benchmarks.hops import Figure, measure
from tests.support.parts import REPOSITORY

# Each is two to three times what it is here, where API Gateway's takes 2.5 to 5, ten messages 5, an injection 1 to 2.
MOST = {
    "identify and extract: API Gateway": 12,
    "identify and extract: SQS, ten messages": 12,
    "identify and extract: EventBridge in SNS in SQS": 25,
    "identify and extract": 25,
    "\u2026 and lay out its spans": 30,
    "inject into": 6,
}


def least(*runs: list[Figure]) -> dict[str, Figure]:
    """The best of each figure."""
    return {figures[0].name: min(figures, key=lambda figure: figure.ratio) for figures in zip(*runs, strict=True)}


def most(name: str) -> int:
    return next(limit for beginning, limit in MOST.items() if name.startswith(beginning))


def too_slow(figures: dict[str, Figure]) -> dict[str, float]:
    slow = {name: round(figure.ratio, 1) for name, figure in figures.items() if figure.ratio > most(name)}
    ten, one = (figures[f"identify and extract: SQS, {count}"] for count in ("ten messages", "one message"))
    if ten.micros > 12 * one.micros:
        slow["ten messages to one"] = ten.micros / one.micros
    return slow


def test_no_hop_costs_many_times_the_parsing_of_its_event_and_a_batch_no_more_than_its_messages() -> None:
    runs = [measure(2)]
    # A machine that has something else to do at every one of our runs is measured once more, for longer.
    while too_slow(least(*runs)) and len(runs) < 4:
        runs.append(measure(4))
    assert not too_slow(least(*runs))


def test_the_command_prints_every_figure() -> None:
    command = [sys.executable, "-m", "benchmarks.hops", "--seconds", "0.1", "--json"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True)
    printed = json.loads(done.stdout)
    assert all(figure["micros"] > 0 and figure["ratio"] == figure["micros"] / figure["loads"] for figure in printed)
    table = subprocess.run(command[:-1], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True).stdout
    assert [line.split(" | ")[0][2:] for line in table.splitlines()[2:]] == [figure["name"] for figure in printed]
