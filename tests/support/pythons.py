"""The Pythons that Lambda has and this machine may have."""

import functools
import subprocess
import sys
from pathlib import Path

from .parts import REPOSITORY

VERSIONS = ("3.11", "3.12", "3.13", "3.14")


@functools.cache
def located(version: str) -> Path | None:
    """An interpreter of this version that really runs, found as the layer's build finds it."""
    command = [sys.executable, str(REPOSITORY / "layer" / "build.py"), "--locate", f"python{version}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    _, _, found = done.stdout.strip().partition(" ")
    return Path(found) if found else None
