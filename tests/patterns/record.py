"""Write the traces into the READMEs anew: `python tests/patterns/record.py [NAME …]`; read what it changed.

Each pattern is run until nothing has happened for a while, whatever its README says so far.
"""

import sys
import tempfile
from pathlib import Path

from rich.console import Console

from hoptrace_local.patterns.catalog import load_all, with_shown
from hoptrace_local.patterns.play import play
from hoptrace_local.patterns.run import stage
from hoptrace_local.stage.steps import Steps

QUIET = 5.0


def main(names: list[str]) -> None:
    patterns = load_all()
    steps = Steps(Console())
    made = tempfile.TemporaryDirectory(prefix="hoptrace-patterns-", ignore_cleanup_errors=True)
    with made as folder, stage(Path(folder), steps) as (emulator, layer):
        for name in names or patterns:
            own = Path(folder) / name
            own.mkdir()
            outcome = play(patterns[name], emulator, layer, own, steps, quiet=QUIET)
            readme = patterns[name].folder / "README.md"
            readme.write_text(with_shown(readme.read_text("utf-8"), outcome.lines), encoding="utf-8")
            print("\n".join(outcome.lines))
            for check in outcome.checks[1:]:
                print("✓" if check.ok else "✗", check.name, check.wrong)


if __name__ == "__main__":
    main(sys.argv[1:])
