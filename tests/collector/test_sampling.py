"""Late sampling: what is kept whatever its chance, the share of the rest, and what is held until then."""

import hashlib
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace._sampling_experimental import composable_traceid_ratio_based, composite_sampler
from opentelemetry.sdk.trace.sampling import Decision

from hoptrace_collector.collector import Collector
from hoptrace_collector.complete import Finished
from hoptrace_collector.counters import Counters
from hoptrace_collector.model import Origin
from hoptrace_collector.pipeline.queue import Item
from hoptrace_collector.receive.decode import decode_span
from hoptrace_collector.receive.otlp import parse
from hoptrace_collector.receive.records import Mark
from hoptrace_collector.sampling.probability import threshold_passed
from hoptrace_collector.sampling.sampler import Sampler
from hoptrace_collector.settings import Otlp, Settings, parse_url, read
from hoptrace_collector.settings.sampling import Rule, Sampling, parse_rules
from hoptrace_collector.told import Invoke, Shutdown
from tests.support.functions import function

from .support import Backend, attributes_of, begin, ended, inner, span, spans_of, write

# By their last 56 bits: of a share of a tenth, one is kept and the other is not.
CHOSEN = "4bf92f3577b34da6a3" + "f" * 14
REFUSED = "4bf92f3577b34da6a3" + "0" * 14
TENTH = "ot=th:e666"


def make(run_dir: Path, backend: Backend, keep: str = "error,cold", ratio: float = 0.1, **more: Any) -> Collector:
    settings = Settings(
        run_dir=str(run_dir),
        traces=Otlp(parse_url(backend.url + "/v1/traces")),
        sampling=Sampling(ratio, parse_rules(keep)),
        **more,
    )
    return Collector(settings, Counters(lambda _: None), sleep=lambda _: None)


def soon() -> float:
    return time.monotonic() + 3


def flush(collector: Collector) -> None:
    collector.drain(soon())
    collector.flush(soon())


def invocation(number: int, trace_id: str = REFUSED, outcome: str = "ok", **more: Any) -> list[dict[str, Any]]:
    """An invocation with one span inside; `more` is for its own span."""
    request_id = f"r{number}"
    own = {"trace_id": trace_id, **more}
    return [
        begin(number, request_id, span=span(number, **own)),
        inner(number + 1000, request_id, trace_id=trace_id),
        ended(number, request_id, outcome=outcome, seconds=0.5, **own),
    ]


def ids(backend: Backend) -> list[int]:
    return sorted(int.from_bytes(span.span_id) for span in spans_of(backend))


def exported(run_dir: Path, *records: dict[str, Any], keep: str = "error,cold", ratio: float = 0.1) -> list[Any]:
    with Backend() as backend:
        collector = make(run_dir, backend, keep, ratio)
        collector.started(None)
        write(run_dir, *records)
        flush(collector)
        return spans_of(backend)


def test_chance_decides_about_the_whole_invocation_and_is_written_on_what_it_keeps(tmp_path: Path) -> None:
    got = exported(tmp_path, *invocation(1, CHOSEN), *invocation(2, REFUSED))
    assert sorted(int.from_bytes(span.span_id) for span in got) == [1, 1001]
    assert {span.trace_state for span in got} == {TENTH}


@pytest.mark.parametrize(
    ("keep", "more"),
    [
        ("error", {"outcome": "error"}),
        ("cold", {"attributes": {"faas.coldstart": True}}),
        ("slow>400ms", {}),
        ("attr:customer.tier=gold", {"attributes": {"customer.tier": "gold"}}),
        ("attr:faas.name", {}),
        ("timeout, attr:http.response.status_code>=500", {"attributes": {"http.response.status_code": 503}}),
    ],
)
def test_what_a_rule_keeps_is_kept_whole_and_carries_no_threshold_of_ours(
    tmp_path: Path, keep: str, more: dict[str, Any]
) -> None:
    got = exported(tmp_path, *invocation(1, trace_state="v=1,ot=rv:00000000000001", **more), keep=keep)
    assert len(got) == 2
    assert "v=1,ot=rv:00000000000001" in {span.trace_state for span in got}
    assert all("th:" not in span.trace_state for span in got)


