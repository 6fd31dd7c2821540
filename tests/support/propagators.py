"""OpenTelemetry's own propagators for B3 and X-Ray, fetched when first needed: what our formats are compared with."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .parts import PARTS

B3, XRAY = "opentelemetry-propagator-b3==1.45.1", "opentelemetry-propagator-aws-xray==1.0.2"


def installed() -> Path:
    """A folder with both, to be put at the end of the path: what they need of OpenTelemetry is there already."""
    target = PARTS / f"propagators-{B3.rpartition('=')[2]}-{XRAY.rpartition('=')[2]}"
    if not target.exists():
        PARTS.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix="propagators-", dir=PARTS))
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-warn-conflicts"]
            + ["--root-user-action=ignore", "--no-deps", "--only-binary=:all:", "--target", str(part), B3, XRAY],
            check=True,
            stdin=subprocess.DEVNULL,
        )
        part.chmod(0o755)
        try:
            part.rename(target)
        except OSError:  # another worker was quicker
            shutil.rmtree(part)
    return target
