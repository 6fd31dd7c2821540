"""A function under aws-lambda-rie as a Managed Instance, whose Telemetry API is a real one; needs root."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hoptrace_local.lambda_host import FunctionConfig, LambdaHost
from hoptrace_local.lambda_host.var_runtime import find_interpreter, make_var_runtime
from tests.support import parts, rie

from .wire import TRACE

LAYER = Path(__file__).with_name("managed_layer")
# The emulator runs everything as another user, who may read neither /root nor the checkout: all is mounted or copied.
_SCRIPT = """
set -e
mount -t tmpfs -o mode=755 none /var
mkdir -p /var/task /var/runtime /var/lang
touch /var/rie
mount --bind "$RIE" /var/rie
mount --bind "$PREFIX" /var/lang
mount --bind "$STAGE/task" /var/task
mount --bind "$STAGE/runtime" /var/runtime
mount --bind "$STAGE/opt" /opt
mount --bind "$STAGE/hosts" /etc/hosts
mount --bind "$STAGE/tmp" /tmp
cd /var/task
exec env -i "$@"
"""
_BOOTSTRAP = """#!/bin/sh
_HOPTRACE_LOCAL_OPT=/opt exec /var/lang/bin/{python} -S /var/runtime/bootstrap.py
"""
_CLIENT = ("awslambdaric", "simplejson", "snapshot_restore_py", "runtime_client*", "bootstrap.py")
Event = dict[str, Any]


def under_rie(
    folder: Path,
    source: str,
    events: tuple[object, ...],
    *,
    layer: Path = LAYER,
    environment: Mapping[str, str] | None = None,
    enough: Callable[[], bool] | None = None,
    at_once: int = 1,
    answers: list[bytes] | None = None,
) -> tuple[list[Event], str]:
    """What the extension was told, and what the emulator printed.

    With another `layer` than the listening one, `enough` says when the environment may end. `at_once` events are posted
    side by side, to as many workers; `answers` gets what came back, in whatever order.
    """
    interpreter = find_interpreter(None)
    _stage(folder, source, layer, interpreter.name, make_var_runtime(interpreter, folder))
    port, api = rie.free_port(), rie.free_port()
    variables = {
        "PATH": "/var/lang/bin:/usr/bin:/bin",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_LAMBDA_FUNCTION_NAME": "function",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "5",
        "AWS_LAMBDA_MAX_CONCURRENCY": str(at_once),
        "LAMBDA_TASK_ROOT": "/var/task",
        "HOPTRACE_TELEMETRY_PORT": str(rie.free_port()),
        "_HANDLER": "app.handler",
        **(environment or {}),
    }
    command = ["/var/rie", "--runtime-interface-emulator-address", f"127.0.0.1:{port}", "--runtime-api-address"]
    keep = [f"{key}={value}" for key, value in variables.items()]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", _SCRIPT, "rie", *keep, *command, f"127.0.0.1:{api}", "/opt/bootstrap"],
            env={
                "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
                "STAGE": str(folder),
                "RIE": str(parts.rie()),
                "PREFIX": str(interpreter.executable.resolve().parents[1]),
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        got = [_post(process, port, json.dumps(events[0]).encode())]  # the emulator begins with the first
        with ThreadPoolExecutor(at_once) as pool:
            got += pool.map(lambda event: _post(process, port, json.dumps(event).encode()), events[1:])
        if answers is not None:
            answers.extend(got)
        _wait(enough or (lambda: _count(folder / "tmp", "platform.report") >= len(events)))
    finally:
        _stop(process)
    return heard(folder / "tmp"), (folder / "log").read_text(errors="replace")


def under_ours(folder: Path, source: str, events: tuple[object, ...]) -> list[Event]:
    """What the extension was told by our own, which runs it on demand."""
    (folder / "task").mkdir(parents=True)
    (folder / "task" / "app.py").write_text(source)
    config = FunctionConfig(
        "function",
        folder / "task",
        "app.handler",
        layers=(LAYER,),
        environment={"AWS_LAMBDA_LOG_FORMAT": "JSON"},
        timeout=5,
        memory=1769,
    )
    with LambdaHost([config], state_dir=folder / "state") as host:
        for event in events:
            host.invoke("function", json.dumps(event).encode(), trace_header=TRACE)
        (environment,) = host.environments("function")
    return heard(environment.tmp_dir)


def heard(tmp: Path) -> list[Event]:
    """All events, in the order in which they came."""
    with contextlib.suppress(FileNotFoundError):
        return [event for line in (tmp / "telemetry.jsonl").read_text().splitlines() for event in json.loads(line)]
    return []


def _stage(folder: Path, source: str, layer: Path, python: str, runtime: Path) -> None:
    for name in ("task", "opt", "tmp", "runtime"):
        (folder / name).mkdir(parents=True)
    (folder / "tmp").chmod(0o777)
    (folder / "task" / "app.py").write_text(source)
    (folder / "hosts").write_text("127.0.0.1 localhost sandbox.localdomain sandbox\n")
    shutil.copytree(layer, folder / "opt", dirs_exist_ok=True)
    (folder / "opt" / "bootstrap").write_text(_BOOTSTRAP.format(python=python))
    (folder / "opt" / "bootstrap").chmod(0o755)
    for pattern in _CLIENT:
        for path in runtime.glob(pattern):
            if path.is_dir():
                shutil.copytree(path, folder / "runtime" / path.name)
            else:
                shutil.copy(path, folder / "runtime")
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o644))
    (folder / "tmp").chmod(0o777)


def _post(process: subprocess.Popen[bytes], port: int, payload: bytes) -> bytes:
    until = time.monotonic() + 15
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
        try:
            connection.request(
                "POST",
                "/2015-03-31/functions/function/invocations",
                payload,
                {"Content-Type": "application/json", "X-Amzn-Trace-Id": TRACE},
            )
            answer = connection.getresponse().read()
            # A worker asks for its next event a moment after its answer was passed on.
            if b"Runtime.Unavailable" not in answer or time.monotonic() > until:
                return answer
        except ConnectionRefusedError:
            if process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.02)
        finally:
            connection.close()


def _count(tmp: Path, kind: str) -> int:
    return sum(event["type"] == kind for event in heard(tmp))


def _wait(enough: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while time.monotonic() < until and not enough():
        time.sleep(0.02)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def shapes(events: list[Event]) -> dict[str, str]:
    """Every key of every type of event, with its type."""
    found: dict[str, str] = {}
    for event in events:
        found[f"{event['type']} time"] = type(event.get("time")).__name__
        found |= _leaves(f"{event['type']} record", event["record"])
    return found


def _leaves(name: str, value: Any) -> dict[str, str]:
    if isinstance(value, dict):
        return {key: kind for inner in value for key, kind in _leaves(f"{name}.{inner}", value[inner]).items()}
    if name.endswith(".spans") and isinstance(value, list):
        return {key: kind for span in value for key, kind in _leaves(f"{name} {span['name']}", span).items()}
    return {name: type(value).__name__}
