"""Which invocations, records and calls are recorded, by sampler, and what goes out of those that are not."""

import json
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry.sdk.trace import sampling as sdk
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

import hoptrace
from hoptrace.carriers.headers import inject_headers
from hoptrace.settings import Settings
from hoptrace.spans import current_span, start_span
from hoptrace.spans.probability import passed, randomness, threshold
from hoptrace.testing import LambdaContext, recorder
from tests.batches.scene import event, sqs, trace_id

SAMPLERS = {
    "always_on": (True, True, True),
    "always_off": (False, False, False),
    "parentbased_always_on": (True, False, True),
    "parentbased_always_off": (True, False, False),
    "": (True, False, True),
}
"""Sampled below a sampled parent, below one that is not, and without a parent."""


class Seen:
    """One invocation: its spans that are exported, all that was written, and what a call inside it sent."""

    def __init__(self, records: list[dict[str, Any]], headers: list[dict[str, str]]) -> None:
        self.records = records
        self.headers = headers
        self.begin = next(record["span"] for record in records if record["type"] == "begin")
        self.end = next(record["span"] for record in records if record["type"] == "end")
        spans = [record["span"] for record in records if record["type"] in ("span", "end")]
        self.exported = [span for span in spans if span["flags"] & 1]


def called(given: Any, sampler: str = "", arg: str = "", error: Exception | None = None, **more: str) -> Seen:
    headers: list[dict[str, str]] = []

    def handler(handed: Any, context: Any) -> Any:
        for _ in hoptrace.records(handed) if "Records" in handed else (1,):
            span = start_span("call", attributes={"http.request.method": "GET"})
            headers.append(inject_headers(set(), span.context))
            span.add_event("happened")
            span.record_exception(KeyError("x"))
            span.end()
        if error is not None:
            raise error
        return {"statusCode": 200}

    environ = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": arg, **more}
    with recorder({key: value for key, value in environ.items() if value}) as recorded:
        try:
            hoptrace.trace(handler)(given, LambdaContext())
        except Exception as raised:
            assert raised is error
        return Seen(recorded.records, headers)


