"""Puts together what the files of the rooms beside this one have: `golden_*.py` and `scenarios_*.py`."""

import importlib
from pathlib import Path
from typing import Any


def of_rooms(prefix: str, name: str) -> list[Any]:
    """The attribute `name` of every module here whose name begins with `prefix`, in the order of the files' names."""
    files = sorted(Path(__file__).parent.glob(f"{prefix}*.py"))
    return [getattr(importlib.import_module(path.stem), name) for path in files]


def all_scenarios() -> tuple[Any, ...]:
    from scenarios import SCENARIOS

    scenarios = (*SCENARIOS, *(scenario for room in of_rooms("scenarios_", "SCENARIOS") for scenario in room))
    names = [scenario.__name__ for scenario in scenarios]
    assert len(names) == len(set(names)), "two scenarios of one name would write one file"
    return scenarios
