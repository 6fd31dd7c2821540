"""Reads what a function has logged: Lambda's two formats, JSON of the user's own, or any text.

Total: whatever was printed becomes a record, since it is a log line whatever it looks like. What only looks like a
level, an id or a time stays the text or the attribute that it was.
"""

import binascii
import json
from typing import Any

from hoptrace_collector.fit import Value, attributes, clean, text
from hoptrace_collector.model import LogRecord
from hoptrace_collector.timestamps import nanoseconds
from hoptrace_collector.told import Line

__all__ = ["read"]

LONGEST = 256 * 1024
"""Characters of a text that are kept; Lambda cuts lines at as many bytes."""

_MOST_ATTRIBUTES = 128
_DAY = 86_400 * 10**9
_HEX = "0123456789abcdefABCDEF"

# OpenTelemetry's logs data model, "Mapping of SeverityNumber".
_SEVERITIES = {
    "TRACE": 1,
    "DEBUG": 5,
    "INFO": 9,
    "NOTICE": 10,
    "WARN": 13,
    "WARNING": 13,
    "ERROR": 17,
    "CRITICAL": 21,
    "FATAL": 21,
}
# By whom: Lambda's JSON format, Powertools, structlog, python-json-logger.
_LEVELS = ("level", "log_level", "severity", "levelname")
_MESSAGES = ("message", "event", "msg")
_REQUEST_IDS = ("requestId", "function_request_id", "aws_request_id")
_LOGGERS = ("logger", "name")
_EXCEPTIONS = {
    "errorType": "exception.type",
    "exception_name": "exception.type",
    "errorMessage": "exception.message",
    "stackTrace": "exception.stacktrace",
    "exception": "exception.stacktrace",
}


def read(line: Line, now: int) -> LogRecord | None:
    """Turn a line into a record; None for one that is empty. `now`: nanoseconds since the epoch."""
    observed = line.time or now
    if isinstance(line.record, dict):
        return _structured(line.record, observed)
    said = text(line.record).removesuffix("\n")
    if not said.strip():
        return None
    if said[0] == "{" and said.rstrip()[-1] == "}" and len(said) <= LONGEST:
        try:
            value = json.loads(said)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            return _structured(value, observed)
    return _plain(said, observed)


def _plain(said: str, observed: int) -> LogRecord:
    """Read `[LEVEL]\\ttime\\trequest id\\tmessage` as the runtime client writes it, `[LEVEL] message`, or bare text."""
    level, time, request_id, body = "", observed, "", said
    end = said.find("]", 1, 24) if said[0] == "[" else -1
    if end > 0:
        fields = said[end + 1 :].split("\t", 3)
        if len(fields) == 4 and not fields[0] and nanoseconds(fields[1]) and len(fields[2]) <= 64:
            level, request_id, body = said[1:end], fields[2], fields[3]
            time = _near(nanoseconds(fields[1]), observed)
        elif said[1:end] in _SEVERITIES:
            level = said[1:end]
    return LogRecord(
        time, observed, _severity(level), level, "", body[:LONGEST], _invocation(request_id), request_id=request_id
    )


def _structured(record: dict[str, Any], observed: int) -> LogRecord:
    """Read an object: its message is the body, what has a place in OTLP goes there, the rest are attributes."""
    rest = dict(record)
    level = _taken(rest, _LEVELS)
    stamp = rest.get("timestamp")
    # Lambda's own stamp has whole seconds only, the time of the event milliseconds.
    fine = nanoseconds(stamp) if isinstance(stamp, str) and "." in stamp else 0
    if fine or nanoseconds(stamp):
        del rest["timestamp"]
    request_id = _taken(rest, _REQUEST_IDS, 64)
    logger = _taken(rest, _LOGGERS, 256)
    trace_id, span_id = _id(rest.get("trace_id"), 32), _id(rest.get("span_id"), 16)
    if trace_id:
        del rest["trace_id"]
        if span_id:
            del rest["span_id"]
    body = None
    for name in _MESSAGES:
        if (body := clean(rest.get(name))) is not None:
            del rest[name]
            break
    if body is None and isinstance(failure := rest.get("errorMessage"), str):
        body = text(failure)  # what the runtime client says of an error that the handler raised
    if body is None:  # no message: the object is what there is to say
        body, rest = attributes(rest), {}
    found = {_EXCEPTIONS.get(name, name): _joined(name, value) for name, value in attributes(rest).items()}
    kept = dict(list(found.items())[:_MOST_ATTRIBUTES])
    return LogRecord(
        _near(fine, observed),
        observed,
        _severity(level),
        level,
        logger,
        body,
        {**kept, **_invocation(request_id)},
        request_id,
        trace_id,
        span_id if trace_id else b"",
        cut=len(found) - len(kept),
    )


def _joined(name: str, value: Value) -> Value:
    """Join the lines of Lambda's stack traces, a list of texts."""
    if name == "stackTrace" and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "".join(item if item.endswith("\n") else item + "\n" for item in value)
    return value


def _taken(record: dict[str, Any], names: tuple[str, ...], longest: int = 64) -> str:
    """Take the first of these names out whose value is a text that is not too long."""
    for name in names:
        value = record.get(name)
        if isinstance(value, str) and 0 < len(value) <= longest:
            del record[name]
            return text(value)
    return ""


def _invocation(request_id: str) -> dict[str, Value]:
    return {"faas.invocation_id": request_id} if request_id else {}


def _severity(level: str) -> int:
    return _SEVERITIES.get(level.upper(), 0)


def _near(time: int, observed: int) -> int:
    """Return the record's own time, unless it is beyond belief."""
    return time if time and abs(time - observed) < _DAY else observed


def _id(value: object, digits: int) -> bytes:
    if not isinstance(value, str) or len(value) != digits or value.strip(_HEX) or not value.strip("0"):
        return b""
    return binascii.a2b_hex(value)
