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

from hoptrace_collector.counters import Counters
from hoptrace_collector.model import InitReport, Report, RuntimeDone, Telemetry, text
from hoptrace_collector.transport import read_message

__all__ = ["TelemetryListener", "parse_batch", "parse_event"]

_MOST_EVENTS = 10_000
_BODY_LIMIT = 4 * 1024 * 1024
_CONNECTION_SECONDS = 1.0
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class TelemetryListener:
    """Receives batches on `port` of every interface, as Lambda reaches an extension by the sandbox's name."""

    def __init__(self, port: int, counters: Counters, host: str = "0.0.0.0") -> None:
        """Bind and listen; raises OSError when the port is taken."""
        self._counters = counters
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
        events, unreadable = parse_batch(body)
        if unreadable:
            self._counters.add("telemetry_skipped", "malformed", unreadable)
        with self._arrived:
            self._events.extend(events)
            self._arrived.notify_all()


def parse_batch(body: bytes) -> tuple[list[Telemetry], int]:
    """Return the events of a posted batch that matter here, and how many pieces were unreadable. Never raises."""
    try:
        batch = json.loads(body)
    except (ValueError, RecursionError):
        return [], 1
    if not isinstance(batch, list):
        return [], 1
    readable = [item for item in batch if isinstance(item, dict)]
    events = [event for event in map(parse_event, readable) if event is not None]
    return events, len(batch) - len(readable)


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
    request_id = text(record.get("requestId"))
    if not request_id:
        return None
    at = nanoseconds(item.get("time"))
    if kind == "platform.runtimeDone":
        return RuntimeDone(request_id, status, error_type, at)
    if kind == "platform.report":
        # "MB" are mebibytes here, as they are in the function's memory size.
        used = int(_number(measured.get("maxMemoryUsedMB")) * 1024 * 1024)
        return Report(request_id, status, error_type, used, at)
    return None


def nanoseconds(value: object) -> int:
    """Turn `2026-11-23T10:00:00.123Z` into nanoseconds since the epoch; 0 for anything else.

    By hand: `strptime` loads the calendar and the locale, for one fixed format.
    """
    if not isinstance(value, str) or not value.isascii() or len(value) < 20 or value[-1] != "Z":
        return 0
    whole, _, fraction = value[:-1].partition(".")
    parts = (whole[0:4], whole[5:7], whole[8:10], whole[11:13], whole[14:16], whole[17:19])
    if not all(part.isdigit() for part in parts) or len(whole) != 19 or (fraction and not fraction.isdigit()):
        return 0
    year, month, day, hour, minute, second = map(int, parts)
    seconds = _days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second
    return max(0, seconds * 10**9 + int((fraction + "0" * 9)[:9]))


def _days(year: int, month: int, day: int) -> int:
    """Return the days from 1970-01-01 to a date of the Gregorian calendar, the year taken to begin in March."""
    year, month = (year - 1, month + 9) if month < 3 else (year, month - 3)
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 1 - 719_468


def _number(value: object) -> float:
    """Return a number that is finite and not negative; 0 for anything else. The API sends all numbers as floats."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 <= value < 1e15 else 0.0
