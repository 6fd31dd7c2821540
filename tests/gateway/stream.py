"""A Kinesis stream and the event source mapping that reads it with tumbling windows, by the clock of a test.

No emulator here has tumbling windows. This does what the developer guide says ("Implementing stateful Kinesis Data
Streams processing in Lambda"): windows of fixed length by the records' arrival, for each shard; each invocation gets
the state that the last one answered; what is named in `batchItemFailures` comes again from there on; at a window's end
comes an invocation with `isFinalInvokeForWindow`, again until it succeeds, and the state is deleted.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

SECOND = 10**9
ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/fleet"
Handler = Callable[[dict[str, Any]], dict[str, Any]]


def record(data: bytes, key: str, sequence: int, arrived: int) -> dict[str, Any]:
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": key,
            "sequenceNumber": f"4959033827149025660855969253836157109592157598913{sequence:07}",
            "data": base64.b64encode(data).decode(),
            "approximateArrivalTimestamp": arrived / SECOND,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"shardId-000000000000:{sequence}",
        "eventName": "aws:kinesis:record",
        "awsRegion": "eu-west-1",
        "eventSourceARN": ARN,
    }


class Stream:
    """`shards` shards, whose windows of `length` seconds are read `batch` records at a time."""

    def __init__(self, now: int, *, shards: int = 2, length: int = 60, batch: int = 3) -> None:
        self.now = now
        self.invocations = 0
        self._length = length * SECOND
        self._batch = batch
        self._shards: list[list[dict[str, Any]]] = [[] for _ in range(shards)]
        self._begun = now - now % self._length
        self._states: list[Any] = [{} for _ in range(shards)]
        self._count = 0

    def put(self, key: str, data: bytes) -> None:
        self._count += 1
        shard = int.from_bytes(hashlib.md5(key.encode()).digest(), "big") % len(self._shards)
        self._shards[shard].append(record(data, key, self._count, self.now))

    def read_until(self, moment: int, handler: Handler) -> None:
        """Let the time pass, and the function be invoked with what has come and with the windows that end."""
        while (end := self._begun + self._length) <= moment:
            self.now = max(self.now, end)
            for shard in range(len(self._shards)):
                self._read(shard, end, handler)
                self._end(shard, handler)
            self._begun = end
        for shard in range(len(self._shards)):
            self._read(shard, moment, handler)
        self.now = moment

    def _read(self, shard: int, until: int, handler: Handler) -> None:
        waiting = self._shards[shard]
        for _ in range(1000):
            due = [each for each in waiting if each["kinesis"]["approximateArrivalTimestamp"] * SECOND < until]
            if not (due := due[: self._batch]):
                return
            answer = self._invoke(shard, due, handler, final=False)
            assert isinstance(answer.get("state"), dict), "without a state Lambda calls it failed"
            assert len(json.dumps(answer["state"])) <= 1_000_000
            self._states[shard] = answer["state"]
            failed = [each["itemIdentifier"] for each in answer["batchItemFailures"]]
            first = [each["kinesis"]["sequenceNumber"] for each in due].index(failed[0]) if failed else len(due)
            del waiting[:first]
        raise AssertionError("the function makes no progress")

    def _end(self, shard: int, handler: Handler) -> None:
        for _ in range(10):
            try:
                self._invoke(shard, [], handler, final=True)
                break
            except Exception:
                continue
        self._states[shard] = {}

    def _invoke(self, shard: int, records: list[dict[str, Any]], handler: Handler, *, final: bool) -> dict[str, Any]:
        self.invocations += 1
        begun = self._begun
        event = {
            "Records": records,
            "window": {"start": _iso(begun), "end": _iso(begun + self._length)},
            "state": self._states[shard],
            "shardId": f"shardId-{shard:012}",
            "eventSourceARN": ARN,
            "isFinalInvokeForWindow": final,
            "isWindowTerminatedEarly": False,
        }
        answer: dict[str, Any] = json.loads(json.dumps(handler(json.loads(json.dumps(event)))))
        return answer


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
