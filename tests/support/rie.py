"""A function folder under AWS's own aws-lambda-rie, in a mount namespace with Lambda's paths; needs root."""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hoptrace_local.lambda_host.var_runtime import find_interpreter, make_var_runtime

from . import parts
from .ports import free_port

_SCRIPT = """
set -e
mount -t tmpfs none /mnt
mkdir /mnt/packages
mount --bind "$PACKAGES" /mnt/packages
mount -t tmpfs none /var
mkdir -p /var/task /var/runtime /var/lang/bin
touch /var/rie
mount --bind "$RIE" /var/rie
mount --bind "$STAGE/task" /var/task
mount --bind "$RUNTIME" /var/runtime
mount --bind "$STAGE/opt" /opt
mount --bind "$STAGE/hosts" /etc/hosts
ln -s "$PYTHON" /var/lang/bin/python3
mount --bind "$STAGE/tmp" /tmp
# What /var/runtime links to may lie under one of these.
[ -n "$(ls "$PACKAGES" 2>/dev/null)" ] || { mkdir -p "$PACKAGES"; mount --bind /mnt/packages "$PACKAGES"; }
cd /var/task
exec env -i "$@"
"""


def can_run() -> str:
    """Why it cannot run here, or nothing."""
    if os.geteuid() != 0:
        return "mount namespaces need root"
    if shutil.which("unshare") is None:
        return "there is no unshare"
    done = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True)
    return "" if done.returncode == 0 else "mount namespaces are not allowed here"


@dataclass
class Rie:
    """A running emulator.

    Attributes:
        tmp: what the function sees as /tmp.
        log: what everything in it printed.
    """

    port: int
    process: subprocess.Popen[bytes]
    tmp: Path
    log_path: Path
    answers: list[tuple[int, bytes, float]] = field(default_factory=list)

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def invoke(self, payload: bytes, timeout: float = 30) -> tuple[int, bytes, float]:
        """Status, body and seconds until the answer.

        What is posted while the emulator is still resetting after a timeout it refuses within a millisecond, without a
        function having seen it (`ErrGateCanceled`; Lambda would hold it back): that is posted again.
        """
        for _ in range(50):
            begun = time.monotonic()
            status, body = self._post(payload, timeout)
            if status != 502 or b"ErrGateCanceled" not in body:
                break
            time.sleep(0.1)
        answer = (status, body, time.monotonic() - begun)
        self.answers.append(answer)
        return answer

    def _post(self, payload: bytes, timeout: float) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection.request(
            "POST", "/2015-03-31/functions/function/invocations", payload, {"Content-Type": "application/json"}
        )
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, body

    def stop(self) -> None:
        """SIGTERM, upon which the emulator shuts the extensions down, then SIGKILL to what is left."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(8)
            except subprocess.TimeoutExpired:
                pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def running(
    folder: Path,
    sources: Mapping[str, str],
    *,
    handler: str = "app.handler",
    layer: bool = True,
    timeout: int = 3,
    environment: Mapping[str, str] | None = None,
    path: str = "/var/lang/bin:/usr/local/bin:/usr/bin:/bin",
    entry_point: Sequence[str] = (),
    before: Callable[[], None] = lambda: None,
) -> Iterator[Rie]:
    """Run `sources` (file name → text) as a function.

    Args:
        folder: an empty folder for everything that is made.
        layer: whether the layer is attached.
        timeout: the function's, whole seconds.
        entry_point: the command that is the runtime, with its arguments, where it is not that of the managed runtime.
        before: called when the layer is unpacked, before anything starts.
    """
    for name in ("task", "opt", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, text in sources.items():
        (folder / "task" / name).write_text(text)
    (folder / "hosts").write_text("127.0.0.1 localhost sandbox.localdomain sandbox\n")
    if layer:
        with zipfile.ZipFile(parts.layer()) as archive:
            for info in archive.infolist():
                archive.extract(info, folder / "opt")
                (folder / "opt" / info.filename).chmod(info.external_attr >> 16 & 0o777)
    before()
    interpreter = find_interpreter(None)
    runtime = make_var_runtime(interpreter, folder)
    port, api = free_port(), free_port()
    variables = {
        "PATH": path,
        "LANG": "en_US.UTF-8",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_LAMBDA_FUNCTION_NAME": "function",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "LAMBDA_TASK_ROOT": "/var/task",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "_HOPTRACE_LOCAL_OPT": "/opt",
        "_HANDLER": handler,
        **(environment or {}),
    }
    log_path = folder / "log"
    command = ["/var/rie", "--runtime-interface-emulator-address", f"127.0.0.1:{port}", "--runtime-api-address"]
    command += [f"127.0.0.1:{api}"]
    command += entry_point or ["/var/lang/bin/python3", "-S", "/var/runtime/bootstrap.py", handler]
    keep = [f"{key}={value}" for key, value in variables.items()]
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", _SCRIPT, "rie", *keep, *command],
            env={
                "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
                "STAGE": str(folder),
                "RIE": str(parts.rie()),
                "PACKAGES": sys.prefix,
                "RUNTIME": str(runtime),
                "PYTHON": str(interpreter.executable),
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    found = Rie(port, process, folder / "tmp", log_path)
    try:
        _wait(port, process, log_path)
        yield found
    finally:
        found.stop()


def _wait(port: int, process: subprocess.Popen[bytes], log_path: Path) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"aws-lambda-rie ended: {log_path.read_text(errors='replace')[-2000:]}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("aws-lambda-rie does not listen")
