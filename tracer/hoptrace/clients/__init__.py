"""Libraries we patch when the user's code imports them, or at once where it already has.

A row names a module to watch and the module here that patches it. Nothing third-party is imported by us: a function
that never imports boto3 pays for one dictionary look-up an import.
"""

import sys
from importlib import import_module

from ..guard import guard
from .imports import Watch

WATCHED: tuple[tuple[str, str], ...] = (
    ("botocore.client", "hoptrace.clients.botocore"),
    ("aiobotocore.client", "hoptrace.clients.aiobotocore"),
    ("aiobotocore.httpsession", "hoptrace.clients.aiobotocore"),
    ("aiobotocore.httpxsession", "hoptrace.clients.aiobotocore"),
    ("requests.sessions", "hoptrace.clients.requests"),
    ("urllib3.connectionpool", "hoptrace.clients.urllib3"),
    ("urllib3.poolmanager", "hoptrace.clients.urllib3"),
    ("httpx", "hoptrace.clients.httpx"),
    ("httpx2", "hoptrace.clients.httpx"),
    ("aiohttp.client", "hoptrace.clients.aiohttp"),
    ("urllib.request", "hoptrace.clients.urllib_request"),
    ("http.client", "hoptrace.clients.http_client"),
    ("opentelemetry.context", "hoptrace.otel"),
    ("opentelemetry.trace", "hoptrace.otel"),
    ("opentelemetry.instrumentation.aws_lambda", "hoptrace.otel"),
    ("opentelemetry.exporter.otlp.proto.http", "hoptrace.clients.otlp_exporter"),
    ("opentelemetry.exporter.otlp.json.http", "hoptrace.clients.otlp_exporter"),
)
"""Which module's import to wait for, and which module of ours has `patch(module)` and `unpatch()` for it."""

_watch: Watch | None = None


def install() -> None:
    """Patch what is imported, and what will be when it is. A second call does nothing; never raises."""
    global _watch
    if _watch is not None:
        return
    with guard("clients.install"):
        _watch = Watch({name: _patcher(ours) for name, ours in WATCHED})
        _watch.start()


def installed() -> bool:
    """Whether libraries are patched, or will be when they are imported."""
    return _watch is not None


def uninstall() -> None:
    """Take every patch back and stop watching; never raises."""
    global _watch
    if _watch is None:
        return
    _watch.stop()
    _watch = None
    for _, ours in WATCHED:
        with guard("clients.uninstall"):
            loaded = sys.modules.get(ours)
            if loaded is not None:
                loaded.unpatch()


class _patcher:  # noqa: N801  used as a function
    """Imports our half only when the library is there, and patches it."""

    __slots__ = ("ours",)

    def __init__(self, ours: str) -> None:
        self.ours = ours

    def __call__(self, module: object) -> None:
        import_module(self.ours).patch(module)
