"""A function with the OpenTelemetry SDK: its provider's spans reach the collector, its processors see ours."""

from pathlib import Path

import pytest

from hoptrace_local.sink import OtlpSink
from tests.otel.support import Trace, pinned, shipping, to_the_collector

SDKS = ("1.20.0", "1.30.0", "")

OWN = """
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
"""

SET_UP = """
memory = InMemorySpanExporter()
provider = TracerProvider(resource=Resource.create({"team": "blue"}))
provider.add_span_processor(SimpleSpanProcessor(memory))
trace.set_tracer_provider(provider)
"""

HANDLER = """
import urllib.request

def handler(event, _):
    global memory
    SETUP
    from hoptrace.spans import activate, restore, start_span
    with tracer.start_as_current_span("theirs", attributes={"a": 1}) as span:
        span.add_event("e", {"b": True}, timestamp=7)
        ours = start_span("ours")
        token = activate(ours)
        with tracer.start_as_current_span("inner", links=[trace.Link(span.get_span_context())]):
            same = format(trace.get_current_span().get_span_context().trace_id, "032x") == ours.context.trace_id
        restore(token)
        ours.end()
    seen = [[s.name, s.resource.attributes["team"], s.parent is not None] for s in memory.get_finished_spans()]
    return {"seen": seen, "same": same}
"""


def _inside(text: str) -> str:
    return text.replace("\n", "\n    ")


WHERE = {
    "module": OWN + SET_UP + "tracer = trace.get_tracer('mine', '2')" + HANDLER.replace("SETUP", ""),
    "tracer first": OWN + "tracer = trace.get_tracer('mine', '2')" + SET_UP + HANDLER.replace("SETUP", ""),
    "handler": OWN + "tracer = trace.get_tracer('mine', '2')" + HANDLER.replace("SETUP", _inside(SET_UP)),
}


@pytest.mark.parametrize(("version", "where"), [(v, "module") for v in SDKS] + [("", "tracer first"), ("", "handler")])
def test_spans_of_the_users_own_provider_are_in_the_same_trace(version: str, where: str, tmp_path: Path) -> None:
    with shipping(tmp_path, WHERE[where], pinned("opentelemetry-sdk", version)) as desk:
        told = desk.invoke({})
        trace = Trace(desk)
    assert told == {"seen": [["inner", "blue", True], ["theirs", "blue", True]], "same": True}
    assert trace.tree() == {"f": None, "theirs": "f", "ours": "theirs", "inner": "ours"}
    assert len(trace.traces()) == 1
    record = trace.by_name["theirs"]
    assert record["scope"] == ["mine", "2"]
    # The newest SDKs give each process an id, which ours has not.
    assert {key: value for key, value in record["resource"].items() if key != "service.instance.id"} == {"team": "blue"}
    assert record["span"]["attributes"] == {"a": 1}
    assert record["span"]["events"] == [{"name": "e", "time": 7, "attributes": {"b": True}}]
    assert trace["inner"]["links"][0]["span_id"] == trace["theirs"]["span_id"]


def test_scope_and_resource_reach_the_backend(tmp_path: Path) -> None:
    with OtlpSink() as sink:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}
        with shipping(tmp_path, WHERE["module"], "opentelemetry-sdk", environment=variables) as desk:
            desk.invoke({})
        found = {span.name: span for span in sink.spans}
    assert found["theirs"].scope == "mine"
    assert found["theirs"].resource["team"] == "blue"
    assert found["theirs"].resource["service.name"] == "f"
    assert "team" not in found["f"].resource
    assert found["ours"].scope == "hoptrace"


TO_US = """
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
"""


