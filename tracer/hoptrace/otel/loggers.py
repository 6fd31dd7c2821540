"""The API's default loggers: what code logs through OpenTelemetry that never sets a provider of its own.

A record is written when it is emitted, so a function that is killed has lost none. A provider that is set later wins:
the API's proxies find it by themselves, and for versions that have no proxies our provider stands in the place of the
API's idle one and passes on.
"""

import sys
from collections.abc import Mapping, Sequence
from math import isfinite
from time import time_ns
from typing import Any

from opentelemetry import _logs, trace

from ..guard import guard, swallowed
from ..send import append
from ..settings import settings
from ..spans import current_span
from ..spans.exceptions import exception_attributes, told, told_name
from . import flush
from .ids import to_ours
from .lines import log_line
from .values import items_of

_INTERNAL = "opentelemetry._logs._internal"
_LONGEST = 65_536  # characters of a body that is a text
_DEEPEST = 8
_MOST = 1_000  # values in a body, or in an attribute

_patched: Any = None  # undoes it


class Logger(_logs.Logger):
    """Writes records, until the user sets a provider."""

    def __init__(self, name: Any, version: Any = None, schema_url: Any = None, *more: Any) -> None:
        self._wanted = (name, version, schema_url, *more)
        self._scope = (str(name or ""), str(version or ""))
        self._theirs: Any = None

    def emit(self, record: Any = None, **named: Any) -> None:
        """Write a record down, given whole or by its parts."""
        other = self._other()
        if other is not None:
            if record is None:
                other.emit(**named)
            else:
                other.emit(record)
        elif _patched is not None:
            with guard("otel.emit"):
                _write(self._scope, record, named)

    def enabled(self, **_: Any) -> bool:
        """Whether anything becomes of a record."""
        other = self._other()
        if other is not None:
            return bool(other.enabled(**_)) if hasattr(other, "enabled") else True
        return _patched is not None

    @property
    def resource(self) -> Any:
        """Of this process, which the SDK's `LoggingHandler` asks for in some versions."""
        from . import sdk

        return sdk.resource()

    def _other(self) -> Any:
        """The logger of the provider that the user has set."""
        if self._theirs is None:
            provider = getattr(sys.modules[_INTERNAL], "_LOGGER_PROVIDER", None)
            if provider is not None and type(provider) is not Provider:
                self._theirs = provider.get_logger(*self._wanted)
        return self._theirs


class Provider(_logs.LoggerProvider):
    """Stands where an API without proxies keeps its idle provider."""

    def get_logger(self, name: Any, version: Any = None, schema_url: Any = None, *more: Any, **named: Any) -> Any:
        """A logger by its scope's name and version."""
        return Logger(name, version, schema_url, *more, *named.values())


def patch(module: Any) -> None:
    """The API of logs has been imported."""
    global _patched
    flush.patch(module)
    internal: Any = sys.modules.get(_INTERNAL)
    if _patched is not None or internal is None or settings().listed("OTEL_LOGS_EXPORTER") == ["none"]:
        return
    proxy: Any = getattr(internal, "ProxyLogger", None)
    idle = proxy.__dict__.get("_logger") if proxy is not None else None
    if isinstance(idle, property):
        proxy._logger = property(_real_logger(idle))

        def undo() -> None:
            proxy._logger = idle

        _patched = undo
    elif proxy is None and "OTEL_PYTHON_LOGGER_PROVIDER" not in settings().environ:
        before = internal._LOGGER_PROVIDER
        set_by_nobody = before is None or type(before) is internal.NoOpLoggerProvider
        if set_by_nobody and not internal._LOGGER_PROVIDER_SET_ONCE._done:
            ours = internal._LOGGER_PROVIDER = Provider()

            def leave() -> None:
                if internal._LOGGER_PROVIDER is ours:
                    internal._LOGGER_PROVIDER = before

            _patched = leave


def unpatch() -> None:
    """Leave the API as it was."""
    global _patched
    if _patched is not None:
        _patched()
        _patched = None
    flush.unpatch()


