"""Finds a mistyped handler before anything is started; only what Lambda itself could not find either is refused."""

from __future__ import annotations

import sys
from pathlib import Path

from .config import FunctionConfig
from .errors import LambdaHostError


def check_handler_file(function: FunctionConfig, opt: Path) -> None:
    """Raise `LambdaHostError` when no folder of the function's path has the handler's module."""
    module, dot, _ = function.handler.rpartition(".")
    first = module.replace("/", ".").split(".", 1)[0]
    if not dot or not first or first in sys.builtin_module_names:
        return  # the runtime client has its own words for these
    folders = [function.code, opt / "python", *opt.glob("python/lib/python3*/site-packages")]
    folders += [Path(entry) for entry in function.environment.get("PYTHONPATH", "").split(":") if entry]
    if any(folder.is_dir() and _has_module(folder, first) for folder in folders):
        return
    raise LambdaHostError(
        f"the handler {function.handler} of {function.name} names a module that is neither in {function.code} nor in a "
        f"layer: correct FunctionConfig.handler or code (check_handler=False leaves the error to the runtime)"
    )


def _has_module(folder: Path, name: str) -> bool:
    return (folder / name).is_dir() or any(folder.glob(f"{name}.*"))
