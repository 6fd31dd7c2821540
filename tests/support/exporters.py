"""OpenTelemetry's own exporters as a user has them in his package: an old and a new one, fetched when first needed."""

import subprocess
import sys
from pathlib import Path

from .parts import PARTS

OLD, NEW = "1.20.0", "1.45.2"
_WITH = {OLD: ("protobuf<5", "setuptools<81"), NEW: ()}


def otlp_http(version: str) -> Path:
    """A folder with `opentelemetry-exporter-otlp-proto-http` of this version and what it needs."""
    target = PARTS / f"otlp-http-{version}-{sys.version_info[0]}.{sys.version_info[1]}"
    if not target.exists():
        part = target.with_suffix(".part")
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-warn-conflicts"]
            + ["--only-binary=:all:", "--target", str(part), f"opentelemetry-exporter-otlp-proto-http=={version}"]
            + list(_WITH[version]),
            check=True,
            stdin=subprocess.DEVNULL,
        )
        part.replace(target)
    return target
