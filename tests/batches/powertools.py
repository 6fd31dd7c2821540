"""Powertools for AWS Lambda as its users ship it: versions from PyPI, installed once and kept."""

import functools
import sys
from pathlib import Path

from tests.clash.packages import THIS, installed

NEWEST = ("aws-lambda-powertools", "pydantic")
BEFORE_3 = ("aws-lambda-powertools==2.43.1", "pydantic<3")
FIRST_2 = ("aws-lambda-powertools==2.0.0",)
"""It converts a record outside of the block that takes its errors, and processes neither side by side nor in order."""

VERSIONS = {"newest": NEWEST, "2.43": BEFORE_3, "2.0": FIRST_2}


@functools.cache
def packages(name: str) -> Path:
    """The folder to put on the path."""
    return installed(f"powertools-batch-{name}", VERSIONS[name], THIS, Path(sys.executable))
