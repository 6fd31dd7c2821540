"""The folder that stands for `/var/runtime`: the runtime client and boto3, for the interpreter that runs the function.

For the interpreter of this very process it is made of links to what is installed here; for any other one the packages
are installed into a cache, because their compiled parts do not fit.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .errors import LambdaHostError

_DISTRIBUTIONS = (
    "awslambdaric",
    "snapshot-restore-py",
    "simplejson",
    "boto3",
    "botocore",
    "s3transfer",
    "jmespath",
    "python-dateutil",
    "six",
    "urllib3",
)
_PROBE = """
import json, sys
executable = getattr(sys, "_base_executable", sys.executable)
print(json.dumps([executable, sys.version_info[:3], sys.implementation.cache_tag]))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python that runs functions."""

    executable: Path
    version: tuple[int, int, int]
    cache_tag: str

    @property
    def name(self) -> str:
        """`python3.12`."""
        return f"python{self.version[0]}.{self.version[1]}"


@functools.cache
def find_interpreter(python: Path | None) -> Interpreter:
    """The base interpreter behind `python` (default: behind this process), or `LambdaHostError`."""
    asked = str(python) if python is not None else _this_interpreter()
    try:
        found = subprocess.run(
            [asked, "-I", "-S", "-c", _PROBE], capture_output=True, text=True, timeout=30, check=True
        )
        executable, version, cache_tag = json.loads(found.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise LambdaHostError(
            f"the interpreter {asked} does not run ({error}): give FunctionConfig.python a Python 3.10 or newer"
        ) from error
    return Interpreter(Path(executable), (version[0], version[1], version[2]), cache_tag)


def _this_interpreter() -> str:
    # Inside a virtual environment sys.executable is that environment's; Lambda has none.
    return str(getattr(sys, "_base_executable", sys.executable))


def make_lang_bin(interpreter: Interpreter, folder: Path) -> Path:
    """A folder that stands for `/var/lang/bin`: `python3` is the function's interpreter."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("python3", interpreter.name):
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(interpreter.executable)
    return folder


def make_var_runtime(interpreter: Interpreter, state_dir: Path) -> Path:
    """The runtime's folder for this interpreter, made on first use and kept in the user's cache."""
    bootstrap = Path(__file__).with_name("managed_runtime.py").read_text(encoding="utf-8")
    sources = _installed_here() if interpreter.cache_tag == sys.implementation.cache_tag else None
    content = json.dumps([interpreter.version, str(interpreter.executable), sources, bootstrap, _DISTRIBUTIONS])
    name = f"var-runtime-{interpreter.name}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
    cache = _cache_dir(state_dir)
    target = cache / name
    if target.is_dir():
        return target
    making = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache))
    try:
        if sources is None:
            _install(interpreter, making)
        else:
            for top_level, source in sources.items():
                (making / top_level).symlink_to(source)
        (making / "bootstrap.py").write_text(bootstrap, encoding="utf-8")
        _compile(interpreter, making)
        making.rename(target)
    except OSError:
        if not target.is_dir():  # otherwise another process was first
            raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return target


def _installed_here() -> dict[str, str]:
    sources: dict[str, str] = {}
    for distribution in _DISTRIBUTIONS:
        try:
            files = importlib.metadata.files(distribution) or ()
        except importlib.metadata.PackageNotFoundError as error:
            raise LambdaHostError(
                f"{distribution} is not installed: install the local extra (pip install 'hoptrace[local]')"
            ) from error
        for file in files:
            top_level = file.parts[0]
            if top_level not in ("..", "__pycache__") and not top_level.endswith(".pth"):
                sources.setdefault(top_level, str(file.locate()).removesuffix(str(file)) + top_level)
    return sources


def _install(interpreter: Interpreter, target: Path) -> None:
    command = [str(interpreter.executable), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += [
        "--no-warn-script-location",
        "--root-user-action=ignore",
        "--target",
        str(target),
        "awslambdaric",
        "boto3",
    ]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON") and k != "VIRTUAL_ENV"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise LambdaHostError(
            f"awslambdaric and boto3 could not be installed for {interpreter.executable}; pip said:\n"
            f"{done.stderr.strip()}"
        )


def _compile(interpreter: Interpreter, folder: Path) -> None:
    """Some installers leave no bytecode; without it every cold start would compile boto3 anew."""
    if not list((folder / "awslambdaric").glob(f"__pycache__/*.{interpreter.cache_tag}.pyc")):
        command = [str(interpreter.executable), "-I", "-m", "compileall", "-q", str(folder)]
        subprocess.run(command, capture_output=True, check=False)


def _cache_dir(state_dir: Path) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hoptrace"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        if os.access(cache, os.W_OK | os.X_OK):
            return cache
    except OSError:
        pass
    state_dir.mkdir(parents=True, exist_ok=True)
    return state_dir
