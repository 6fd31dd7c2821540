"""Runs one pattern as the command does: with an emulated AWS and a folder of its own."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console

from hoptrace_local.patterns.catalog import Pattern
from hoptrace_local.patterns.play import Outcome, play
from hoptrace_local.stage import parts
from hoptrace_local.stage.emulator import Emulator
from hoptrace_local.stage.steps import Steps


def run(pattern: Pattern, console: Console, keep: Path | None = None) -> Outcome:
    """Run a pattern once.

    Args:
        console: where the steps show.
        keep: a folder to keep logs in; by default they are in a temporary one that is removed.

    Raises:
        StepFailed: a step did not work out.
    """
    steps = Steps(console)
    with ExitStack() as things:
        if keep is None:
            made = tempfile.TemporaryDirectory(prefix="hoptrace-pattern-", ignore_cleanup_errors=True)
            folder = Path(things.enter_context(made))
        else:
            keep.mkdir(parents=True, exist_ok=True)
            folder = keep.resolve()
        emulator, layer = things.enter_context(stage(folder, steps))
        return play(pattern, emulator, layer, folder, steps)


@contextmanager
def stage(folder: Path, steps: Steps) -> Iterator[tuple[Emulator, Path]]:
    """What patterns are played on: an emulated AWS that is up, and the layer.

    Raises:
        StepFailed: one of them could not be had.
    """
    with Emulator(folder / "ministack") as emulator:
        with steps.step("Build the layer", 300):
            layer = parts.layer()
        with steps.step("Start the emulated AWS", 40):
            emulator.start()
        steps.watch("emulated AWS", lambda: emulator.log.read_text(errors="replace"))
        yield emulator, layer
