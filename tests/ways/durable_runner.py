"""AWS's own local runner of durable executions, and its SDK, both as published; the function is in the local Lambda."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.clash.packages import THIS, installed
from tests.support.ports import free_port

REQUIREMENTS = ("aws-durable-execution-sdk-python==3.0.0", "aws-durable-execution-sdk-python-testing==1.4.0")


def packages() -> Path:
    """The folder that has the SDK and the runner."""
    return installed("durable", REQUIREMENTS, THIS, Path(sys.executable))


class Runner:
    """The runner's HTTP interface."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def start(self, function: str, payload: object, name: str) -> str:
        """Start an execution; its ARN."""
        body = {
            "AccountId": "123456789012",
            "FunctionName": function,
            "FunctionQualifier": "$LATEST",
            "ExecutionName": name,
            "ExecutionTimeoutSeconds": 60,
            "ExecutionRetentionPeriodDays": 1,
            "InvocationId": "11111111-2222-4333-8444-555555555555",
            "Input": json.dumps(payload),
        }
        arn: str = self._call("/start-durable-execution", body)["ExecutionArn"]
        return arn

    def ended(self, arn: str, timeout: float = 30.0) -> dict[str, Any]:
        """Wait until an execution is over; what is told of it."""
        path = "/2025-12-01/durable-executions/" + urllib.request.quote(arn, safe="")  # type: ignore[attr-defined]
        end = time.monotonic() + timeout
        while (found := self._call(path))["Status"] == "RUNNING":
            assert time.monotonic() < end, found
            time.sleep(0.05)
        return found

    def _call(self, path: str, body: object = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found


@contextlib.contextmanager
def running(lambda_port: int, port: int, folder: Path) -> Iterator[Runner]:
    """Run it beside a local Lambda that listens on `lambda_port`."""
    command = [sys.executable, "-m", "aws_durable_execution_sdk_python_testing.cli", "start-server"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--lambda-endpoint", f"http://127.0.0.1:{lambda_port}"]
    command += ["--local-runner-endpoint", f"http://127.0.0.1:{port}", "--local-runner-region", "us-east-1"]
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
    with (folder / "runner.log").open("wb") as log:
        process = subprocess.Popen(
            command, env={"PYTHONPATH": str(packages()), **keys}, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        found = Runner(port)
        end = time.monotonic() + 30
        while True:
            assert process.poll() is None, (folder / "runner.log").read_text()
            with contextlib.suppress(urllib.error.HTTPError, urllib.error.URLError, OSError):
                found._call("/health")
                break
            assert time.monotonic() < end
            time.sleep(0.1)
        yield found
    finally:
        process.kill()
        process.wait()


def port() -> int:
    return free_port()
