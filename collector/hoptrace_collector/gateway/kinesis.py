"""The Lambda function that reads a Kinesis stream: `hoptrace_collector.gateway.kinesis.handler`."""

import base64
import time
from typing import Any

from hoptrace_collector.aws.api import Api
from hoptrace_collector.aws.credentials import CredentialsSource
from hoptrace_collector.counters import Counters
from hoptrace_collector.export.encode import encode_metrics
from hoptrace_collector.export.envelope import CARRY, pack
from hoptrace_collector.export.kinesis import MOST_RECORDS, key_of
from hoptrace_collector.gateway.concurrency import points
from hoptrace_collector.gateway.consumer import Consumer
from hoptrace_collector.gateway.peaks import Function, Peak
from hoptrace_collector.gateway.sending import Sending
from hoptrace_collector.gateway.settings import GatewaySettings, read_gateway
from hoptrace_collector.otlp_request import Part
from hoptrace_collector.pipeline.flush import SIGNALS
from hoptrace_collector.pipeline.tally import Named, Tally
from hoptrace_collector.settings import Settings, Targets, from_environment

__all__ = ["Fleet", "handler"]

# What is left of the time for answering, in seconds.
_FOR_THE_ANSWER = 1.0
_PUT_BYTES = 4 * 1024 * 1024
_ATTEMPTS = 5
# What a further destination may take of an invocation's time, in seconds.
_PATIENCE = 5.0

_fleet: "Fleet | None" = None


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Send on what is in the records, and tell peaks at the ends of windows."""
    global _fleet
    if _fleet is None:
        settings, complaints = from_environment()
        counters = Counters()
        for complaint in complaints:
            counters.say(complaint, complaint)
        _fleet = Fleet(settings, read_gateway([]), counters)
    left = context.get_remaining_time_in_millis() / 1000
    return _fleet.consumer.handle(event, time.monotonic() + max(0.0, left - _FOR_THE_ANSWER))


class Fleet:
    """A `consumer` that sends to where the settings say."""

    def __init__(self, settings: Settings, gateway: GatewaySettings, counters: Counters) -> None:
        self._settings = settings
        self._counters = counters
        first = Targets("", settings.traces, settings.metrics, settings.logs)
        self._sending = _sending(first, counters)
        self._further = [_sending(each, Named(counters, each.name)) for each in settings.destinations]
        self._api: Api | None = None
        width, lateness = int(gateway.window * 1e9), int(gateway.lateness * 1e9)
        self.consumer = Consumer(self._send, self._tell, self._put, counters, width=width, lateness=lateness)

    def close(self) -> None:
        """End what connections there are; Lambda never asks for it."""
        for of in (self._sending, *self._further):
            for sending in of.values():
                sending.close()
        if self._api is not None:
            self._api.close()

    def _send(self, signal: str, parts: list[Part], deadline: float) -> bool:
        """Send to the first destination, for which the stream keeps what it does not take, and offer it to the rest."""
        if not self._sending[signal].send(parts, deadline):
            return False
        for each in self._further:
            each[signal].offer(parts, min(deadline, time.monotonic() + _PATIENCE))
        return True

    def _tell(self, peaks: list[Peak], deadline: float) -> bool:
        # A shard does not have all functions of an account: of the account it knows nothing that is true.
        numbers = points(peak for peak in peaks if peak.function.name)
        resource = (("service.name", "hoptrace-fleet"), *self._settings.resource)
        return self._send("metrics", [Part(encode_metrics(resource, numbers), 0)], deadline)

    def _put(self, stream: str, records: list[tuple[Function, bytes]], deadline: float) -> bool:
        """Put what is carried back on the stream it came from, each function's where its invocations go."""
        if self._api is None:
            aws = self._settings.aws
            self._api = Api("kinesis", aws.endpoint("kinesis"), aws.region, CredentialsSource(aws))
        entries = [
            {
                "Data": base64.b64encode(pack(CARRY, data)).decode(),
                "PartitionKey": key_of(function.region, function.name),
            }
            for function, data in records
        ]
        return all(self._put_some(self._api, stream, some, deadline) for some in _portions(entries))

    def _put_some(self, api: Api, stream: str, entries: list[dict[str, str]], deadline: float) -> bool:
        for attempt in range(_ATTEMPTS):
            answer = api.call("Kinesis_20131202.PutRecords", {"StreamName": stream, "Records": entries}, deadline)
            outcomes = answer.body.get("Records")
            if answer.status == 200 and isinstance(outcomes, list) and len(outcomes) == len(entries):
                entries = [
                    entry
                    for entry, outcome in zip(entries, outcomes, strict=True)
                    if isinstance(outcome, dict) and outcome.get("ErrorCode")
                ]
                if not entries:
                    return True
            elif answer.error:
                self._counters.say(
                    f"put {answer.error}",
                    f"what lasts over the end of a window could not be put back on the stream {stream} "
                    f"({answer.error}): the role needs the permission kinesis:PutRecords on it",
                )
            time.sleep(max(0.0, min(0.1 * 2**attempt, deadline - time.monotonic())))
        return False


def _sending(targets: Targets, tally: Tally) -> dict[str, Sending]:
    of = (targets.traces, targets.metrics, targets.logs)
    return {signal.name: Sending(target, signal, tally) for signal, target in zip(SIGNALS, of, strict=True)}


def _portions(entries: list[dict[str, str]]) -> list[list[dict[str, str]]]:
    portions: list[list[dict[str, str]]] = [[]]
    size = 0
    for entry in entries:
        if len(portions[-1]) >= MOST_RECORDS or (portions[-1] and size + len(entry["Data"]) > _PUT_BYTES):
            portions.append([])
            size = 0
        portions[-1].append(entry)
        size += len(entry["Data"])
    return portions