def test_an_exporter_that_sends_to_the_collector_leaves_each_span_there_once(tmp_path: Path) -> None:
    source = WHERE["module"].replace(
        "trace.set_tracer_provider(provider)", TO_US + "trace.set_tracer_provider(provider)"
    )
    source = source.replace('return {"seen"', 'provider.force_flush()\n    return {"seen"')
    with OtlpSink() as sink:
        packages = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
        with shipping(tmp_path, source, *packages, environment=to_the_collector(sink)) as desk:
            desk.invoke({})
            desk.invoke({})
        names = [span.name for span in sink.spans]
    assert names.count("theirs") == 2
    assert names.count("inner") == 2
    assert names.count("f") == 2


ADDED = """
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

class Stamp(SpanProcessor):
    def on_start(self, span, parent_context=None):
        span.set_attribute("stamped", True)

memory = InMemorySpanExporter()
trace.get_tracer_provider().add_span_processor(Stamp())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(memory))
tracer = trace.get_tracer("mine", "3")

def handler(event, _):
    from hoptrace.spans import start_span
    with tracer.start_as_current_span("theirs", kind=trace.SpanKind.CLIENT) as span:
        span.record_exception(ValueError("v"))
        start_span("ours").end()
    return [__import__("json").loads(span.to_json()) | {"scope": span.instrumentation_scope.name}
            for span in memory.get_finished_spans()]
"""


@pytest.mark.parametrize("version", SDKS, ids=lambda v: v or "newest")
def test_a_processor_added_to_ours_sees_every_span_as_the_sdk_has_it(version: str, tmp_path: Path) -> None:
    with shipping(tmp_path, ADDED, pinned("opentelemetry-sdk", version)) as desk:
        desk.invoke({})
        told = desk.invoke({})
        spans = {span["span_id"]: span for span in desk.spans()}
    names = [span["name"] for span in told]
    assert names == ["ours", "theirs", "f", "ours", "theirs"]
    theirs = told[-1]
    assert theirs["kind"] == "SpanKind.CLIENT"
    assert theirs["scope"] == "mine"
    assert told[0]["scope"] == "hoptrace"
    assert theirs["attributes"] == {"stamped": True}
    assert theirs["events"][0]["attributes"]["exception.message"] == "v"
    assert theirs["resource"]["attributes"]["service.name"] == "f"
    recorded = spans[theirs["context"]["span_id"][2:]]
    assert theirs["parent_id"][2:] == recorded["parent_id"]
    assert recorded["attributes"] == {"stamped": True}
    assert all(span["attributes"]["stamped"] for span in told)


WRAPPED = (
    OWN
    + SET_UP
    + """
from opentelemetry.instrumentation.aws_lambda import AwsLambdaInstrumentor

def handler(event, _):
    return None

AwsLambdaInstrumentor().instrument()
"""
)


def test_the_users_own_wrapper_of_the_handler_is_a_child_of_ours(tmp_path: Path) -> None:
    with shipping(tmp_path, WRAPPED, "opentelemetry-sdk", "opentelemetry-instrumentation-aws-lambda") as desk:
        desk.invoke({})
        records = [r for r in desk.records() if r["type"] in ("span", "end") and r["span"]["name"] != "init"]
    theirs, ours = records
    assert theirs["scope"][0] == "opentelemetry.instrumentation.aws_lambda"
    assert theirs["span"]["parent_id"] == ours["span"]["span_id"]
    assert theirs["span"]["trace_id"] == ours["span"]["trace_id"]


UNSAMPLED = (
    OWN
    + """
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
trace.set_tracer_provider(TracerProvider(sampler=ALWAYS_OFF))
tracer = trace.get_tracer("mine")

def handler(event, _):
    from hoptrace.spans import start_span
    with tracer.start_as_current_span("never seen"):
        start_span("ours").end()
"""
)


def test_what_the_users_sampler_drops_is_dropped_and_leaves_no_gap(tmp_path: Path) -> None:
    with shipping(tmp_path, UNSAMPLED, "opentelemetry-sdk") as desk:
        desk.invoke({})
        assert Trace(desk).tree() == {"f": None, "ours": "f"}
