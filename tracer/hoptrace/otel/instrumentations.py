"""Instrumentation libraries that the user ships, switched on when their target has been imported.

A literal table instead of the packages' metadata: to read that of every package costs tens of milliseconds. Whether a
library is shipped is whether its folder is there. Those whose spans would double ours (botocore, boto3's SQS, requests,
urllib3, httpx, aiohttp's client, urllib, and the wrapper of the handler) are not in the table; user's code that
switches one of them on by itself still does.

What the user's code switches on itself, with arguments of its own, wins over what was done here.
"""

import os
import sys
from importlib import import_module
from typing import Any

from ..guard import guard
from ..settings import settings

_HOME = "opentelemetry.instrumentation"

TABLE: dict[str, tuple[str, tuple[str, ...]]] = {
    "MySQLdb": ("mysqlclient", ("MySQLClientInstrumentor",)),
    "aio_pika": ("aio_pika", ("AioPikaInstrumentor",)),
    "aiokafka": ("aiokafka", ("AIOKafkaInstrumentor",)),
    "aiopg": ("aiopg", ("AiopgInstrumentor",)),
    "asyncpg": ("asyncpg", ("AsyncPGInstrumentor",)),
    "cassandra": ("cassandra", ("CassandraInstrumentor",)),
    "celery": ("celery", ("CeleryInstrumentor",)),
    "confluent_kafka": ("confluent_kafka", ("ConfluentKafkaInstrumentor",)),
    "django.core.handlers.base": ("django", ("DjangoInstrumentor",)),
    "elasticsearch": ("elasticsearch", ("ElasticsearchInstrumentor",)),
    "falcon": ("falcon", ("FalconInstrumentor",)),
    "fastapi": ("fastapi", ("FastAPIInstrumentor",)),
    "flask": ("flask", ("FlaskInstrumentor",)),
    "grpc": ("grpc", ("GrpcInstrumentorClient", "GrpcAioInstrumentorClient")),
    "jinja2": ("jinja2", ("Jinja2Instrumentor",)),
    "kafka": ("kafka", ("KafkaInstrumentor",)),
    "mysql.connector": ("mysql", ("MySQLInstrumentor",)),
    "openai": ("openai_v2", ("OpenAIInstrumentor",)),
    "pika": ("pika", ("PikaInstrumentor",)),
    "psycopg": ("psycopg", ("PsycopgInstrumentor",)),
    "psycopg2": ("psycopg2", ("Psycopg2Instrumentor",)),
    "pymemcache": ("pymemcache", ("PymemcacheInstrumentor",)),
    "pymongo": ("pymongo", ("PymongoInstrumentor",)),
    "pymysql": ("pymysql", ("PyMySQLInstrumentor",)),
    "pyramid": ("pyramid", ("PyramidInstrumentor",)),
    "redis": ("redis", ("RedisInstrumentor",)),
    "remoulade": ("remoulade", ("RemouladeInstrumentor",)),
    "sqlalchemy": ("sqlalchemy", ("SQLAlchemyInstrumentor",)),
    "sqlite3": ("sqlite3", ("SQLite3Instrumentor",)),
    "starlette": ("starlette", ("StarletteInstrumentor",)),
    "tornado": ("tornado", ("TornadoInstrumentor",)),
    "tortoise": ("tortoiseorm", ("TortoiseORMInstrumentor",)),
}
"""The target whose import is waited for; the instrumentation's module and classes."""

_on: list[Any] = []


def patch(module: Any) -> None:
    """A target has been imported."""
    name, classes = TABLE[module.__name__]
    if not _wanted(name) or not _shipped(name):
        return
    # Its own, of the same versions: one that is there and cannot be imported says so once.
    library = import_module(f"{_HOME}.{name}")
    for each in classes:
        kind = getattr(library, each, None)
        if kind is not None:
            _switch_on(kind())


def unpatch() -> None:
    """Switch off what was switched on here."""
    while _on:
        instrumentor = _on.pop()
        with guard("otel.instrumentations"):
            _ours_no_more(instrumentor)
            instrumentor.uninstrument()


def _switch_on(instrumentor: Any) -> None:
    if getattr(instrumentor, "is_instrumented_by_opentelemetry", False):
        return  # by `opentelemetry-instrument`
    instrumentor.instrument(skip_dep_check=True)
    _on.append(instrumentor)

    def instrument(**arguments: Any) -> Any:
        """The user's own call: with these arguments, and not as it was done unasked."""
        if instrumentor in _on:
            _on.remove(instrumentor)
            _ours_no_more(instrumentor)
            instrumentor.uninstrument()
        return instrumentor.instrument(**arguments)

    instrumentor.instrument = instrument


def _ours_no_more(instrumentor: Any) -> None:
    instrumentor.__dict__.pop("instrument", None)


def _wanted(name: str) -> bool:
    """By the name that the instrumentation has in `opentelemetry-instrument`, which is its module's but for one."""
    knobs = settings()
    names = (name, name.removesuffix("_v2"))
    off = knobs.listed("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS")
    if "*" in off or any(each in off for each in names):
        return False
    only = knobs.listed("HOPTRACE_INSTRUMENTATIONS")
    if only and not any(each in only for each in names):
        return False
    if name == "django":  # without settings its instrumentation would configure empty ones in the user's place
        return "DJANGO_SETTINGS_MODULE" in knobs.environ
    # FastAPI is a Starlette: each request would have two spans.
    return name != "starlette" or not _shipped("fastapi")


def _shipped(name: str) -> bool:
    part = f"/opentelemetry/instrumentation/{name}/__init__.py"
    return any(os.path.exists((folder or ".") + part) for folder in sys.path)
