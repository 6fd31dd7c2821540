"""OpenTelemetry's own exporter in the function, sending to the collector: what it sends before the collector listens.

The collector sleeps until the first response is out, and its port is closed until then. An exporter that finds it
closed gives up (1.20), or has the user's code wait for seconds (1.45). Instead, the tracer puts the request into the
records file, where the collector finds it, and answers for the collector. Where that is not possible it rings the bell,
so that the port is open when the exporter tries again.

Only for a request that was refused because nobody listens there, at the collector's own address, with the collector
attached; `docs/decisions/0006-a-closed-port-loses-nothing.md` has the figures. Nothing happens before somebody imports
an exporter that sends by HTTP.
"""

import functools
import json
from collections.abc import Callable
from typing import Any

from ..encode import PROTOCOL
from ..guard import guard
from ..send import Bell, Outbox
from ..settings import Settings, collector_here, settings
from .imports import Watch

_PATHS = ("/v1/traces", "/v1/metrics", "/v1/logs")
_LOOPBACK = ("localhost", "127.0.0.1", "::1", "[::1]")
_PORT = 4318
_MARK = "__hoptrace_otlp__"

_watch: Watch | None = None
_patched: tuple[Any, Any, Any] | None = None  # the class, its own method, ours
_on = False


def patch(_exporter: Any) -> None:
    """An exporter is being imported: attend to urllib3, which all of them send by, as soon as it is there."""
    global _on, _watch
    _on = True
    if _watch is None:
        _watch = Watch({"urllib3": _patch_pools})
        _watch.start()


def unpatch() -> None:
    """Undo it; in somebody's chain of wrappers ours stays, and does nothing."""
    global _on, _patched, _watch
    _on = False
    if _watch is not None:
        _watch.stop()
        _watch = None
    if _patched is not None:
        owner, original, ours = _patched
        if owner.__dict__.get("urlopen") is ours:
            owner.urlopen = original
        _patched = None


def _patch_pools(urllib3: Any) -> None:
    global _patched
    owner = urllib3.connectionpool.HTTPConnectionPool
    original = owner.urlopen
    if getattr(original, _MARK, False):
        return
    ours = _handing_over(original)
    setattr(ours, _MARK, True)
    owner.urlopen = ours
    _patched = (owner, original, ours)


def _handing_over(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def urlopen(self: Any, method: Any, url: Any, body: Any = None, headers: Any = None, **more: Any) -> Any:
        try:
            return original(self, method, url, body, headers, **more)
        except Exception as error:
            answer = None
            if _on and url in _PATHS and method == "POST":
                with guard("clients.otlp_exporter"):
                    answer = _handed_over(self, url, body, headers, error)
            if answer is None:
                raise
            return answer

    return urlopen


def _handed_over(pool: Any, path: str, body: Any, headers: Any, error: Exception) -> Any:
    """The answer to a request that went into the records file; `None` when it did not."""
    knobs = settings()
    if pool.host not in _LOOPBACK or pool.port != _port(knobs) or not _refused(error) or not collector_here():
        return None
    given = {str(name).lower(): value for name, value in (headers or {}).items()}
    if isinstance(body, bytes | bytearray):
        line = _record(path, _text(given, "content-type"), _text(given, "content-encoding"), bytes(body))
        outbox = Outbox(knobs.run_dir, knobs.max_file_bytes, knobs.max_record_bytes)
        try:
            if outbox.write(line):
                return _answer(_text(given, "content-type"))
        finally:
            outbox.close()
    bell = Bell(knobs.run_dir)
    try:
        bell.ring(b"o")
    finally:
        bell.close()
    return None


def _port(knobs: Settings) -> int:
    """Where the collector will listen (`HOPTRACE_OTLP_PORT`)."""
    text = knobs.environ.get("HOPTRACE_OTLP_PORT", "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else _PORT


def _record(path: str, kind: str, encoding: str, body: bytes) -> bytes:
    """A request as a line of the records file; its body in base64."""
    from binascii import b2a_base64

    packed = b2a_base64(body, newline=False).decode("ascii")
    record = {"v": PROTOCOL, "type": "otlp", "path": path, "kind": kind, "encoding": encoding, "body": packed}
    return (json.dumps(record, separators=(",", ":")) + "\n").encode("ascii")


def _refused(error: BaseException | None) -> bool:
    """Whether nobody listens: urllib3 tells it as the cause of its own error, or of the reason it gives."""
    for _ in range(8):
        if error is None or isinstance(error, ConnectionRefusedError):
            break
        reason = getattr(error, "reason", None)
        error = reason if isinstance(reason, BaseException) else error.__cause__ or error.__context__
    return isinstance(error, ConnectionRefusedError)


def _answer(kind: str) -> Any:
    """What the collector would have answered: taken, nothing to say."""
    from io import BytesIO

    from urllib3.response import HTTPResponse

    empty = b"{}" if kind.startswith("application/json") else b""
    given = {"content-type": kind, "content-length": str(len(empty))}
    return HTTPResponse(
        BytesIO(empty), headers=given, status=200, version=11, reason="OK", preload_content=False, request_method="POST"
    )


def _text(headers: dict[str, Any], name: str) -> str:
    value = headers.get(name, "")
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
