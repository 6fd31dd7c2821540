"""The one run of the demo that the tests of this folder look at."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from typing import Any

import pytest

from hoptrace_local.sink import OtlpSink

Json = dict[str, Any]


@pytest.fixture(scope="session")
def result() -> Json:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "AWS_", "HOPTRACE_"))}
    with OtlpSink() as backend:
        done = subprocess.run(
            [sys.executable, "-m", "hoptrace_local.cli", "demo", "--json"],
            capture_output=True,
            text=True,
            timeout=300,
            env={**clean, "OTEL_EXPORTER_OTLP_ENDPOINT": backend.endpoint},
            check=False,
        )
    assert done.stdout, done.stderr
    parsed: Json = json.loads(done.stdout)
    failed = [check for check in parsed["checks"] if not check["ok"]]
    assert (done.returncode, failed) == (0, []), done.stderr
    parsed["backend"] = {span.span_id: asdict(span) for span in backend.spans}
    return parsed
