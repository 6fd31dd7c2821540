"""Real parts that tests run against and that are fetched when first needed."""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from .alone import alone

REPOSITORY = Path(__file__).resolve().parents[2]
PARTS = REPOSITORY / "build" / "parts"


def rie() -> Path:
    """AWS's Runtime Interface Emulator, out of the locked aws-sam-cli wheel."""
    binary = PARTS / "aws-lambda-rie"
    with alone(binary):
        if not binary.exists():
            _fetch_rie(binary)
    return binary


def _fetch_rie(binary: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            + [
                "--require-hashes",
                "--requirement",
                str(REPOSITORY / "requirements" / "parts.txt"),
                "--dest",
                folder,
            ],
            check=True,
            stdin=subprocess.DEVNULL,
        )
        (wheel,) = Path(folder).glob("*.whl")
        PARTS.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as archive, archive.open("samcli/local/rapid/aws-lambda-rie-x86_64") as source:
            part = binary.with_suffix(".part")
            with part.open("wb") as target:
                shutil.copyfileobj(source, target)
        part.chmod(0o755)
        part.replace(binary)


def layer() -> Path:
    """The layer's zip as `make layer` wrote it; built here when a test is run by itself."""
    zip_path = REPOSITORY / "dist" / "hoptrace-layer-x86_64.zip"
    with alone(zip_path):
        if not zip_path.exists():
            build = str(REPOSITORY / "layer" / "build.py")
            command = [sys.executable, build, "--output", str(zip_path), "--allow-missing"]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return zip_path
