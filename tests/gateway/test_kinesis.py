"""Requests go on a stream by function, and what a stream does not take goes again."""

import base64
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from hoptrace_collector.counters import Counters
from hoptrace_collector.export.choose import exporter_for
from hoptrace_collector.export.envelope import CARRY, pack, unpack
from hoptrace_collector.export.kinesis import Kinesis
from hoptrace_collector.gateway import kinesis
from hoptrace_collector.gateway.held import read_carried
from hoptrace_collector.gateway.kinesis import Fleet
from hoptrace_collector.gateway.settings import read_gateway
from hoptrace_collector.settings import read
from tests.collector.support import Backend, spans_of
from tests.triggers.real_aws import REGION, RealAws

from .stream import record
from .support import SECOND, gauges, traces

ACCOUNT = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAws]:
    aws = RealAws(tmp_path_factory.mktemp("aws"))
    yield aws
    aws.close()


def exporter(url: str, stream: str, signal: str = "traces") -> Any:
    """As the settings make it."""
    env = {**ACCOUNT, "AWS_ENDPOINT_URL_KINESIS": url, "OTEL_EXPORTER_OTLP_ENDPOINT": f"kinesis:{stream}"}
    settings, complaints = read(env)
    assert not complaints
    target = settings.traces if signal == "traces" else settings.logs
    assert target.configured
    made = exporter_for(signal, target)
    assert isinstance(made, Kinesis)
    return made


def deadline() -> float:
    return time.monotonic() + 10


def spans_in(data: bytes) -> list[int]:
    kind, body = unpack(data, 2**24)
    assert kind == "traces"
    request = ExportTraceServiceRequest.FromString(body)
    return [int.from_bytes(s.span_id, "big") for r in request.resource_spans for g in r.scope_spans for s in g.spans]


