"""What a Lambda function does that reads a Kinesis stream of OTLP: for fleets that outgrow one gateway.

By "Processing Kinesis Data Streams records with Lambda" and "Implementing stateful Kinesis Data Streams processing in
Lambda" of the developer guide: a batch is of one shard, in order; what could not be done is named by the sequence
number where it begins (`batchItemFailures`), and comes again. With tumbling windows each answer has a `state` of at
most 1 MB, which the next invocation of the window gets; at its end comes one with `isFinalInvokeForWindow`, and the
state goes.

A stream is partitioned by function, so each shard has all invocations of its functions. What lasts over the end of a
window of Lambda's is put back on the stream, where the next window finds it: nothing but the stream is needed.
"""

import base64
import binascii
import json
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from hoptrace_collector.counters import DROPPED, RECEIVED, Counters
from hoptrace_collector.export.envelope import CARRY, unpack
from hoptrace_collector.gateway.held import carried, read_carried, read_state, state
from hoptrace_collector.gateway.invocations import invocations
from hoptrace_collector.gateway.peaks import Function, Interval, Peak, Peaks
from hoptrace_collector.otlp_request import Part
from hoptrace_collector.pipeline.flush import SIGNALS
from hoptrace_collector.receive.otlp import PROTOBUF, Refused, parse
from hoptrace_collector.timestamps import nanoseconds

__all__ = ["Consumer", "NotDone"]

# How much is sent before the next records are looked at.
_CHUNK = 4 * 1024 * 1024
_LARGEST = 16 * 1024 * 1024
# 24 bytes each, packed and in base64: what a state of 1 MB can hold.
_MOST = 30_000
_STATE_BYTES = 1_000_000
_PREFIXES = {signal.name: signal.prefix for signal in SIGNALS}

Send = Callable[[str, list[Part], float], bool]
Put = Callable[[str, list[tuple[Function, bytes]], float], bool]


class NotDone(Exception):
    """A window could not be ended; Lambda ends it again."""


class Record(NamedTuple):
    """One record: `arrived` in nanoseconds since the epoch, `data` None when it is no base64."""

    sequence: str
    arrived: int
    data: bytes | None


class Read(NamedTuple):
    """What was in a record."""

    signal: str
    parts: list[Part]
    seen: list[Interval]


