"""Layers become one folder, as Lambda lays them over each other into `/opt`."""

from __future__ import annotations

import shutil
import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path

from .errors import LambdaHostError


def lay_over(layers: Iterable[Path], target: Path) -> Path:
    """Copy every layer (a zip file or a folder) into `target`, later ones over earlier ones, and return it."""
    target.mkdir(parents=True, exist_ok=True)
    for layer in layers:
        if layer.is_dir():
            shutil.copytree(layer, target, symlinks=True, dirs_exist_ok=True)
        elif not layer.exists():
            raise LambdaHostError(
                f"the layer {layer} does not exist: build it first, or take it out of the function's layers"
            )
        elif not zipfile.is_zipfile(layer):
            raise LambdaHostError(f"the layer {layer} is neither a folder nor a zip file")
        else:
            _unzip(layer, target)
    return target


def _unzip(layer: Path, target: Path) -> None:
    with zipfile.ZipFile(layer) as archive:
        for entry in archive.infolist():
            mode = entry.external_attr >> 16
            if stat.S_ISLNK(mode):
                link = target / entry.filename
                link.parent.mkdir(parents=True, exist_ok=True)
                link.unlink(missing_ok=True)
                link.symlink_to(archive.read(entry).decode())
                continue
            written = Path(archive.extract(entry, target))
            if mode and not entry.is_dir():  # zipfile forgets the modes, and an extension must be executable
                written.chmod(stat.S_IMODE(mode) | stat.S_IRUSR)
