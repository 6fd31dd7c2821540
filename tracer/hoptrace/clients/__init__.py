"""Libraries we patch when the user's code imports them, or at once where it already has.

A row names a module to watch and the module here that patches it. Nothing third-party is imported by us: a function
that never imports boto3 pays for one dictionary look-up an import.
"""

import sys
from importlib import import_module

from ..guard import guard
from .imports import Watch

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

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
    ("concurrent.futures.thread", "hoptrace.clients.pools"),
    ("opentelemetry.context", "hoptrace.otel"),
    ("opentelemetry.trace", "hoptrace.otel"),
    ("opentelemetry.metrics", "hoptrace.otel"),
    ("opentelemetry._logs", "hoptrace.otel"),
    ("opentelemetry.instrumentation.aws_lambda", "hoptrace.otel"),
    ("aws_durable_execution_sdk_python.state", "hoptrace.clients.durable"),
    ("aws_lambda_powertools.utilities.batch", "hoptrace.clients.powertools"),
    ("opentelemetry.exporter.otlp.proto.http", "hoptrace.clients.otlp_exporter"),
    ("opentelemetry.exporter.otlp.json.http", "hoptrace.clients.otlp_exporter"),
    ("logging", "hoptrace.logs"),
    ("structlog.processors", "hoptrace.logs.structlog"),
)
"""Which module's import to wait for, and which module of ours has `patch(module)` and `unpatch()` for it."""

LATER = {"http.client": ("HTTPConnection", "putrequest"), "logging": ("Logger", "makeRecord")}
"""What is often imported by who never calls it, before us too: the method whose first call brings the patch.

`docs/decisions/0007-http-client-is-patched-by-its-first-request.md` says why.
"""

TARGETS = (  # noqa: SIM905  thirty names
    "MySQLdb aio_pika aiokafka aiopg asyncpg cassandra celery confluent_kafka django.core.handlers.base "
    "elasticsearch falcon fastapi flask grpc jinja2 kafka mysql.connector openai pika psycopg psycopg2 "
    "pymemcache pymongo pymysql pyramid redis remoulade sqlalchemy sqlite3 starlette tornado tortoise "
).split()
"""What the user may ship an instrumentation library of OpenTelemetry's for (`hoptrace.otel.instrumentations`)."""

_INSTRUMENTATIONS = "hoptrace.otel.instrumentations"

_watch: Watch | None = None
_stand_ins: "list[_StandIn]" = []


def install() -> None:
    """Patch what is imported, and what will be when it is. A second call does nothing; never raises."""
    global _watch
    if _watch is not None:
        return
    with guard("clients.install"):
        rows = {name: _patcher(ours) for name, ours in WATCHED}
        instrumentations = _patcher(_INSTRUMENTATIONS)
        _watch = Watch({**dict.fromkeys(TARGETS, instrumentations), **rows})
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
    while _stand_ins:
        _stand_ins.pop().leave()
    for ours in (*dict.fromkeys(ours for _, ours in WATCHED), _INSTRUMENTATIONS):
        with guard("clients.uninstall"):
            loaded = sys.modules.get(ours)
            if loaded is not None:
                loaded.unpatch()


class _patcher:  # noqa: N801  used as a function
    """Imports our half only when the library is there, and patches it."""

    __slots__ = ("ours",)

    def __init__(self, ours: str) -> None:
        self.ours = ours

    def __call__(self, module: "Any") -> None:
        place = LATER.get(module.__name__)
        if place is not None and self.ours not in sys.modules:
            owner, name = getattr(module, place[0]), place[1]
            # Somebody's wrapper is there already: ours goes on top of it.
            if not hasattr(owner.__dict__[name], "__wrapped__"):
                _stand_ins.append(_StandIn(self.ours, module, owner, name))
                return
        import_module(self.ours).patch(module)


class _StandIn:
    """A method that has the patch put in its place when it is called for the first time."""

    __slots__ = ("_function", "_owner", "_waiting")

    def __init__(self, ours: str, module: "Any", owner: "Any", name: str) -> None:
        original: Callable[..., Any] = owner.__dict__[name]
        self._owner = owner
        self._waiting = True

        def stand_in(self_: "Any", *arguments: "Any", **named: "Any") -> "Any":
            if self._waiting:
                in_place = self.leave()
                with guard(f"clients.{module.__name__}"):
                    import_module(ours).patch(module)
                if in_place:  # else this call is under way in somebody's wrapper, and ours is on top of it from now on
                    return getattr(owner, name)(self_, *arguments, **named)
            return original(self_, *arguments, **named)

        stand_in.__name__, stand_in.__qualname__, stand_in.__doc__ = name, original.__qualname__, original.__doc__
        stand_in.__module__ = original.__module__
        stand_in.__wrapped__ = original  # type: ignore[attr-defined]
        self._function = stand_in
        setattr(owner, name, stand_in)

    def leave(self) -> bool:
        """Put the method back; `False` when it is part of somebody's chain, where it stays and does nothing."""
        self._waiting = False
        name = self._function.__name__
        if self._owner.__dict__.get(name) is not self._function:
            return False
        setattr(self._owner, name, self._function.__dict__["__wrapped__"])
        return True