def message(flags: str, state: str = "", number: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = sqs(1)
    attributes = found["Records"][0]["messageAttributes"]
    attributes["traceparent"]["stringValue"] = f"00-{trace_id(number)}-{'a' * 16}-{flags}"
    if state:
        attributes["tracestate"] = {**attributes["traceparent"], "stringValue": state}
    return found


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_decides_as_the_sdks_of_that_name(name: str) -> None:
    theirs = sdk._KNOWN_SAMPLERS[name or "parentbased_always_on"]
    for given, flags, expected in zip((message("01"), message("00"), {}), (1, 0, None), SAMPLERS[name], strict=True):
        parent = None
        if flags is not None:
            parent = set_span_in_context(NonRecordingSpan(SpanContext(5, 5, True, TraceFlags(flags))))
        assert theirs.should_sample(parent, 5, "x").decision.is_sampled() is expected
        seen = called(given, name)
        assert bool(seen.end["flags"] & 1) is expected
        assert [h["traceparent"][-2:] for h in seen.headers] == ["01" if expected else "00"]
        names = {span["name"] for span in seen.exported}
        assert ("call" in names) is expected and (names == set()) is not expected


def test_a_share_is_kept_by_the_last_56_bits_of_the_trace_id_and_says_so() -> None:
    limit = threshold(0.25)
    kept = 0
    for number in range(64):
        last = f"{number * 4:02x}"
        given = message("00", "ot=x:y,vendor=1")
        attribute = given["Records"][0]["messageAttributes"]["traceparent"]
        attribute["stringValue"] = f"00-{'9' * 18}{last}{'0' * 12}-{'a' * 16}-00"
        seen = called(given, "traceidratio", "0.25")
        wanted = randomness("9" * 18 + last + "0" * 12, "") >= limit
        assert bool(seen.end["flags"] & 1) is wanted
        kept += wanted
        state = seen.headers[0]["tracestate"]
        assert state == ("ot=th:c;x:y,vendor=1" if wanted else "ot=x:y,vendor=1")
    assert kept == 16


def test_an_explicit_randomness_wins_and_travels_on() -> None:
    high, low = "f" * 14, "0" * 14
    kept = called(message("00", f"ot=rv:{high}"), "traceidratio", "0.01")
    assert kept.end["flags"] == 1 and kept.end["trace_state"] == f"ot=th:fd70a;rv:{high}"
    assert called(message("01", f"ot=rv:{low}"), "traceidratio", "0.99").headers[0]["tracestate"] == f"ot=rv:{low}"


def test_a_parent_based_share_leaves_a_producers_decision_and_its_threshold_alone() -> None:
    state = f"ot=th:8;rv:{'9' * 14}"
    for arg in ("0", "1"):
        assert called(message("01", state), "parentbased_traceidratio", arg).end["trace_state"] == state
        assert called(message("00"), "parentbased_traceidratio", arg).exported == []
    roots = [called({}, "parentbased_traceidratio", "0.5") for _ in range(200)]
    kept = [seen for seen in roots if seen.end["flags"] & 1]
    assert 60 < len(kept) < 140
    assert {seen.end["trace_state"] for seen in kept} == {"ot=th:8"}
    assert all("trace_state" not in seen.end for seen in roots if seen not in kept)


def test_a_threshold_that_its_own_randomness_contradicts_is_erased() -> None:
    seen = called(message("01", f"ot=th:8;rv:{'1' * 14},vendor=1"))
    assert seen.end["flags"] == 1 and seen.end["trace_state"] == f"ot=rv:{'1' * 14},vendor=1"
    assert passed(seen.headers[0]["tracestate"]) is None


def test_what_lambda_says_of_x_ray_switches_nothing_off(monkeypatch: pytest.MonkeyPatch) -> None:
    root = "1-67891233-abcdef012345678912345678"
    monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root={root};Parent={'b' * 16};Sampled=0")
    for name in ("", "parentbased_traceidratio", "always_on"):
        seen = called({}, name)
        assert seen.end["trace_id"] == root[2:].replace("-", "") and seen.end["flags"] == 1
    given = sqs(1, traced=False)
    given["Records"][0]["attributes"]["AWSTraceHeader"] = f"Root={root};Parent={'c' * 16};Sampled=0"
    assert called(given).end["flags"] == 1


def batch(*flags: str) -> dict[str, Any]:
    found: dict[str, Any] = sqs(len(flags))
    for record, flag in zip(found["Records"], flags, strict=True):
        attribute = record["messageAttributes"]["traceparent"]
        attribute["stringValue"] = attribute["stringValue"][:-2] + flag
        if not flag:
            record["messageAttributes"] = {}
    return found


def test_each_record_of_a_batch_has_its_producers_decision() -> None:
    seen = called(batch("01", "00", "01"))
    assert [h["traceparent"][-2:] for h in seen.headers] == ["01", "00", "01"]
    assert seen.end["flags"] == 1
    traces = {span["trace_id"] for span in seen.exported if span["name"].startswith(("process", "SQS", "call"))}
    assert traces == {trace_id(0), trace_id(2)}
    noted = [record for record in seen.records if record["type"] == "record"]
    assert {record["span"]["trace_id"] for record in noted} == {trace_id(0), trace_id(2)}


@pytest.mark.parametrize(
    ("flags", "name", "expected"),
    [
        (("00", "00"), "", False),
        (("00", "01"), "", True),
        (("00", ""), "", True),  # one that nobody has decided about
        (("00", ""), "parentbased_always_off", False),
        (("01", ""), "parentbased_always_off", True),
        (("00", "00"), "always_on", True),
        (("01", "01"), "always_off", False),
    ],
)
def test_a_batchs_invocation_is_recorded_when_one_of_its_producers_is(
    flags: tuple[str, ...], name: str, expected: bool
) -> None:
    for producer in ("parent", "link"):
        seen = called(batch(*flags), name, HOPTRACE_PRODUCER=producer)
        assert bool(seen.end["flags"] & 1) is expected, producer


def test_an_invocation_that_is_not_sampled_leaves_what_metrics_and_alerts_need_and_no_more() -> None:
    seen = called(message("00"), error=ValueError("no such order"), HOPTRACE_CAPTURE="event,response,locals")
    assert seen.exported == [] and [record["type"] for record in seen.records] == ["begin", "end"]
    assert seen.end["status"] == [2, "no such order"]
    told = seen.end["attributes"]
    assert told["error.type"] == "ValueError" and told["faas.trigger"] == "pubsub" and told["hoptrace.trigger"] == "sqs"
    assert "events" not in seen.end and "links" not in seen.end
    assert not [name for name in told if "capture" in name or name.startswith(("messaging.", "exception."))]
    assert len(json.dumps(seen.records)) < 2_500


def test_a_span_that_is_not_sampled_can_be_current_and_keeps_nothing() -> None:
    with recorder({"OTEL_TRACES_SAMPLER": "always_off"}) as recorded:

        @hoptrace.trace
        def handler(_event: Any, _context: Any) -> None:
            span = hoptrace.current_span()
            assert span is not None and span is current_span()
            assert not span.recording and span.open and not span.context.sampled
            span.set_attribute("shop", "x")
            span.add_event("x")
            inner = start_span("inner", attributes={"a": 1})
            assert (inner.context.trace_id, inner.parent_id) == (span.context.trace_id, span.context.span_id)
            inner.end()
            assert not inner.open and inner.attributes == {}

        handler({}, LambdaContext())
    assert recorded.spans == []


@pytest.mark.parametrize(
    ("environ", "expected", "said"),
    [
        ({"OTEL_TRACES_SAMPLER": "jaeger_remote"}, None, "OTEL_TRACES_SAMPLER='jaeger_remote' is none of"),
        ({"OTEL_TRACES_SAMPLER": "TraceIdRatio", "OTEL_TRACES_SAMPLER_ARG": "1.5"}, ("traceidratio", 1.0), "0 to 1"),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "nan"}, ("traceidratio", 1.0), "0 to 1"),
        ({"OTEL_TRACES_SAMPLER": "traceidratio"}, ("traceidratio", 1.0), ""),
        ({"OTEL_TRACES_SAMPLER": " always_off "}, ("always_off", 1.0), ""),
        ({"OTEL_TRACES_SAMPLER_ARG": "0.1"}, None, ""),
    ],
)
def test_a_wrong_sampler_gives_one_line_and_the_default(
    environ: dict[str, str], expected: object, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert Settings(environ).sampler == expected
    told = capfd.readouterr().err
    assert (said in told and told.count("\n") == 1) if said else told == ""


def test_the_hops_of_a_message_go_the_way_of_its_producer() -> None:
    given = event("recorded/sqs.json")
    seen = called(given)
    assert any(span["attributes"].get("hoptrace.hop") for span in seen.exported)
    assert called(given, "always_off").exported == []


def test_the_default_loads_nothing_for_sampling() -> None:
    code = """
import sys, hoptrace
from hoptrace.testing import LambdaContext, recorder
with recorder():
    hoptrace.trace(lambda event, context: None)({}, LambdaContext())
print([name for name in sys.modules if name in (
    "hoptrace.spans.sampling", "hoptrace.spans.probability", "hoptrace.spans.unsampled")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
