"""rotel, an OTLP receiver that others wrote: what it understood of what it got, read from what it prints."""

import contextlib
import importlib.util
import os
import re
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

from .ports import free_port


class Rotel:
    """A running receiver; `endpoint` is what `OTEL_EXPORTER_OTLP_ENDPOINT` takes."""

    def __init__(self, port: int, log: Path) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def names(self) -> list[str]:
        """The names of the spans that it printed."""
        return [name.strip() for name in re.findall(r"^\s*(?:-> )?Name\s*:\s*(.+)$", self.log, re.MULTILINE)]

    def wait_for(self, text: str, timeout: float = 10) -> bool:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if text in self.log:
                return True
            time.sleep(0.05)
        return False


def unavailable() -> str:
    """Why it cannot run here, or nothing."""
    if importlib.util.find_spec("rotel") is None:
        return "rotel is not installed for this Python"
    binary = _binary()
    if binary is None:
        return "the rotel wheel has no agent"
    done = subprocess.run([str(binary), "--version"], capture_output=True, text=True, env=_environment())
    return "" if done.returncode == 0 else f"rotel does not start: {done.stderr.strip()[:200]}"


def _binary() -> Path | None:
    spec = importlib.util.find_spec("rotel")
    if spec is None or spec.origin is None:
        return None
    return next((path for path in Path(spec.origin).parent.rglob("rotel-agent") if path.is_file()), None)


def _libpython() -> list[str]:
    """Folders in which the agent may find the libpython3.12 that it is linked against."""
    found = [str(sysconfig.get_config_var("LIBDIR") or "")]
    home = Path.home()
    for pattern in (".pyenv/versions/3.12.*/lib", ".local/share/uv/python/*3.12*/lib"):
        found += [str(path) for path in home.glob(pattern)]
    return found + ["/usr/lib/x86_64-linux-gnu", "/usr/local/lib", "/var/lang/lib"]


def _environment() -> dict[str, str]:
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(_libpython())}


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Rotel]:
    binary = _binary()
    assert binary is not None
    port = free_port()
    log_path = folder / "rotel.log"
    command = [str(binary), "start", "--otlp-http-endpoint", f"127.0.0.1:{port}", "--otlp-grpc-endpoint"]
    command += [f"127.0.0.1:{free_port()}", "--exporter", "blackhole", "--debug-log", "traces", "--debug-log-verbosity"]
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [*command, "detailed"], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=_environment()
        )
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise RuntimeError(f"rotel ended: {log_path.read_text(errors='replace')[-1000:]}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield Rotel(port, log_path)
    finally:
        process.terminate()
        process.wait(10)
