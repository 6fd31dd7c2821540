"""What a hop costs, against parsing the same event in the same run: never in microseconds, which machines differ in."""

import json
import subprocess
import sys

import pytest

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


@pytest.fixture(scope="module")
def figures() -> list[Figure]:
    return measure(2)


def most(name: str) -> int:
    return next(limit for beginning, limit in MOST.items() if name.startswith(beginning))


def test_no_hop_costs_many_times_the_parsing_of_its_event(figures: list[Figure]) -> None:
    found = {figure.name: round(figure.ratio, 1) for figure in figures}
    # A machine that does something else at every one of our runs is measured once more.
    again = {figure.name: figure.ratio for figure in measure(4)} if any(found[n] > most(n) for n in found) else {}
    slow = {name: ratio for name, ratio in found.items() if min(ratio, again.get(name, ratio)) > most(name)}
    assert not slow


def test_a_batch_costs_no_more_for_each_message_than_one_alone(figures: list[Figure]) -> None:
    micros = {figure.name: figure.micros for figure in figures}
    assert micros["identify and extract: SQS, ten messages"] < 11 * micros["identify and extract: SQS, one message"]


def test_the_command_prints_every_figure() -> None:
    command = [sys.executable, "-m", "benchmarks.hops", "--seconds", "0.1", "--json"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True)
    printed = json.loads(done.stdout)
    assert all(figure["micros"] > 0 and figure["ratio"] == figure["micros"] / figure["loads"] for figure in printed)
    table = subprocess.run(command[:-1], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True).stdout
    assert [line.split(" | ")[0][2:] for line in table.splitlines()[2:]] == [figure["name"] for figure in printed]
