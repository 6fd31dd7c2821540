"""Many invocations through one real collector process: each span arrives once, and the memory does not grow."""

import subprocess
import sys

import pytest

from tests.support.parts import REPOSITORY


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--invocations", "600", "--strategy", "continuous"], id="a few hundred"),
        pytest.param(
            ["--invocations", "1000000"], id="a million", marks=[pytest.mark.soak, pytest.mark.timeout(4 * 3600)]
        ),
    ],
)
def test_every_span_arrives_once_and_memory_is_flat_within_two_megabytes(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "benchmarks.collector", "--check", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert " 0 more than once" in done.stdout
