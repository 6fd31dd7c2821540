"""Listens to Lambda's Telemetry API.

One thread, one connection at a time: Lambda posts a batch and waits for the answer. The answer is 200 whatever came,
since Lambda would send again what we could not read the first time. What was understood waits, bounded, for the main
loop.
"""

import json
import socket
import threading
import time
from collections import deque
from typing import Any

from hoptrace_collector.counters import DROPPED, Counters
from hoptrace_collector.fit import text
from hoptrace_collector.timestamps import nanoseconds
from hoptrace_collector.told import InitReport, Line, Report, RestoreReport, RuntimeDone, Started, Telemetry
from hoptrace_collector.transport import read_message

__all__ = ["TelemetryListener", "parse_batch", "parse_event"]

_MOST_EVENTS = 10_000
_BODY_LIMIT = 4 * 1024 * 1024
_CONNECTION_SECONDS = 1.0
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class TelemetryListener:
    """Receives batches on `port` of every interface, as Lambda reaches an extension by the sandbox's name."""

    def __init__(self, port: int, counters: Counters, host: str = "0.0.0.0", *, log_bytes: int = 0) -> None:
        """Bind and listen; raises OSError when the port is taken.

        `log_bytes`: how much of the function's logs may wait here, 0 where nobody wants them.
        """
        self._counters = counters
        self._log_bytes = log_bytes
        self._lines: deque[tuple[int, Line]] = deque()
        self._lines_size = 0
        self._events: deque[Telemetry] = deque(maxlen=_MOST_EVENTS)
        self._arrived = threading.Condition()
        self._socket = socket.create_server((host, port), backlog=64)
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True, name="hoptrace-telemetry")

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def take(self) -> list[Telemetry]:
        """Return what has come since the last call."""
        with self._arrived:
            events = list(self._events)
            self._events.clear()
        return events

    def take_lines(self) -> list[Line]:
        """Return what the function has logged since the last call."""
        with self._arrived:
            waiting, self._lines, self._lines_size = self._lines, deque(), 0
        return [line for _, line in waiting]

    def wait(self, seconds: float) -> None:
        """Wait until something has come, at most `seconds`."""
        with self._arrived:
            if not self._events:
                self._arrived.wait(max(0.0, seconds))

    def close(self) -> None:
        """Stop listening; the thread ends with it."""
        # Closing alone does not wake a thread that is in accept().
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            try:
                with connection:
                    self._answer(connection)
            except Exception as error:  # this thread must outlive whatever is posted to it
                self._counters.failed("telemetry", error)

    def _answer(self, connection: socket.socket) -> None:
        deadline = time.monotonic() + _CONNECTION_SECONDS
        try:
            body = read_message(connection, deadline, _BODY_LIMIT, answers=False).body
        except ValueError:
            self._counters.add("telemetry_skipped", "malformed")
            body = b""
        except OSError:
            self._counters.add("telemetry_skipped", "broken_off")
            return
        try:
            connection.sendall(_ANSWER)
        except OSError:
            self._counters.add("telemetry_skipped", "unanswered")
        if body:
            self._keep(body)

    def _keep(self, body: bytes) -> None:
        batch, unreadable = _items(body)
        if unreadable:
            self._counters.add("telemetry_skipped", "malformed", unreadable)
        events = _events(batch)
        lines = _lines(batch) if self._log_bytes else []
        if self._log_bytes and (lost := _lost(batch)):
            self._counters.add("logs_" + DROPPED, "lambda", lost)
        with self._arrived:
            self._events.extend(events)
            if lines:
                self._keep_lines(len(body), lines)
            self._arrived.notify_all()

    def _keep_lines(self, size: int, lines: list[Line]) -> None:
        """Keep the lines of a batch of `size` bytes; the oldest make room."""
        each = size // len(lines) + 1
        self._lines.extend((each, line) for line in lines)
        self._lines_size += each * len(lines)
        gone = 0
        while self._lines_size > self._log_bytes:
            self._lines_size -= self._lines.popleft()[0]
            gone += 1
        if gone:
            self._counters.add("logs_" + DROPPED, "queue_full", gone)


