"""SnapStart: one image, many environments, and nothing in any of them that belongs to another."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.collector.support import Backend, attributes_of, spans_of, unpacked
from tests.collector.test_metrics_are_true import Points
from tests.support.functions import function

from . import image

COPY = """
import os, random
import hoptrace.spans
from snapshot_restore_py import register_after_restore, register_before_snapshot

hoptrace.spans.start_span("while initialising").end()
seen = []

@register_before_snapshot
def before():
    hoptrace.spans.start_span("before the snapshot").end()

@register_after_restore
def after():
    hoptrace.spans.start_span("after the restore").end()
    seen.append(os.getpid())

def handler(event, context):
    hoptrace.spans.start_span("inside").end()
    return {"random": random.getrandbits(64), "seen": len(seen)}
"""


def test_twenty_copies_of_one_image_share_their_random_numbers_and_not_one_id(tmp_path: Path) -> None:
    copies, records, log = image.copies(tmp_path, COPY, [{}, {}], count=20)
    answers = [copy.answers for copy in copies]
    assert [len(each) for each in answers] == [2] * 20, log
    # The control: whatever draws from the process's own generator draws the same in every copy.
    assert len({each[0]["random"] for each in answers}) == 1
    assert {each[0]["seen"] for each in answers} == {1}
    spans = [record["span"] for record in records if record["type"] in ("span", "end")]
    assert {span["name"] for span in spans} == {"restore", "f", "inside", "after the restore"}
    assert len(spans) == 20 * 6
    assert len({span["span_id"] for span in spans}) == len(spans)
    invocations = [record["span"] for record in records if record["type"] == "end"]
    assert len({span["trace_id"] for span in invocations}) == 40
    instances = {record["resource"]["faas.instance"] for record in records if record["type"] == "begin"}
    assert len(instances) == 20


def test_what_was_recorded_before_the_snapshot_is_in_no_copy_and_what_is_lost_is_counted(tmp_path: Path) -> None:
    _, records, log = image.copies(tmp_path, COPY, [{}], count=3)
    dropped = [record for record in records if record["type"] == "dropped"]
    assert "3 records of the initialisation could not be sent before the snapshot" in log
    # Each copy says so: the image has the count, as it has everything else.
    assert {(record["reason"], record["count"]) for record in dropped} == {("snapshot", 3)}


def test_the_restore_is_a_child_of_the_invocation_that_waited_and_hooks_are_part_of_it(tmp_path: Path) -> None:
    source = COPY.replace("    seen.append", "    __import__('time').sleep(0.3)\n    seen.append")
    before = time.time_ns()
    _, records, _ = image.copies(tmp_path, source, [{}, {}], count=2)
    invocations = [record["span"] for record in records if record["type"] == "end"]
    restores = [record["span"] for record in records if record.get("span", {}).get("name") == "restore"]
    assert sorted(span["attributes"]["faas.coldstart"] for span in invocations) == [False, False, True, True]
    cold = {span["span_id"]: span for span in invocations if span["attributes"]["faas.coldstart"]}
    assert {span["parent_id"] for span in restores} == set(cold)
    for span in restores:
        assert before < span["start"] <= span["end"] <= cold[span["parent_id"]]["start"]
        assert span["end"] - span["start"] >= 300_000_000
        assert span["trace_id"] == cold[span["parent_id"]]["trace_id"]


def test_an_error_in_a_users_hook_is_reported_as_without_us(tmp_path: Path) -> None:
    source = COPY.replace("    seen.append(os.getpid())", "    raise LookupError('no such secret')")
    ((copy,), _, _) = image.copies(tmp_path, source, [{}], count=1)
    (error,) = copy.restore_errors
    assert (error["errorType"], error["errorMessage"]) == ("LookupError", "no such secret")
    assert "python/hoptrace/" not in str(error["stackTrace"])


WHOLE = """
import os
import hoptrace.spans
from snapshot_restore_py import register_after_restore, register_before_snapshot

