"""Finds the patterns: every folder of examples that has a `pattern.py`, and the trace that its README shows."""

import importlib.util
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from hoptrace_local.patterns.template import Template, physical
from hoptrace_local.stage import parts

HEADING = "## The trace"
FENCE = "```"


class PatternBroken(ValueError):
    """A pattern's folder is not as it should be."""


@dataclass(frozen=True)
class Pattern:
    """One example; `expected` are the lines of the outline in its README."""

    name: str
    title: str
    folder: Path
    expected: tuple[str, ...]
    template: Template
    module: ModuleType

    @property
    def functions(self) -> list[str]:
        """The functions' names, in the order of the template."""
        return [physical(name) for name in self.template.functions]

    def hook(self, name: str) -> Callable[..., Any] | None:
        """A function of the pattern's own module, when it has one of that name."""
        found: Callable[..., Any] | None = getattr(self.module, name, None)
        return found


def load_all() -> dict[str, Pattern]:
    """Every pattern by name, in alphabetical order.

    Raises:
        PartMissing: there are no examples here.
        PatternBroken: one of them cannot be read.
    """
    return {folder.parent.name: load(folder.parent) for folder in sorted(parts.patterns().glob("*/pattern.py"))}


def load(folder: Path) -> Pattern:
    """Read the pattern in a folder.

    Raises:
        PatternBroken: it lacks something.
    """
    module = _module(folder / "pattern.py")
    title = (inspect.getdoc(module) or "").partition("\n")[0]
    if not title or not callable(getattr(module, "start", None)):
        raise PatternBroken(f"{folder / 'pattern.py'} needs a docstring and a function start(hand)")
    readme = (folder / "README.md").read_text(encoding="utf-8")
    return Pattern(folder.name, title, folder, shown(readme), Template(folder / "template.yaml"), module)


def shown(readme: str) -> tuple[str, ...]:
    """The lines of the first block under the heading of the trace; none when there is no such block."""
    _, _, after = readme.partition(HEADING + "\n")
    _, _, block = after.partition(f"{FENCE}text\n")
    return tuple(block.partition(FENCE)[0].splitlines())


def with_shown(readme: str, lines: list[str]) -> str:
    """The README with another trace in it.

    Raises:
        PatternBroken: it has no place for one.
    """
    before, heading, after = readme.partition(HEADING + "\n")
    lead, fence, block = after.partition(f"{FENCE}text\n")
    if not heading or not fence:
        raise PatternBroken(f"the README has no block under {HEADING!r}")
    rest = block[block.index(FENCE) :]
    return before + heading + lead + fence + "".join(f"{line}\n" for line in lines) + rest


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"hoptrace_pattern_{path.parent.name.replace('-', '_')}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
