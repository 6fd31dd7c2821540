"""One image of an initialised function process, run on many times: what SnapStart does with a microVM.

The real runtime client is stopped where it asks for `/restore/next`, and forked there as often as is wanted, without
Python's own fork hooks: each copy has the very memory, descriptors and random state of the first, and does not know
that it is one. They live one after the other, since all of them know the same address of the Runtime API.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
import zipfile
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from hoptrace_local.lambda_host.var_runtime import find_interpreter, make_var_runtime
from tests.support import parts

_COPIES = """
import ctypes, os
from awslambdaric import lambda_runtime_client as client

really = client.LambdaRuntimeClient.restore_next

def restore_next(self):
    for _ in range(int(os.environ["COPIES"])):
        if ctypes.PyDLL(None).fork() == 0:
            return really(self)
        os.wait()
    os._exit(0)

client.LambdaRuntimeClient.restore_next = restore_next
"""


class Copy:
    """What one environment has answered."""

    def __init__(self, events: list[object]) -> None:
        self.events = list(events)
        self.answers: list[Any] = []
        self.restore_errors: list[Any] = []


class RuntimeApi:
    """Says that the snapshot was restored, hands out the events to each copy, and lets it go when it asks for more."""

    def __init__(self, events: list[object]) -> None:
        self.copies: list[Copy] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path.endswith("/restore/next"):
                    api.copies.append(Copy(events))
                    self._answer(200, b"{}")
                elif api.copies[-1].events:
                    self._answer(200, json.dumps(api.copies[-1].events.pop(0)).encode())
                else:
                    self.close_connection = True  # the client ends by that

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                copy = api.copies[-1]
                (copy.restore_errors if self.path.endswith("/restore/error") else copy.answers).append(body)
                self._answer(202, b"{}")

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                number = len(api.copies), len(api.copies[-1].events)
                self.send_header("Lambda-Runtime-Aws-Request-Id", "{:08x}-0000-4000-8000-{:012x}".format(*number))
                self.send_header("Lambda-Runtime-Deadline-Ms", "1999999999999")
                arn = "arn:aws:lambda:us-east-1:123456789012:function:f:1"
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", arn)
                self.send_header(
                    "Lambda-Runtime-Trace-Id", f"Root=1-{time.time_ns() >> 30:08x}-{os.urandom(12).hex()};Sampled=0"
                )
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def copies(
    folder: Path, source: str, events: list[object], *, count: int, environment: Mapping[str, str] | None = None
) -> tuple[list[Copy], list[dict[str, Any]], str]:
    """Run `count` copies of an initialised function on `events`; what they answered, recorded and logged."""
    task, opt = folder / "task", folder / "opt"
    task.mkdir(parents=True)
    (task / "app.py").write_text(source)
    (task / "copies.py").write_text(_COPIES)
    (task / "copies.pth").write_text("import copies\n")
    with zipfile.ZipFile(parts.layer()) as archive:
        archive.extractall(opt, [name for name in archive.namelist() if name.startswith("python/")])
    interpreter = find_interpreter(None)
    api = RuntimeApi(events)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(interpreter.executable), "-S", str(make_var_runtime(interpreter, folder) / "bootstrap.py")],
            cwd=task,
            env={
                "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
                "LAMBDA_TASK_ROOT": str(task),
                "_HOPTRACE_LOCAL_OPT": str(opt),
                "_HANDLER": "app.handler",
                "AWS_LAMBDA_RUNTIME_API": api.address,
                "AWS_LAMBDA_FUNCTION_NAME": "f",
                "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
                "AWS_REGION": "us-east-1",
                "HOPTRACE_RUN_DIR": str(folder / "run"),
                "COPIES": str(count),
                **(environment or {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        process.wait(60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        api.close()
    path = folder / "run" / "records.jsonl"
    lines = path.read_text("ascii").splitlines() if path.exists() else []
    return api.copies, [json.loads(line) for line in lines if line], (folder / "log").read_text(errors="replace")
