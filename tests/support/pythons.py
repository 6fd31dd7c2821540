"""The Pythons that Lambda has and this machine may have."""

import functools
import importlib.util
from pathlib import Path

from .parts import REPOSITORY

VERSIONS = ("3.11", "3.12", "3.13", "3.14")


@functools.cache
def located(version: str) -> Path | None:
    """An interpreter of this version that really runs, found as the layer's build finds it."""
    spec = importlib.util.spec_from_file_location("hoptrace_layer_build", REPOSITORY / "layer" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    found = build.locate(f"python{version}")
    return Path(found) if found else None
