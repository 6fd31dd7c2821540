"""One emulated AWS and one layer for all patterns of a run."""

import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from hoptrace_local.patterns import Outcome, load_all
from hoptrace_local.patterns.play import play
from hoptrace_local.patterns.run import stage
from hoptrace_local.stage.steps import Steps

Play = Callable[[str], Outcome]


@pytest.fixture(scope="session")
def play_pattern() -> Iterator[Play]:
    """Run a pattern of the catalog, as the command does but for what is shared."""
    steps = Steps(Console(file=io.StringIO()))
    # Short, since sockets have paths here that may not be long.
    made = tempfile.TemporaryDirectory(prefix="hoptrace-patterns-", ignore_cleanup_errors=True)
    with made as folder, stage(Path(folder), steps) as (emulator, layer):

        def run(name: str) -> Outcome:
            own = Path(folder) / name
            own.mkdir()
            return play(load_all()[name], emulator, layer, own, steps)

        yield run