@pytest.mark.parametrize(
    ("keep", "more"),
    [
        ("error,timeout,crash", {}),
        ("cold", {"attributes": {"faas.coldstart": False}}),
        ("slow>500ms", {}),
        ("attr:customer.tier=gold", {"attributes": {"customer.tier": "silver"}}),
        ("attr:tier!=gold", {"attributes": {"tier": "gold"}}),
        ("attr:n>5", {"attributes": {"n": 5}}),
        ("attr:missing!=1", {}),
    ],
)
def test_what_no_rule_keeps_is_left_to_chance(tmp_path: Path, keep: str, more: dict[str, Any]) -> None:
    assert exported(tmp_path, *invocation(1, **more), keep=keep) == []


def test_an_error_anywhere_inside_keeps_an_invocation_that_went_well(tmp_path: Path) -> None:
    records = invocation(1)
    records[1]["span"]["status"] = [2, "no"]
    assert len(exported(tmp_path, *records)) == 2


def test_a_timeout_and_a_crash_are_kept_with_all_that_came_before(tmp_path: Path) -> None:
    for reason in ("timeout", "failure"):
        with Backend() as backend:
            run_dir = tmp_path / reason
            collector = make(run_dir, backend, "crash,timeout")
            collector.started(None)
            write(run_dir, *invocation(1)[:2])
            flush(collector)
            assert ids(backend) == [], "nothing is decided"
            collector.shutdown(Shutdown(reason, 0), soon())
            assert ids(backend) == [1, 1001]


def test_a_threshold_that_came_is_only_ever_raised(tmp_path: Path) -> None:
    records = [
        *invocation(1, CHOSEN, trace_state="ot=th:8"),
        *invocation(2, CHOSEN, trace_state="ot=th:ff"),
        *invocation(3, REFUSED, trace_state="ot=th:0"),
        *invocation(4, CHOSEN[:-14] + "f" * 13 + "0", trace_state="ot=th:ffffffffffffff;x:1"),
    ]
    own = {int.from_bytes(span.span_id): span for span in exported(tmp_path, *records) if span.span_id[-2:] < b"\1"}
    assert {number: span.trace_state for number, span in own.items()} == {1: TENTH, 2: "ot=th:ff", 4: "ot=x:1"}
    assert threshold_passed(own[4].trace_state) is None, "it was kept against its own threshold: nobody can know"


def test_randomness_that_came_along_decides_in_place_of_the_trace_id(tmp_path: Path) -> None:
    kept = exported(tmp_path, *invocation(1, REFUSED, trace_state="ot=rv:" + "f" * 14))
    assert {span.trace_state for span in kept if span.span_id[-1:] == b"\1"} == {"ot=th:e666;rv:" + "f" * 14}
    assert len(kept) == 2, "inner spans share the chance of their trace"
    assert exported(tmp_path / "b", *invocation(2, CHOSEN, trace_state="ot=rv:" + "0" * 14)) == []


def test_records_of_other_traces_are_decided_as_those_traces_are(tmp_path: Path) -> None:
    records = invocation(1, REFUSED)
    records.insert(2, inner(7, "r1", name="process orders", trace_id=CHOSEN))
    assert [span.name for span in exported(tmp_path, *records)] == ["process orders"]


def test_what_ends_after_its_invocation_follows_it(tmp_path: Path) -> None:
    with Backend() as backend:
        collector = make(tmp_path, backend)
        collector.started(None)
        write(tmp_path, *invocation(1, outcome="error"), *invocation(2))
        flush(collector)
        write(tmp_path, inner(8, "r1", trace_id=REFUSED), inner(9, "r2", trace_id=REFUSED))
        flush(collector)
        assert ids(backend) == [1, 8, 1001]


def test_a_retry_is_decided_anew_with_the_hops_that_come_before_its_beginning(tmp_path: Path) -> None:
    with Backend() as backend:
        collector = make(tmp_path, backend)
        collector.started(None)
        write(tmp_path, *invocation(1))
        flush(collector)
        hop = inner(5, "r1", name="SQS", trace_id=REFUSED)
        again = invocation(1, outcome="error")
        for record in (again[0], again[2]):
            record["span"]["span_id"] = f"{2:016x}"
        write(tmp_path, hop, *again)
        flush(collector)
        assert ids(backend) == [2, 5, 1001]


def test_metrics_and_counts_are_of_all_invocations(tmp_path: Path) -> None:
    with Backend() as backend:
        collector = make(tmp_path, backend)
        collector.started(None)
        write(tmp_path, *invocation(1, CHOSEN), *(record for n in range(2, 12) for record in invocation(n, REFUSED)))
        flush(collector)
        assert len(ids(backend)) == 2
        counted = {point.name: getattr(point, "value", 0) for point in collector._metrics.take({})}
        assert counted["faas.invocations"] == 11
        assert collector._counters.total("sampled_out") == 20
        assert collector._counters.total("received") == 22


