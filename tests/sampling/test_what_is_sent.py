"""The collector's side of an invocation that is not sampled, and that of the sender without one."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import hoptrace
from hoptrace.direct.batches import Reader
from hoptrace.direct.spool import Spool
from hoptrace.testing import LambdaContext, recorder
from hoptrace_collector.collector import Collector
from hoptrace_collector.counters import Counters
from hoptrace_collector.settings import Otlp, Settings, parse_url
from hoptrace_collector.told import Shutdown
from tests.clients.conftest import Wire
from tests.collector.support import Backend, begin, ended, inner, span, write
from tests.direct.support import pip_only


def collected(run_dir: Path, *records: Any) -> tuple[list[str], dict[str, float]]:
    """What a backend gets of these records: the names of spans, and the sums and counts of metrics."""
    run_dir.mkdir()
    write(run_dir, *records)
    with Backend() as backend:
        traces, metrics = (Otlp(parse_url(f"{backend.url}/v1/{signal}")) for signal in ("traces", "metrics"))
        settings = Settings(run_dir=str(run_dir), traces=traces, metrics=metrics)
        collector = Collector(settings, Counters(lambda _: None), sleep=lambda _: None)
        collector.started(None)
        collector.drain(time.monotonic() + 5)
        collector.shutdown(Shutdown("spindown", 0), time.monotonic() + 5)
        names, numbers = [], {}
        for posted in backend.requests:
            if posted.path == "/v1/traces":
                found = ExportTraceServiceRequest.FromString(posted.body)
                names += [s.name for r in found.resource_spans for x in r.scope_spans for s in x.spans]
            elif posted.path == "/v1/metrics":
                for resource in ExportMetricsServiceRequest.FromString(posted.body).resource_metrics:
                    for metric in resource.scope_metrics[0].metrics:
                        for point in metric.sum.data_points:
                            numbers[metric.name] = numbers.get(metric.name, 0) + (point.as_int or point.as_double)
                        for point in metric.histogram.data_points:
                            numbers[metric.name] = numbers.get(metric.name, 0) + point.count
    return names, numbers


def test_the_collector_counts_what_head_sampling_left_out_and_exports_nothing_of_it(tmp_path: Path) -> None:
    unsampled = begin(2, "r2", span=span(2, flags=0))
    records = (
        begin(1), inner(11), ended(1), unsampled, ended(2, "r2", outcome="error", flags=0),
        begin(3, "r3", span=span(3, flags=0)),  # which never comes back
    )  # fmt: skip
    names, numbers = collected(tmp_path / "run", *records)
    assert sorted(names) == ["SQS.SendMessage", "shipping"]
    assert numbers["faas.invocations"] == 1 and numbers["faas.errors"] >= 1
    assert numbers["faas.invoke_duration"] >= 2
    assert numbers["hoptrace.collector.unsampled"] >= 1 and numbers["hoptrace.collector.received"] == 2


def test_a_record_without_flags_is_of_a_tracer_that_knew_no_sampling(tmp_path: Path) -> None:
    old = inner(1)
    del old["span"]["flags"]
    assert collected(tmp_path / "run", old)[0] == ["SQS.SendMessage"]


def test_throttling_of_calls_that_are_not_sampled_is_counted(tmp_path: Path) -> None:
    throttled = b'{"__type":"ThrottlingException","message":"slow down"}'
    with recorder({"OTEL_TRACES_SAMPLER": "always_off"}) as recorded:
        wire = Wire("dynamodb", (400, {"x-amz-crc32": "0"}, throttled))

        @hoptrace.trace
        def handler(_event: Any, _context: Any) -> None:
            wire.client.get_item(TableName="orders", Key={"id": {"S": "1"}})

        with pytest.raises(ClientError):
            handler({}, LambdaContext())
        records = recorded.records
    names, numbers = collected(tmp_path / "run", *records)
    assert names == [] and numbers["hoptrace.aws.throttles"] == 3 and numbers["faas.errors"] == 1


def test_the_sender_without_a_collector_sends_nothing_of_what_is_not_sampled(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), 1 << 20, keep=True)
    records = (begin(1, span=span(1, flags=0)), inner(2, flags=0), ended(1, flags=0), inner(3, name="kept"))
    for record in (*records, begin(4, span=span(4, flags=0))):
        spool.write(json.dumps(record).encode() + b"\n")
    assert spool.current is not None
    spool.current.orphan = spool.current.finished = True
    batch = Reader(spool.current, {}, ("", "")).read(time.time_ns())
    assert batch is not None and [found["name"] for found in batch.spans] == ["kept"] and batch.opened == {}
    spool.close()


def test_a_function_without_the_layer_obeys_its_sampler(tmp_path: Path) -> None:
    with Backend() as backend:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": backend.url, "OTEL_TRACES_SAMPLER": "always_off"}
        with pip_only(tmp_path, environment) as desk:
            assert desk.invoke({}) == "done"
        assert backend.requests == []
