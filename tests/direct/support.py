"""A function that has hoptrace in its own code folder and nothing else, and backends that behave badly."""

import contextlib
import http.server
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import hoptrace
from tests.support.functions import Desk, function

APP = """
import hoptrace, os, time
from hoptrace.spans import start_span

@hoptrace.trace
def handler(event, context):
    start_span("work").end()
    if event.get("exit"):
        os._exit(1)
    if event.get("raise"):
        raise LookupError("no such order")
    if "reserve" in event:
        from hoptrace.direct import sender

        sender.RESERVE = event["reserve"]
    time.sleep(event.get("sleep", 0))
    return "done"
"""


@contextlib.contextmanager
def pip_only(folder: Path, environment: Mapping[str, str], source: str = APP, **more: Any) -> Iterator[Desk]:
    """The function `f`, with the package as `pip install -t` would put it beside the code."""
    package = Path(hoptrace.__file__).parent
    shutil.copytree(package, folder / "task" / "hoptrace", ignore=shutil.ignore_patterns("__pycache__"))
    with function(folder, source, layer=False, environment=environment, **more) as desk:
        yield desk


class Backend:
    """Answers each request as `answer(number)` says: a status, headers, and how long it takes; or `None` for never."""

    def __init__(
        self,
        answer: Callable[[int], tuple[int, Mapping[str, str], float] | None],
        body: bytes = b"",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.bodies: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["content-length"]))
                outer.bodies.append(({k.lower(): v for k, v in self.headers.items()} | {":path": self.path}, content))
                found = answer(len(outer.bodies))
                if found is None:
                    outer.held.wait(20)
                    self.close_connection = True
                    return
                status, headers, seconds = found
                time.sleep(seconds)
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                return

        self.held = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.port = int(self._server.server_address[1])
        self.endpoint = f"http://127.0.0.1:{self.port}" if tls is None else f"https://localhost:{self.port}"

    def close(self) -> None:
        self.held.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@contextlib.contextmanager
def backend(
    answer: Callable[[int], tuple[int, Mapping[str, str], float] | None],
    body: bytes = b"",
    tls: ssl.SSLContext | None = None,
) -> Iterator[Backend]:
    found = Backend(answer, body, tls)
    try:
        yield found
    finally:
        found.close()


def free_port() -> int:
    """A port at which nothing listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
