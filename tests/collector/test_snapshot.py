"""The collector in a SnapStart image: what one has sent, no copy sends again, and no copy lives by another's clock."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from hoptrace_collector.aws.credentials import CredentialsSource
from hoptrace_collector.collector import Collector
from hoptrace_collector.counters import Counters
from hoptrace_collector.model import Span, SpanEnded
from hoptrace_collector.restore import Restore, failed
from hoptrace_collector.settings import read
from hoptrace_collector.told import Invoke, RestoreReport, Shutdown

from .support import Backend, begin, ended, inner, spans_of, write

COPIES = 5


def _made(run_dir: Path, backend: Backend) -> Collector:
    settings, complaints = read(
        {
            "HOPTRACE_RUN_DIR": str(run_dir),
            "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
        }
    )
    assert complaints == []
    return Collector(settings, Counters())


def _live(collector: Collector, run_dir: Path, number: int) -> None:
    """One environment that was made of the image; its first invocation ends well, its second never does."""
    collector.restored()
    for at, request_id in enumerate((f"ok{number}", f"lost{number}")):
        event = Invoke(request_id, "arn:aws:lambda:r:1:function:shipping", int(time.time() * 1000) + 3000, "", 1)
        collector.invoked(event)
        if at == 0:
            write(run_dir, begin(100 + number, request_id), ended(100 + number, request_id))
            collector.drain(time.monotonic() + 2)
            collector.flush(time.monotonic() + 2)
            collector.released()
    collector.shutdown(Shutdown("timeout", 0), time.monotonic() + 2)


def test_copies_of_a_collector_send_what_is_theirs_and_repeat_neither_span_nor_number(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    with Backend() as backend:
        collector = _made(run_dir, backend)
        collector.started(None)
        write(run_dir, inner(1, "", name="while initialising"))
        collector.snapshot(time.monotonic() + 4)
        assert [span.name for span in spans_of(backend)] == ["while initialising"]
        assert (run_dir / "records.jsonl").read_bytes() == b""
        taken, before = time.time_ns(), len(backend.requests)
        for number in range(COPIES):
            (run_dir / "records.jsonl").write_bytes(b"")  # each has the /tmp of the image
            if (child := os.fork()) == 0:
                status = 1
                try:
                    _live(collector, run_dir, number)
                    status = 0
                finally:
                    os._exit(status)
            assert os.waitpid(child, 0)[1] == 0
        spans = spans_of(backend)
        metrics = [
            ExportMetricsServiceRequest.FromString(posted.body)
            for posted in backend.requests[before:]
            if posted.path == "/v1/metrics"
        ]
    ids = [span.span_id for span in spans]
    # One of the initialisation; of each copy that which came back, and that which the collector had to make up for.
    assert len(ids) == len(set(ids)) == 1 + 2 * COPIES
    assert len(metrics) == COPIES
    for request in metrics:
        for metric in request.resource_metrics[0].scope_metrics[0].metrics:
            for point in (*metric.sum.data_points, *metric.histogram.data_points, *metric.gauge.data_points):
                assert point.start_time_unix_nano >= taken or not point.start_time_unix_nano
            if metric.name == "hoptrace.collector.received":
                # Its own two, and nothing that was counted before the image was taken.
                assert sum(point.as_int for point in metric.sum.data_points) == 2


def test_a_backend_that_is_dead_when_the_snapshot_is_taken_is_asked_again_at_once_after_it(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    with Backend((503, {}, b""), (503, {}, b""), (200, {}, b"")) as backend:
        collector = _made(run_dir, backend)
        write(run_dir, inner(1, "", name="while initialising"))
        collector.snapshot(time.monotonic() + 0.01)
        collector.restored()
        write(run_dir, begin(2, "r"), ended(2, "r"))
        collector.invoked(Invoke("r", "", int(time.time() * 1000) + 3000, "", 1))
        collector.drain(time.monotonic() + 2)
        collector.flush(time.monotonic() + 2)
        assert [int.from_bytes(span.span_id) for span in spans_of(backend)][-1] == 2
        collector.flush(time.monotonic() + 2)
    # What could not be sent is in no image: it was dropped, and counted.
    assert [int.from_bytes(span.span_id) for span in spans_of(backend, 99)].count(1) <= 2


def test_credentials_that_were_fetched_before_the_snapshot_are_not_used_long_after_it() -> None:
    keys = json.dumps({"AccessKeyId": "A", "SecretAccessKey": "s", "Token": "t"}).encode()
    with Backend(get=(200, {}, keys)) as backend:
        settings, _ = read(
            {
                "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{backend.url}/2021-04-23/credentials",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": "token",
                "AWS_ACCESS_KEY_ID": "OLD",
                "AWS_SECRET_ACCESS_KEY": "of the snapshot",
            }
        )
        wall = 1_790_000_000.0
        # The monotonic clock of an image goes on where it stood, as if it had never lain anywhere.
        source = CredentialsSource(settings.aws, clock=lambda: 50.0, now=lambda: wall)
        assert source.get(time.monotonic() + 2).access_key == "A"
        assert source.get(time.monotonic() + 2).access_key == "A"
        assert len(backend.requests) == 1
        wall += 90 * 86_400
        source.get(time.monotonic() + 2)
        assert len(backend.requests) == 2
        assert backend.requests[0].headers["authorization"] == "token"


def _restored(start: int, end: int) -> SpanEnded:
    return SpanEnded("r", Span(b"t" * 16, b"s" * 8, "restore", 1, start, end, attributes={"hoptrace.restore": True}))


def test_a_restore_begins_when_lambda_says_whichever_of_the_two_comes_first() -> None:
    second = 10**9
    for told_first in (True, False):
        restore = Restore()
        report = RestoreReport("success", "", 2.0, 100 * second)
        if told_first:
            restore.told(report)
        assert restore.takes(_restored(99 * second, 100 * second))
        assert restore.waits is not told_first
        restore.told(report)
        (record,) = restore.release()
        assert (record.span.start, record.span.end) == (98 * second, 100 * second)
        assert list(restore.release()) == []


def test_without_lambdas_word_a_restore_is_what_the_tracer_saw() -> None:
    restore = Restore()
    restore.takes(_restored(7, 9))
    (record,) = restore.release()
    assert (record.span.start, record.span.end) == (7, 9)
    assert not restore.takes(SpanEnded("", Span(b"t" * 16, b"s" * 8, "x", 1, 1, 2)))


def test_a_restore_that_failed_is_told_though_no_invocation_ever_began() -> None:
    second = 10**9
    lost = failed(RestoreReport("error", "Runtime.AfterRestoreError", 2.0, 100 * second), os.urandom)
    assert lost is not None
    span = lost.span
    assert (span.name, span.start, span.end, span.status) == ("restore", 98 * second, 100 * second, 2)
    assert span.attributes["error.type"] == "Runtime.AfterRestoreError"
    assert failed(RestoreReport("success", "", 2.0, 100 * second), os.urandom) is None
    timed_out = failed(RestoreReport("timeout", "", 10.0, 100 * second), os.urandom)
    assert timed_out is not None
    assert timed_out.span.attributes["error.type"] == "timeout"