def test_what_the_function_did_not_sample_is_counted_and_goes_nowhere(tmp_path: Path) -> None:
    with Backend() as backend:
        settings = Settings(run_dir=str(tmp_path), traces=Otlp(parse_url(backend.url + "/v1/traces")))
        for collector in (Collector(settings, Counters(lambda _: None)), make(tmp_path / "late", backend)):
            run_dir = Path(collector._settings.run_dir)
            collector.started(None)
            quiet = invocation(1, flags=0, outcome="error")
            write(run_dir, quiet[0], quiet[2])
            flush(collector)
            assert collector._counters.total("unsampled") == 1
            assert {point.name for point in collector._metrics.take({})} >= {"faas.errors", "faas.invoke_duration"}
        assert backend.requests == []


def test_an_invocation_too_large_to_hold_is_decided_early_and_an_error_after_that_keeps_its_own_span(
    tmp_path: Path,
) -> None:
    with Backend() as backend:
        collector = make(tmp_path, backend, queue_bytes=512 * 1024)
        collector.started(None)
        big = [inner(100 + n, "r1", trace_id=REFUSED, name="x" * 1000) for n in range(300)]
        own = invocation(1, outcome="error")
        write(tmp_path, own[0], *big[:30])
        flush(collector)
        assert len(collector._sampler.left()) == 30
        write(tmp_path, *big[30:])
        flush(collector)
        assert len(collector._sampler.left()) == 0, "the bound is 64 KiB"
        write(tmp_path, own[2])
        flush(collector)
        assert ids(backend) == [1]
        small = invocation(2, outcome="error")
        write(tmp_path, *small)
        flush(collector)
        assert ids(backend) == [1, 2, 1002]


def test_an_invocation_decided_early_by_what_is_known_already_is_kept_to_its_end(tmp_path: Path) -> None:
    with Backend() as backend:
        collector = make(tmp_path, backend, queue_bytes=512 * 1024)
        collector.started(None)
        own = invocation(1, attributes={"faas.coldstart": True})
        write(tmp_path, own[0], *(inner(100 + n, "r1", trace_id=REFUSED, name="x" * 1000) for n in range(300)), own[2])
        flush(collector)
        assert len(ids(backend)) == 301