def parse_batch(body: bytes) -> tuple[list[Telemetry], int]:
    """Return the events of a posted batch that matter here, and how many pieces were unreadable. Never raises."""
    batch, unreadable = _items(body)
    return _events(batch), unreadable


def _items(body: bytes) -> tuple[list[dict[str, Any]], int]:
    try:
        batch = json.loads(body)
    except (ValueError, RecursionError):
        return [], 1
    if not isinstance(batch, list):
        return [], 1
    readable = [item for item in batch if isinstance(item, dict)]
    return readable, len(batch) - len(readable)


def _events(batch: list[dict[str, Any]]) -> list[Telemetry]:
    return [event for event in map(parse_event, batch) if event is not None]


def _lines(batch: list[dict[str, Any]]) -> list[Line]:
    """Return what the function has logged; what extensions say is not asked for, and not taken should it come."""
    said = [(item.get("time"), item.get("record")) for item in batch if item.get("type") == "function"]
    return [Line(nanoseconds(time), record) for time, record in said if isinstance(record, str | dict)]


def _lost(batch: list[dict[str, Any]]) -> int:
    """Return how many log events Lambda says it has dropped because they were taken too slowly."""
    told = [item.get("record") for item in batch if item.get("type") == "platform.logsDropped"]
    return int(sum(_number(record.get("droppedRecords")) for record in told if isinstance(record, dict)))


def parse_event(item: dict[str, Any]) -> Telemetry | None:
    """Return one event of the schema reference ("Lambda Telemetry API Event schema reference"), or None."""
    record = item.get("record")
    if not isinstance(record, dict):
        return None
    kind = item.get("type")
    status, error_type = text(record.get("status")), text(record.get("errorType"))
    metrics = record.get("metrics")
    measured = metrics if isinstance(metrics, dict) else {}
    if kind == "platform.initReport":
        return InitReport(
            text(record.get("initializationType")),
            text(record.get("phase")),
            status,
            error_type,
            _number(measured.get("durationMs")) / 1000,
        )
    if kind == "platform.restoreReport":
        seconds = _number(measured.get("durationMs")) / 1000
        return RestoreReport(status, error_type, seconds, nanoseconds(item.get("time")))
    request_id = text(record.get("requestId"))
    if not request_id:
        return None
    at = nanoseconds(item.get("time"))
    if kind == "platform.start":
        tracing = record.get("tracing")
        header = text(tracing.get("value")) if isinstance(tracing, dict) else ""
        return Started(request_id, at, text(record.get("tenantId")), header)
    if kind == "platform.runtimeDone":
        produced = measured.get("producedBytes")
        return RuntimeDone(
            request_id,
            status,
            error_type,
            at,
            latency=_span_seconds(record, "responseLatency"),
            produced=None if produced is None else int(_number(produced)),
        )
    if kind == "platform.report":
        return Report(
            request_id,
            status,
            error_type,
            _bytes(measured.get("maxMemoryUsedMB")),
            at,
            memory_size=_bytes(measured.get("memorySizeMB")),
            billed=_number(measured.get("billedDurationMs")) / 1000,
            overhead=_span_seconds(record, "extensionOverhead"),
            latency=_span_seconds(record, "responseLatency"),
        )
    return None


def _span_seconds(record: dict[str, Any], name: str) -> float | None:
    """Return the duration of one of a record's `spans`; None when it is not there."""
    spans = record.get("spans")
    for span in spans if isinstance(spans, list) else ():
        if isinstance(span, dict) and span.get("name") == name:
            return _number(span.get("durationMs")) / 1000
    return None


def _bytes(megabytes: object) -> int:
    """Return bytes: "MB" are mebibytes here, as they are in the function's memory size."""
    return int(_number(megabytes) * 1024 * 1024)


def _number(value: object) -> float:
    """Return a number that is finite and not negative; 0 for anything else. The API sends all numbers as floats."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 <= value < 1e15 else 0.0