def test_all_of_a_function_goes_into_one_shard_of_a_real_stream(aws: RealAws) -> None:
    client = aws.client("kinesis")
    client.create_stream(StreamName="fleet", ShardCount=4)
    put = exporter(aws.url, "fleet")
    sent: dict[str, list[int]] = {}
    for turn in range(3):
        body = b""
        for function in range(12):
            number = turn * 100 + function + 1
            body += traces((number, SECOND, 2 * SECOND), name=f"f{function}")
            sent.setdefault(f"{'eu-west-1'}:f{function}", []).append(number)
        assert put.send(body, deadline()).kind == "sent"
    found: dict[str, list[int]] = {}
    shards: dict[str, set[str]] = {}
    for shard in client.describe_stream(StreamName="fleet")["StreamDescription"]["Shards"]:
        iterator = client.get_shard_iterator(
            StreamName="fleet", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        for each in client.get_records(ShardIterator=iterator)["Records"]:
            found.setdefault(each["PartitionKey"], []).extend(spans_in(each["Data"]))
            shards.setdefault(each["PartitionKey"], set()).add(shard["ShardId"])
    assert found == sent
    assert all(len(of) == 1 for of in shards.values())
    assert len(set.union(*shards.values())) > 1


def test_what_lasts_over_a_window_is_put_back_into_the_shard_of_its_function(aws: RealAws) -> None:
    client = aws.client("kinesis")
    client.create_stream(StreamName="windows", ShardCount=2)
    begun = int(time.time()) // 60 * 60 * SECOND
    lasting = [(n, begun + n, begun + 50 * SECOND) for n in range(1, 4)]
    with Backend() as backend:
        settings, _ = read({**ACCOUNT, "AWS_ENDPOINT_URL_KINESIS": aws.url, "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url})
        fleet = Fleet(settings, read_gateway([], {}), Counters())
        window = {"start": _iso(begun), "end": _iso(begun + 60 * SECOND)}
        more = {"window": window, "eventSourceARN": f"arn:aws:kinesis:{REGION}:000000000000:stream/windows"}
        records = [record(pack("traces", traces(*lasting)), "k", 1, begun + 51 * SECOND)]
        answer = fleet.consumer.handle({**more, "Records": records, "state": {}}, deadline())
        final = {**more, "Records": [], "state": answer["state"], "isFinalInvokeForWindow": True}
        assert fleet.consumer.handle(final, deadline())["state"] == {}
        assert not gauges(backend), "by its lateness the window is still open"
        exporter(aws.url, "windows").send(traces((9, 1, 2)), deadline())
        by_shard = []
        for shard in client.describe_stream(StreamName="windows")["StreamDescription"]["Shards"]:
            at = client.get_shard_iterator(
                StreamName="windows", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            by_shard.append([unpack(each["Data"], 2**24) for each in client.get_records(ShardIterator=at)["Records"]])
        [both] = [found for found in by_shard if found]
        assert [kind for kind, _ in both] == [CARRY, "traces"], "where its invocations go"
        assert [(each.start, each.end, each.ident) for each in read_carried(both[0][1])] == [
            (s, e, n) for n, s, e in lasting
        ]
        # Two minutes later it is closed, with what was carried.
        later = begun + 120 * SECOND
        more["window"] = {"start": _iso(later), "end": _iso(later + 60 * SECOND)}
        records = [record(pack(CARRY, both[0][1]), "k", 2, later + 1)]
        fleet.consumer.handle({**more, "Records": records, "state": {}, "isFinalInvokeForWindow": True}, deadline())
        [(at_end, value, _)] = gauges(backend)["hoptrace.function.concurrency.max", "shipping"]
        assert (at_end, value) == (begun + 60 * SECOND, 3)
        assert not any(name.startswith("hoptrace.account") for name, _ in gauges(backend)), "a shard has not all of it"
        fleet.close()


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_handler_is_made_of_the_functions_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    class Context:
        def get_remaining_time_in_millis(self) -> int:
            return 10_000

    with Backend() as backend, Backend() as second:
        for name, value in {
            "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
            "HOPTRACE_DESTINATIONS": "second,dead",
            "HOPTRACE_DESTINATION_SECOND_ENDPOINT": second.url,
            "HOPTRACE_DESTINATION_DEAD_ENDPOINT": "http://127.0.0.1:9",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(kinesis, "_fleet", None)
        event = {"Records": [record(pack("traces", traces((5, 1, 2))), "k", 1, SECOND)]}
        assert kinesis.handler(event, Context()) == {"batchItemFailures": []}
        assert [spans_of(each)[0].span_id[-1] for each in (backend, second)] == [5, 5]
        assert kinesis._fleet is not None
        assert kinesis._fleet._counters.total("destination_dropped", "dead: unavailable") == 1
        kinesis._fleet.close()


def answered(outcomes: list[dict[str, Any]], status: int = 200) -> Any:
    failed = sum("ErrorCode" in each for each in outcomes)
    return (status, {}, json.dumps({"FailedRecordCount": failed, "Records": outcomes}).encode())


TAKEN = {"SequenceNumber": "1", "ShardId": "shardId-000000000000"}
LATER = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"}


def test_what_a_stream_does_not_take_is_what_is_sent_again() -> None:
    body = traces((1, 1, 2), name="a") + traces((2, 1, 2), name="b") + traces((3, 1, 2), name="c")
    with Backend(answered([TAKEN, LATER, TAKEN]), answered([LATER]), answered([TAKEN])) as backend:
        put = exporter(backend.url, "fleet")
        result = put.send(body, deadline())
        assert (result.kind, [part.amount for part in result.rest]) == ("sent", [1])
        from hoptrace_collector.export.encode import encode_foreign

        rest = encode_foreign(part.data for part in result.rest)
        result = put.send(rest, deadline())
        assert (result.kind, result.reason) == ("retry", "ProvisionedThroughputExceededException")
        assert put.send(rest, deadline()).kind == "sent"
        last = json.loads(backend.requests[-1].body)
        assert [spans_in(base64.b64decode(each["Data"])) for each in last["Records"]] == [[2]]


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, "ResourceNotFoundException", "refused"),
        (400, "AccessDeniedException", "refused"),
        (400, "ProvisionedThroughputExceededException", "retry"),
        (400, "ExpiredTokenException", "retry"),
        (500, "InternalFailure", "retry"),
        (503, "", "retry"),
    ],
)
def test_an_error_of_the_whole_request_is_for_good_or_not(status: int, error: str, kind: str) -> None:
    body = json.dumps({"__type": f"com.amazonaws.kinesis#{error}", "message": "no"} if error else {}).encode()
    with Backend((status, {}, body)) as backend:
        put = exporter(backend.url, "fleet")
        result = put.send(traces((1, 1, 2)), deadline())
        assert result.kind == kind
        assert error in result.reason
        assert "kinesis:PutRecords" in put.advice


def test_what_is_larger_than_a_record_is_cut_and_what_cannot_be_cut_is_lost_alone() -> None:
    import random

    source = random.Random(1)
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number, size in enumerate((300_000, 300_000, 400_000, 400_000, 1_100_000), 1):
        span = scope.spans.add(trace_id=bytes(16), span_id=number.to_bytes(8, "big"), name="large")
        span.attributes.add(key="payload").value.bytes_value = source.randbytes(size)
    asked: list[Any] = []

    def answer(posted: Any) -> Any:
        asked.append(json.loads(posted.body))
        return answered([TAKEN] * len(asked[-1]["Records"]))

    with Backend(answer) as backend:
        result = exporter(backend.url, "fleet").send(request.SerializeToString(), deadline())
        assert result.kind == "sent"
        assert [(loss.reason, loss.amount) for loss in result.lost] == [("too_large", 1)]
        records = [base64.b64decode(each["Data"]) for each in asked[0]["Records"]]
        assert all(len(each) <= 1024 * 1024 for each in records)
        assert sorted(number for each in records for number in spans_in(each)) == [1, 2, 3, 4]


def test_more_than_a_request_may_hold_goes_with_the_next() -> None:
    body = b"".join(traces((number, 1, 2), name=f"f{number}") for number in range(1, 701))
    with Backend(answered([TAKEN] * 500)) as backend:
        result = exporter(backend.url, "fleet").send(body, deadline())
        assert (result.kind, len(result.rest)) == ("sent", 200)


def test_a_name_that_no_stream_can_have_is_complained_of() -> None:
    settings, complaints = read({**ACCOUNT, "OTEL_EXPORTER_OTLP_ENDPOINT": "kinesis:not a name"})
    assert not settings.traces.configured
    assert any("is not the name of a Kinesis stream" in line for line in complaints)