def otlp(*spans: tuple[str, int, str], failed: int = 0) -> bytes:
    """A request with spans (trace id, number, tracestate) of a library, in two scopes."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add(schema_url="of-the-resource")
    resource.resource.attributes.add(key="service.name").value.string_value = "sdk"
    scopes = [resource.scope_spans.add(), resource.scope_spans.add()]
    scopes[0].scope.name, scopes[1].scope.name = "a", "b"
    for trace_id, number, state in spans:
        made = scopes[number % 2].spans.add(
            trace_id=bytes.fromhex(trace_id), span_id=number.to_bytes(8), name="s", trace_state=state
        )
        made.status.code = 2 if number == failed else 0
    return request.SerializeToString()


def receive(collector: Collector, body: bytes) -> None:
    assert collector.inbox.put(parse("traces", "application/x-protobuf", "", body, 1 << 20)) == "taken"


def test_what_a_library_sends_shares_the_fate_of_its_invocation_and_the_rest_passes(tmp_path: Path) -> None:
    stranger = "ab" * 16
    with Backend() as backend:
        collector = make(tmp_path, backend)
        collector.started(None)
        write(tmp_path, *invocation(1, REFUSED)[:2])
        collector.drain(soon())
        receive(collector, otlp((REFUSED, 50, ""), (REFUSED, 51, ""), (stranger, 52, "")))
        flush(collector)
        assert ids(backend) == [52], "the others wait with their invocation"
        write(tmp_path, invocation(1, REFUSED, "error")[2])
        flush(collector)
        assert ids(backend) == [1, 50, 51, 52, 1001]
        receive(collector, otlp((REFUSED, 60, "")))
        write(tmp_path, *invocation(2, CHOSEN))
        flush(collector)
        receive(collector, otlp((CHOSEN, 61, "ot=th:8"), (CHOSEN, 62, "x=1")))
        flush(collector)
        got = {int.from_bytes(span.span_id): span.trace_state for span in spans_of(backend)}
        assert got.keys() == {1, 1001, 50, 51, 52, 60, 2, 1002, 61, 62}
        assert (got[60], got[61], got[62]) == ("", TENTH, TENTH + ",x=1")


def test_an_error_that_only_a_library_tells_keeps_the_invocation_and_refused_ones_take_theirs_along(
    tmp_path: Path,
) -> None:
    with Backend() as backend:
        collector = make(tmp_path, backend)
        collector.started(None)
        write(tmp_path, *invocation(1, REFUSED)[:2])
        collector.drain(soon())
        receive(collector, otlp((REFUSED, 50, ""), failed=50))
        collector.drain(soon())
        write(tmp_path, invocation(1, REFUSED)[2], *invocation(2, "cd" * 9 + "0" * 14))
        flush(collector)
        receive(collector, otlp(("cd" * 9 + "0" * 14, 70, "")))
        flush(collector)
        assert ids(backend) == [1, 50, 1001]
        assert collector._counters.total("sampled_out") == 3


def test_what_a_library_has_sent_waits_for_the_next_generation_with_its_invocation(tmp_path: Path) -> None:
    with Backend() as backend:
        collector = make(tmp_path, backend)
        collector.started(None)
        write(tmp_path, *invocation(1, REFUSED)[:2])
        collector.drain(soon())
        receive(collector, otlp((REFUSED, 50, "x=1"), ("ab" * 16, 51, "")))
        flush(collector)
        assert ids(backend) == [51]
        later = make(tmp_path, backend)
        later.started(None)  # which closes the invocation as a crash
        flush(later)
        assert ids(backend) == [1, 50, 51, 1001]
        flush(later)
        again = make(tmp_path, backend)
        again.started(None)
        flush(again)
        assert ids(backend) == [1, 50, 51, 1001]
        assert {span.trace_state for span in spans_of(backend) if span.span_id[-1] == 50} == {"x=1"}


def test_what_belongs_to_no_invocation_is_decided_alone(tmp_path: Path) -> None:
    alone = [
        inner(3, "", trace_id=CHOSEN),
        inner(4, "", trace_id=REFUSED),
        inner(5, "", trace_id=REFUSED, status=[2, ""]),
    ]
    assert sorted(int.from_bytes(span.span_id) for span in exported(tmp_path, *alone)) == [3, 5]


def test_what_is_closed_again_without_being_counted_again_ends_its_invocation_too(tmp_path: Path) -> None:
    put: list[Item] = []
    sampler = Sampler(Sampling(0.1, parse_rules("error")), 1 << 20, Counters(lambda _: None), put.append, lambda: 1)
    origin = Origin((), ("", ""))
    inside = decode_span(inner(5, "r1", trace_id=CHOSEN)["span"])
    own = decode_span(span(1, trace_id=CHOSEN, end=2, attributes={"faas.invocation_id": "r1"}))
    assert inside is not None and own is not None
    sampler.take(Finished(origin, [inside]), Mark(1, 10), "r1")
    assert put == []
    sampler.take(Finished(origin, [own]), None, "")
    assert [(item.mark.offset if item.mark else None) for item in put] == [10, None]
    assert sampler.left() == []


def test_a_failed_initialisation_is_kept(tmp_path: Path) -> None:
    with Backend() as backend:
        collector = make(tmp_path, backend)
        collector.started(None)
        collector.invoked(Invoke("r1", "", 1, f"Root=1-{REFUSED[:8]}-{REFUSED[8:]}", 1))
        write(tmp_path, {"v": 1, "type": "init_error", "error_type": "Runtime.ImportModuleError", "message": "no"})
        collector.drain(soon())
        collector.shutdown(Shutdown("failure", 0), soon())
        (got,) = spans_of(backend)
        assert attributes_of(got)["error.type"] == "Runtime.ImportModuleError"


APP = """
import json

def handler(event, context):
    if event["rawPath"] == "/fail":
        raise ValueError("no")
    return {"statusCode": 200, "body": json.dumps(event["rawPath"])}
