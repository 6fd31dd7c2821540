"""Puts requests on a Kinesis stream, a record for each function, so that all of a function's are in one shard.

By "PutRecords" of the Kinesis Data Streams API Reference: at most 500 records and 5 MiB at once, 1 MiB a record with
its partition key; each record has an outcome of its own, and those that were not taken are sent again. (Streams may
allow more; none allows less.)
"""

import base64
from collections.abc import Iterator
from typing import Any

from hoptrace_collector.aws.api import Answer, Api
from hoptrace_collector.export.encode import encode_foreign
from hoptrace_collector.export.envelope import pack
from hoptrace_collector.export.exporter import REFUSED, RETRY, SENT, Limits, Loss, Result
from hoptrace_collector.export.pieces import halves, parse_request
from hoptrace_collector.otlp_request import WAYS, Part, parts_of

__all__ = ["Kinesis", "key_of", "partition_of"]

MOST_RECORDS = 500
RECORD_BYTES = 1024 * 1024
_REQUEST_BYTES = 5 * 1024 * 1024
_KEY_CHARACTERS = 256
_LATER = (
    "ProvisionedThroughputExceededException",
    "LimitExceededException",
    "KMSThrottlingException",
    "InternalFailure",
    "ThrottlingException",
    "ExpiredTokenException",
    "UnrecognizedClientException",
)
_NAMES = ("faas.name", "service.name")


class Kinesis:
    """Puts one signal on `stream`."""

    timeout = 5.0
    configured = True
    limits = Limits(8192, 4 * 1024 * 1024)

    def __init__(self, signal: str, stream: str, api: Api) -> None:
        self.name = f"the Kinesis stream {stream}"
        self.advice = "Check its name and region, and that the role has the permission kinesis:PutRecords on it"
        self._signal = signal
        self._stream = stream
        self._api = api

    def send(self, body: bytes, deadline: float) -> Result:
        """Put one batch; see `Exporter.send`."""
        records, rest, lost = self._records(body)
        if not records:
            return Result(SENT, lost=lost, rest=tuple(rest))
        entries = [{"Data": base64.b64encode(data).decode(), "PartitionKey": key} for key, data, _ in records]
        answer = self._api.call(
            "Kinesis_20131202.PutRecords", {"StreamName": self._stream, "Records": entries}, deadline
        )
        if answer.status != 200:
            return _failed(answer)
        failed, error = _not_taken(answer.body, len(records))
        if len(failed) == len(records):
            return Result(RETRY, error)
        again = [part for at in failed for part in records[at][2]]
        return Result(SENT, lost=lost, rest=(*again, *rest))

    def renew(self) -> None:
        """Nothing here is an environment's own."""

    def _records(self, body: bytes) -> tuple[list[tuple[str, bytes, list[Part]]], list[Part], tuple[Loss, ...]]:
        """Return records (partition key, data, what is in it), what is for the next time, and what is for none."""
        by_function: dict[str, list[Part]] = {}
        request = parse_request(self._signal, body)
        resources = getattr(request, WAYS[self._signal][0])
        for resource, part in zip(resources, parts_of(self._signal, request), strict=True):
            by_function.setdefault(partition_of(resource.resource), []).append(part)
        records: list[tuple[str, bytes, list[Part]]] = []
        rest: list[Part] = []
        too_large = size = 0
        for key, parts in by_function.items():
            for data, held, amount in self._fitting(key, parts):
                if data is None:
                    too_large += amount
                elif len(records) >= MOST_RECORDS or size + len(data) + len(key) > _REQUEST_BYTES:
                    rest += held
                else:
                    records.append((key, data, held))
                    size += len(data) + len(key.encode())
        lost = (Loss("too_large", too_large, "are larger than a record of 1 MiB"),) if too_large else ()
        return records, rest, lost

    def _fitting(self, key: str, parts: list[Part]) -> Iterator[tuple[bytes | None, list[Part], int]]:
        """Give the data of records that are small enough; None for what cannot be made so."""
        data = pack(self._signal, encode_foreign(part.data for part in parts))
        if len(data) + len(key.encode()) <= RECORD_BYTES:
            yield data, parts, sum(part.amount for part in parts)
            return
        if len(parts) > 1:
            middle = len(parts) // 2
            yield from self._fitting(key, parts[:middle])
            yield from self._fitting(key, parts[middle:])
            return
        smaller = list(halves(self._signal, parts[0].data))
        if len(smaller) < 2:
            yield None, [], parts[0].amount
            return
        for each in smaller:
            yield from self._fitting(key, [each])


def partition_of(resource: Any) -> str:
    """Return the partition key of a resource: its function's, or else its service's."""
    told = {each.key: each.value.string_value for each in resource.attributes if each.value.string_value}
    name = next((told[key] for key in _NAMES if key in told), "unknown")
    return key_of(told.get("cloud.region", ""), name)


def key_of(region: str, name: str) -> str:
    """Return the partition key of a function."""
    return f"{region}:{name}"[:_KEY_CHARACTERS]


def _failed(answer: Answer) -> Result:
    reason = f"{answer.error}: {answer.message}" if answer.error else answer.message
    later = answer.status == 0 or answer.status >= 500 or answer.error in _LATER
    return Result(RETRY if later else REFUSED, reason)


def _not_taken(body: dict[str, Any], count: int) -> tuple[list[int], str]:
    """Return which records were not taken, and one of the reasons."""
    outcomes = body.get("Records")
    if not isinstance(outcomes, list) or len(outcomes) != count:
        return list(range(count)), "the answer does not speak of every record"
    failed = [at for at, each in enumerate(outcomes) if isinstance(each, dict) and each.get("ErrorCode")]
    return failed, str(outcomes[failed[0]]["ErrorCode"]) if failed else ""
