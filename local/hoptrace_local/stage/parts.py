"""Finds the application and the layer, in a checkout as well as beside an installed wheel, and builds the layer once.

The layer's key is made of everything that goes into it: a changed line is a new layer, an unchanged one costs no time.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("hoptrace", "hoptrace_collector")
KEPT = 5
"""How many built layers stay in the cache."""
INGREDIENTS = ("opentelemetry-proto", "protobuf", "wrapt")


class PartMissing(RuntimeError):
    """The application or the layer's builder is not where it should be."""


def checkout() -> Path | None:
    """The repository's root when this package runs out of a checkout."""
    root = Path(__file__).resolve().parents[3]
    inside = root / "local" / "hoptrace_local" / "stage" == Path(__file__).resolve().parent
    return root if inside and (root / "examples" / "orders").is_dir() else None


def application() -> Path:
    """The folder with the four functions of the demo.

    Raises:
        PartMissing: it is neither in a checkout nor in the package.
    """
    return _found("examples/orders", "_examples/orders", "the demo's application")


def patterns() -> Path:
    """The folder with the patterns.

    Raises:
        PartMissing: it is neither in a checkout nor in the package.
    """
    return _found("examples/patterns", "_examples/patterns", "the folder of the patterns")


def layer_builder() -> Path:
    """The script that builds the layer.

    Raises:
        PartMissing: it is neither in a checkout nor in the package.
    """
    return _found("layer/build.py", "_layer/build.py", "the layer's builder")


def layer(cache: Path | None = None, timeout: float = 240.0) -> Path:
    """Build the layer for this very interpreter, or take the one that was built of the same sources.

    Args:
        cache: where built layers are kept; by default `build/` in a checkout, the user's cache folder outside.
        timeout: seconds.

    Raises:
        RuntimeError: the builder failed; the message has its last lines.
    """
    builder = layer_builder()
    folder = cache or _cache_folder()
    target = folder / f"hoptrace-layer-{_key(builder)}.zip"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{os.getpid()}-{target.name}"
    try:
        done = subprocess.run(
            [sys.executable, str(builder), "--output", str(unfinished), "--python", sys.executable, "--allow-missing"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            last = "\n".join(done.stdout.splitlines()[-10:])
            raise RuntimeError(f"{builder} ended with exit code {done.returncode}\n{last}")
        unfinished.replace(target)
        for old in sorted(folder.glob("hoptrace-layer-*.zip"), key=lambda zip_: -zip_.stat().st_mtime)[KEPT:]:
            old.unlink(missing_ok=True)
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def _found(in_checkout: str, in_package: str, what: str) -> Path:
    root = checkout()
    path = root / in_checkout if root else Path(__file__).resolve().parents[1] / in_package
    if not path.exists():
        raise PartMissing(f"{what} is missing: {path}")
    return path


def _cache_folder() -> Path:
    root = checkout()
    if root and os.access(root, os.W_OK):
        return root / "build" / "demo"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hoptrace"


def _key(builder: Path) -> str:
    digest = hashlib.sha256(f"{platform.python_version()} {platform.machine()} {sys.executable}".encode())
    for name in INGREDIENTS:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = "none"
        digest.update(f"{name} {version}\n".encode())
    for file in _ingredients(builder):
        digest.update(f"{file.name}\n".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _ingredients(builder: Path) -> Iterator[Path]:
    folders = [builder.parent]
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise PartMissing(f"the package {name} is not installed")
        folders.append(Path(spec.origin).parent)
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file
