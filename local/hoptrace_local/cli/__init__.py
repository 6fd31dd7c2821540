"""The command `hoptrace`.

This file imports nothing beyond the standard library: whoever installed plain `hoptrace` gets the command too, and is
told in one line what is missing.
"""

import importlib.util
import sys

NEEDED = ("aiohttp", "awslambdaric", "boto3", "click", "ministack", "opentelemetry.proto", "requests", "rich")
MISSING_EXTRA = 2


def main() -> None:
    """Run the command line; the entry point of the installed command."""
    missing = [name for name in NEEDED if not _installed(name)]
    if missing:
        print(f"hoptrace: {', '.join(missing)} missing; run: pip install 'hoptrace[local]'", file=sys.stderr)
        raise SystemExit(MISSING_EXTRA)
    from hoptrace_local.cli.command import hoptrace

    hoptrace(prog_name="hoptrace")


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
