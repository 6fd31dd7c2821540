"""The emulated AWS: MiniStack in a process of its own, on 127.0.0.1, gone when we are.

It makes every event of the demo (API Gateway, SNS, SQS and EventBridge), so that none comes from our own hand.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.error
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config

from hoptrace_local.stage.loopback import open_url

REGION = "eu-central-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
}
# The kernel ends it when the demo's process ends, however that happens: PR_SET_PDEATHSIG is 1, SIGKILL is 9.
START = """
import ctypes, os, runpy
parent = os.getppid()
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() == parent:
    runpy.run_module("ministack", run_name="__main__")
"""


class EmulatorFailed(RuntimeError):
    """The emulator did not come up, or went away."""


class Emulator:
    """A running MiniStack with its state and its temporary files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.log = folder / "ministack.log"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """What `AWS_ENDPOINT_URL` must be to speak with it."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, timeout: float = 30.0) -> None:
        """Start it and wait until it answers.

        Args:
            timeout: seconds.

        Raises:
            EmulatorFailed: it ended or did not answer in time.
        """
        for name in ("tmp", "home", "state"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", START],
                env=self._environment(),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        limit = time.monotonic() + timeout
        while not self._answers():
            if self._process.poll() is not None:
                raise EmulatorFailed(f"MiniStack ended with exit code {self._process.returncode}")
            if time.monotonic() > limit:
                raise EmulatorFailed(f"MiniStack did not answer on {self.endpoint} within {timeout:.0f} s")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it, by its own pid; a second call does nothing."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(3)

    def client(self, service: str) -> Any:
        """Make a boto3 client of `service` that speaks with this emulator."""
        client: Any = boto3.client
        return client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config=Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 2}, proxies={}),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "OTEL_", "HOPTRACE_"))}
        return {
            **kept,
            **CREDENTIALS,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "HOME": str(self._folder / "home"),
            "TMPDIR": str(self._folder / "tmp"),
            "STATE_DIR": str(self._folder / "state"),
            "S3_DATA_DIR": str(self._folder / "state" / "s3"),
            "IOT_MTLS_ENABLED": "0",  # it would listen on a fixed port
            "PYTHONUNBUFFERED": "1",
            "NO_PROXY": "*",
        }

    def _answers(self) -> bool:
        try:
            with open_url(f"{self.endpoint}/_ministack/health", timeout=2) as response:
                return bool(response.status == 200)
        except (OSError, urllib.error.URLError):
            return False


def free_port() -> int:
    """Find a port of 127.0.0.1 that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