def _real_logger(idle: Any) -> Any:
    def logger(proxy: Any) -> Any:
        found = idle.fget(proxy)
        if found is not getattr(proxy, "_noop_logger", None):
            return found
        ours = proxy.__dict__.get("_hoptrace")
        if ours is None:
            ours = proxy._hoptrace = Logger(proxy._name, proxy._version, proxy._schema_url)
        return ours

    return logger


def _write(scope: tuple[str, str], record: Any, named: dict[str, Any]) -> None:
    def part(name: str) -> Any:
        return named.get(name) if record is None else getattr(record, name, None)

    knobs = settings()
    log: dict[str, Any] = {}
    severity = part("severity_number")
    for name, value in (
        ("time", part("timestamp")),
        ("observed", part("observed_timestamp") or time_ns()),
        ("severity", getattr(severity, "value", severity)),
        ("level", part("severity_text")),
        ("event", part("event_name")),
    ):
        if value:
            log[name] = value if isinstance(value, int) else told("", str(value), 256)
    body = part("body")
    if body is not None:
        log["body"] = _Values(_LONGEST).fit(body)
    attributes = _attributes(part("attributes"), part("exception"))
    if attributes:
        log["attributes"] = attributes
    around = current_span()
    _sign(log, part("context"), part("trace_id"), part("span_id"), part("trace_flags"))
    request_id = "" if around is None else around.request_id
    line = log_line(request_id, scope, log)
    if len(line) > knobs.max_record_bytes:
        log["body"] = str(log.get("body", ""))[: knobs.max_record_bytes // 16]
        log.pop("attributes", None)
        line = log_line(request_id, scope, log)
    append(line)


def _sign(log: dict[str, Any], context: Any, trace_id: Any, span_id: Any, flags: Any) -> None:
    """Say of which span it is: the record's own, that of the context given with it, or the current one."""
    if isinstance(trace_id, int) and trace_id:
        log["trace_id"] = format(trace_id, "032x")
        if isinstance(span_id, int) and span_id:
            log["span_id"] = format(span_id, "016x")
        log["flags"] = int(flags or 0)
        return
    theirs = trace.get_current_span(context).get_span_context()
    if theirs.is_valid:
        found = to_ours(theirs)
        log["trace_id"], log["span_id"], log["flags"] = found.trace_id, found.span_id, found.flags


def _attributes(given: Any, error: Any) -> dict[str, Any]:
    knobs = settings()
    found: dict[str, Any] = {}
    if isinstance(error, BaseException):
        found.update(exception_attributes(error, knobs.attribute_length_limit))
    if isinstance(given, Mapping):
        values = _Values(knobs.attribute_length_limit)
        for name, value in items_of(given):
            if isinstance(name, str) and name and value is not None and len(found) < knobs.attribute_count_limit:
                found[told_name(name)] = values.fit(value, name)
    return found


class _Values:
    """Makes values fit for a record: so long, so deep, so many, with secrets taken out."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._room = _MOST

    def fit(self, value: Any, name: str = "", depth: int = 0) -> Any:
        """A text, a number, or a list or mapping of what fits; of what fails while it is looked at, the type's name."""
        try:
            return self._fit(value, name, depth)
        except Exception as error:
            swallowed("otel.body", error)
            return f"<{type(value).__name__}>"

    def _fit(self, value: Any, name: str, depth: int) -> Any:
        self._room -= 1
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return int(value) if -(2**63) <= value < 2**63 else str(value)
        if isinstance(value, float):
            return float(value) if isfinite(value) else str(value)
        if isinstance(value, bytes):
            value = value[: self._longest].decode("utf-8", "replace")
        if isinstance(value, str):
            return told(name, str.__str__(value), self._longest)
        if depth < _DEEPEST and isinstance(value, Mapping):
            return {told_name(str(k)[:256]): self.fit(v, str(k), depth + 1) for k, v in value.items() if self._room > 0}
        if depth < _DEEPEST and isinstance(value, Sequence):
            return [self.fit(item, name, depth + 1) for item in value if self._room > 0]
        return told(name, str(value), self._longest)