class Consumer:
    """Forwards what is in the records by `send`, and tells the peaks of windows to `tell`.

    `send(signal, parts, deadline)` and `put(stream, records, deadline)` (back on the stream) tell whether all was
    taken, `tell(peaks, deadline)` whether they were; deadlines are times of `time.monotonic`. `width` and `lateness` of
    windows are in nanoseconds.
    """

    def __init__(
        self,
        send: Send,
        tell: Callable[[list[Peak], float], bool],
        put: Put,
        counters: Counters,
        *,
        width: int,
        lateness: int,
    ) -> None:
        self._send = send
        self._tell = tell
        self._put = put
        self._counters = counters
        self._width = width
        self._lateness = lateness

    def handle(self, event: dict[str, Any], deadline: float) -> dict[str, Any]:
        """Return Lambda's answer to an event; raises NotDone when a window's end has to come again."""
        peaks = self._peaks(event)
        failed = self._forward([_record(each) for each in event.get("Records") or ()], peaks, deadline)
        answer: dict[str, Any] = {"batchItemFailures": [{"itemIdentifier": failed}] if failed else []}
        if peaks is None:
            return answer
        if event.get("isFinalInvokeForWindow") or event.get("isWindowTerminatedEarly"):
            if failed:
                raise NotDone("the backend did not take the last records of a window")
            self._end(event, peaks, deadline)
            return {**answer, "state": {}}
        answer["state"] = state(peaks.intervals())
        if len(json.dumps(answer["state"])) > _STATE_BYTES:
            self._counters.say("state", "the state of a window exceeds 1 MB: use more shards, or a shorter window")
        return answer

    def _peaks(self, event: dict[str, Any]) -> Peaks | None:
        """Return what this window knows; None where the function is not set up with windows."""
        window = event.get("window")
        begun = nanoseconds(window.get("start")) if isinstance(window, dict) else 0
        if not begun:
            self._counters.say(
                "no window", "without TumblingWindowInSeconds in the event source mapping there is no peak concurrency"
            )
            return None
        peaks = Peaks(self._width, self._lateness, most=_MOST)
        peaks = Peaks(self._width, self._lateness, most=_MOST, closed=peaks.close_until(begun))
        try:
            for interval in read_state(event.get("state")):
                peaks.add(interval, interval.end)
        except ValueError as error:
            self._counters.failed("state", error)
        return peaks

    def _forward(self, records: list[Record], peaks: Peaks | None, deadline: float) -> str:
        """Send what is in the records, in their order; returns where what could not be sent begins."""
        waiting: list[tuple[Record, Read]] = []
        size = 0
        for record in records:
            read = self._read(record, peaks)
            if read is None:
                continue
            waiting.append((record, read))
            size += sum(len(part.data) for part in read.parts)
            if size >= _CHUNK:
                if not self._sent(waiting, peaks, deadline):
                    return waiting[0][0].sequence
                waiting, size = [], 0
        return "" if self._sent(waiting, peaks, deadline) else waiting[0][0].sequence

    def _sent(self, waiting: list[tuple[Record, Read]], peaks: Peaks | None, deadline: float) -> bool:
        for signal in _PREFIXES:
            parts = [part for _, read in waiting if read.signal == signal for part in read.parts]
            if parts and not self._send(signal, parts, deadline):
                return False
        for record, read in waiting:
            self._count(read)
            if peaks is not None:
                self._add(peaks, read.seen, record.arrived)
        return True

    def _count(self, read: Read) -> None:
        if amount := sum(part.amount for part in read.parts):
            self._counters.add(_PREFIXES[read.signal] + RECEIVED, "", amount)

    def _add(self, peaks: Peaks, seen: Iterable[Interval], now: int) -> None:
        for interval in seen:
            self._counters.add("invocations", peaks.add(interval, now) or "in_time")

    def _read(self, record: Record, peaks: Peaks | None) -> Read | None:
        """Return what is in a record; one that cannot be read is counted and passed over: it would never be better."""
        try:
            if record.data is None:
                raise ValueError("no base64")
            kind, data = unpack(record.data, _LARGEST)
            if kind == CARRY:
                if peaks is not None:
                    for interval in read_carried(data):
                        if peaks.add(interval, max(record.arrived, interval.end)):
                            # The function is behind by more than a window: some windows have been closed without it.
                            self._counters.add("invocations", "carried_late")
                return None
            seen: list[Interval] = []

            def look(signal: str, message: Any) -> None:
                if signal == "traces":
                    seen.extend(invocations(message))

            batch = parse(kind, PROTOBUF, "", data, _LARGEST, look)
            return Read(kind, batch.parts, seen)
        except (ValueError, Refused) as error:
            self._counters.add(DROPPED, "unreadable")
            self._counters.say("unreadable", f"a record of the stream cannot be read and is passed over ({error})")
            return None

    def _end(self, event: dict[str, Any], peaks: Peaks, deadline: float) -> None:
        ended = nanoseconds(event["window"].get("end")) or time.time_ns()
        if event.get("isWindowTerminatedEarly"):  # more of it is to come
            ended = max((_record(each).arrived for each in event.get("Records") or ()), default=0)
        closed = peaks.close(ended)
        if closed and not self._tell(closed, deadline):
            raise NotDone("the backend did not take the metrics of a window")
        rest = list(carried(peaks.intervals()))
        stream = str(event.get("eventSourceARN", "")).rpartition("/")[2]
        if rest and not self._put(stream, rest, deadline):
            raise NotDone("what lasts over the end of a window could not be put back on the stream")


def _record(value: Any) -> Record:
    kinesis = value.get("kinesis") if isinstance(value, dict) else None
    kinesis = kinesis if isinstance(kinesis, dict) else {}
    arrived = kinesis.get("approximateArrivalTimestamp")
    data: bytes | None = None
    try:
        data = base64.b64decode(kinesis.get("data", ""), validate=True)
    except (binascii.Error, TypeError, ValueError):
        pass
    moment = int(arrived * 1e9) if isinstance(arrived, int | float) and 0 < arrived < 2**33 else 0
    return Record(str(kinesis.get("sequenceNumber", "")), moment, data)