"""


def test_a_real_function_exports_its_errors_and_the_traces_that_opentelemetrys_own_sampler_chooses(
    tmp_path: Path,
) -> None:
    theirs = composite_sampler(composable_traceid_ratio_based(0.5))
    traces = [hashlib.sha256(b"%d" % number).hexdigest()[:32] for number in range(14)]
    failing = traces[:3]
    chosen = {
        trace
        for trace in traces
        if theirs.should_sample(None, int(trace, 16), "f").decision is Decision.RECORD_AND_SAMPLE
    }
    assert 0 < len(chosen - set(failing)) < len(set(traces) - set(failing)) and not set(failing) <= chosen
    with Backend() as backend:
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
            "HOPTRACE_SAMPLING_RATIO": "0.5",
            "HOPTRACE_SAMPLING_KEEP": "error",
        }
        with function(tmp_path, APP, environment=environment) as desk:
            for trace in traces:
                path = "/fail" if trace in failing else "/"
                desk.invoke(
                    {
                        "version": "2.0",
                        "routeKey": "$default",
                        "rawPath": path,
                        "headers": {"traceparent": f"00-{trace}-{'1' * 16}-01"},
                        "requestContext": {"http": {"method": "GET", "path": path}},
                    }
                )
        exported = {span.trace_id.hex(): span.trace_state for span in spans_of(backend)}
        assert exported.keys() == chosen | set(failing)
        assert {exported[trace] for trace in failing} == {""}
        assert {exported[trace] for trace in chosen - set(failing)} == {"ot=th:8"}
        counted = 0
        for posted in backend.requests:
            if posted.path == "/v1/metrics":
                for resource in ExportMetricsServiceRequest.FromString(posted.body).resource_metrics:
                    for metric in resource.scope_metrics[0].metrics:
                        if metric.name in ("faas.invocations", "faas.errors"):
                            counted += sum(point.as_int for point in metric.sum.data_points)
        assert counted == len(traces)


# What is set.


def test_without_a_share_everything_is_kept_and_nothing_is_loaded() -> None:
    assert read({}) == (read({})[0], [])
    assert read({})[0].sampling is None
    assert read({"HOPTRACE_SAMPLING_RATIO": "1"}) == (read({})[0], [])
    settings, complaints = read({"HOPTRACE_SAMPLING_KEEP": "error"})
    assert settings.sampling is None
    assert len(complaints) == 1
    assert "everything is kept" in complaints[0]


def test_rules_are_read() -> None:
    text = (
        "error, timeout,crash,cold,slow>1.5s,slow>250ms,slow>2m,attr:a,attr:a.b=x%2Cy%3D,attr:n>=5,attr:n!=-1.5,attr:e="
    )
    settings, complaints = read({"HOPTRACE_SAMPLING_RATIO": "0.1", "HOPTRACE_SAMPLING_KEEP": text})
    assert complaints == []
    assert settings.sampling == Sampling(
        0.1,
        (
            Rule("error"), Rule("timeout"), Rule("crash"), Rule("cold"),
            Rule("slow", number=1.5), Rule("slow", number=0.25), Rule("slow", number=120.0),
            Rule("attr", "a"), Rule("attr", "a.b", "=", "x,y="), Rule("attr", "n", ">=", "5", 5.0),
            Rule("attr", "n", "!=", "-1.5", -1.5), Rule("attr", "e", "=", ""),
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("error,cold,slo>2s", "entry 3 ('slo>2s', at character 12)"),
        ("error, slow>2", "entry 2 ('slow>2', at character 8)"),
        ("slow>s", "entry 1 ('slow>s', at character 1)"),
        ("error,,cold", "entry 2 ('', at character 7)"),
        ("attr:=5", "entry 1 ('attr:=5', at character 1)"),
        ("attr:n>many", "entry 1 ('attr:n>many', at character 1)"),
        ("slow>-1s", "entry 1 ('slow>-1s', at character 1)"),
    ],
)
def test_a_wrong_rule_is_told_once_with_its_place_and_the_default_is_used(text: str, where: str) -> None:
    settings, complaints = read({"HOPTRACE_SAMPLING_RATIO": "0.5", "HOPTRACE_SAMPLING_KEEP": text})
    assert settings.sampling == Sampling(0.5, (Rule("error"), Rule("cold")))
    (complaint,) = complaints
    assert complaint.startswith(f"HOPTRACE_SAMPLING_KEEP: {where} is not ")
    assert complaint.endswith("; the default error,cold is used")


@pytest.mark.parametrize("text", ["1.5", "-0.1", "ten", "10%", "nan"])
def test_a_share_that_is_none_is_told_and_everything_kept(text: str) -> None:
    settings, complaints = read({"HOPTRACE_SAMPLING_RATIO": text})
    assert settings.sampling is None
    assert len(complaints) == 1
    assert complaints[0].startswith(f"HOPTRACE_SAMPLING_RATIO='{text}'")


@given(st.text(max_size=80))
def test_any_rules_are_rules_or_one_complaint(text: str) -> None:
    settings, complaints = read({"HOPTRACE_SAMPLING_RATIO": "0.5", "HOPTRACE_SAMPLING_KEEP": text})
    assert settings.sampling is not None
    assert len(complaints) <= 1
