"""A moto server of our own: AWS as others emulate it."""

import contextlib
import ctypes
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

from .ports import free_port


@contextlib.contextmanager
def running() -> Iterator[str]:
    """The address of a fresh server; it is stopped at the end, and dies with us."""
    port = free_port()
    libc = ctypes.CDLL(None)
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: libc.prctl(1, signal.SIGKILL),  # noqa: PLW1509  PR_SET_PDEATHSIG
    )
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"{address}/moto-api/data.json", timeout=5):
                break
        except OSError:
            assert server.poll() is None, "the moto server did not start"
            assert time.monotonic() < deadline, "the moto server did not answer"
            time.sleep(0.1)
    config = urllib.request.Request(
        f"{address}/moto-api/config",
        data=b'{"lambda": {"use_docker": false}, "stepfunctions": {"execute_state_machine": false}}',
        headers={"Content-Type": "application/json"},
    )
    urllib.request.urlopen(config, timeout=5).close()
    try:
        yield address
    finally:
        server.terminate()
        server.wait(timeout=10)