hoptrace.spans.start_span("while initialising").end()

@register_before_snapshot
def before():
    hoptrace.spans.start_span("before the snapshot").end()

@register_after_restore
def after():
    hoptrace.spans.start_span("after the restore").end()

def handler(event, context):
    import botocore.session
    found = botocore.session.Session().get_credentials()
    return {"method": found.method, "key": found.access_key, "static": "AWS_ACCESS_KEY_ID" in os.environ,
            "stream": os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")}
"""


def test_a_version_tells_its_initialisation_once_and_each_environment_its_restore(tmp_path: Path) -> None:
    with Backend() as backend:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": backend.url}
        with function(tmp_path, WHOLE, environment=environment, initialization_type="snap-start") as desk:
            published = time.time_ns()
            desk.host.initialize("f")
            sent = {span.name: span for span in spans_of(backend)}
            before = len(backend.requests)
            time.sleep(0.5)  # the snapshot lies there
            restoring = time.time_ns()
            answers = [desk.invoke({}), desk.invoke({})]
            stats, telemetry = desk.host.stats("f"), desk.host.telemetry("f")
        later = spans_of(backend)[len(sent) :]
        instances = _resources(backend, "faas.instance")
        points = Points(backend)
    # Before the snapshot: all of the initialisation, at its true time, in a trace of its own.
    assert set(sent) == {"init", "while initialising", "before the snapshot"}
    assert before >= 2, "traces and metrics"
    init = sent["init"]
    assert published - 20_000_000 <= init.start_time_unix_nano < init.end_time_unix_nano < restoring
    assert not init.parent_span_id
    # After it: nothing of that again.
    assert [span.name for span in later if span.name in sent] == []
    cold, warm = sorted((s for s in later if s.name == "f"), key=lambda s: s.start_time_unix_nano)
    (restore,) = (s for s in later if s.name == "restore")
    assert attributes_of(cold)["faas.coldstart"] is True
    assert attributes_of(warm)["faas.coldstart"] is False
    assert (restore.parent_span_id, restore.trace_id) == (cold.span_id, cold.trace_id)
    # From when Lambda began with it, which is before the process ran on.
    (begun,) = (e for e in telemetry if e["type"] == "platform.restoreReport")
    assert restoring <= restore.start_time_unix_nano < restore.end_time_unix_nano <= cold.start_time_unix_nano
    length = (restore.end_time_unix_nano - restore.start_time_unix_nano) / 1e6
    assert abs(length - begun["record"]["metrics"]["durationMs"]) < 250
    assert stats.cold_starts == 1
    # Each once: by the init of the version, by the restore of the environment.
    assert points.count("faas.init_duration") == 1
    assert points.count("hoptrace.environment.restore_duration") == 1
    assert points.sums["faas.coldstarts"] == 1
    assert points.sums["faas.invocations"] == 2
    assert [answer["method"] for answer in answers] == ["container-role"] * 2
    assert not answers[0]["static"]
    assert answers[0]["stream"] is None
    assert len(instances) == 1, "the restored environment has a name"


def _resources(backend: Any, name: str) -> set[str]:
    return {
        pair.value.string_value
        for posted in backend.requests
        if posted.path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(unpacked(posted)).resource_spans
        for pair in resource.resource.attributes
        if pair.key == name
    }


def test_a_hook_that_raises_is_seen_as_a_restore_that_failed(tmp_path: Path) -> None:
    source = WHOLE.replace('    hoptrace.spans.start_span("after the restore").end()', "    raise LookupError('no')")
    with Backend() as backend:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": backend.url}
        with function(tmp_path, source, environment=environment, initialization_type="snap-start") as desk:
            desk.host.initialize("f")
            answer = desk.invoke({})
        lost = [span for span in spans_of(backend) if span.name == "restore" and span.status.code == 2]
    assert answer["errorType"] == "LookupError", answer
    assert len(lost) == 1
    assert attributes_of(lost[0])["error.type"] == "Runtime.AfterRestoreError"
