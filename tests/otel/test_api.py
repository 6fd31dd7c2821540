"""The OpenTelemetry API in a real function, without an SDK: its spans are ours, and ours are seen by it."""

from pathlib import Path

import pytest

from tests.otel.support import VERSIONS, Trace, names, pinned, shipping

APP = """
from opentelemetry import baggage, context, propagate, trace

early = trace.get_tracer("early", "1.0")
import boto3
sts = boto3.client("sts", endpoint_url="http://127.0.0.1:9", region_name="us-east-1", aws_access_key_id="a",
                   aws_secret_access_key="b", config=__import__("botocore.config").config.Config(
                       retries={"total_max_attempts": 1}, connect_timeout=1))

def call():
    try:
        sts.get_caller_identity()
    except Exception:
        pass

@early.start_as_current_span("decorated")
def decorated():
    return trace.get_current_span().get_span_context().span_id

def handler(event, _):
    told = {}
    mine = trace.get_current_span()
    told["recording"] = mine.is_recording()
    mine.set_attribute("from.the.user", 7)
    mine.end()  # the invocation's end is not the user's to make
    with early.start_as_current_span("outer", kind=trace.SpanKind.CLIENT, attributes={"a": ["x", "y"]}) as outer:
        told["same"] = trace.get_current_span() is outer
        outer.add_event("half", {"n": 1}, timestamp=5)
        call()
        carrier = {}
        propagate.inject(carrier)
        told["carrier"] = carrier
        told["outer"] = format(outer.get_span_context().span_id, "016x")
        outer.update_name("renamed")
    decorated()
    told["back"] = trace.get_current_span() is mine
    try:
        with trace.get_tracer("late").start_as_current_span("fails"):
            raise LookupError("as asked")
    except LookupError:
        pass
    linked = early.start_span("linked", links=[trace.Link(outer.get_span_context(), {"why": "so"})], start_time=1000)
    linked.set_status(trace.Status(trace.StatusCode.OK))
    linked.set_status(trace.Status(trace.StatusCode.ERROR, "too late"))
    linked.end(end_time=2000)
    token = context.attach(baggage.set_baggage("tenant", "blue"))
    carrier = {}
    propagate.inject(carrier)
    told["baggage"] = carrier.get("baggage")
    context.detach(token)
    remote = propagate.extract({"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"})
    with early.start_as_current_span("elsewhere", context=remote):
        pass
    token = context.attach(context.Context())
    told["nothing"] = trace.get_current_span() is trace.INVALID_SPAN
    early.start_span("alone").end()
    context.detach(token)
    with trace.use_span(trace.NonRecordingSpan(mine.get_span_context())):
        told["idle"] = trace.get_current_span().is_recording()
        early.start_span("below the idle").end()
    told["end"] = trace.get_current_span() is mine
    return told
"""


@pytest.mark.parametrize("version", VERSIONS, ids=names())
def test_spans_nest_both_ways_with_every_version_of_the_api(version: str, tmp_path: Path) -> None:
    with shipping(tmp_path, APP, pinned("opentelemetry-api", version), "boto3") as desk:
        told = desk.invoke({})
        trace = Trace(desk)
    assert trace.tree() == {
        "f": None,
        "STS.GetCallerIdentity": "renamed",
        "renamed": "f",
        "decorated": "f",
        "fails": "f",
        "linked": "f",
        "elsewhere": "?",
        "alone": None,
        "below the idle": "f",
    }
    renamed = trace["renamed"]
    assert renamed["kind"] == 3
    assert renamed["attributes"] == {"a": ["x", "y"]}
    assert renamed["events"] == [{"name": "half", "time": 5, "attributes": {"n": 1}}]
    assert trace.by_name["renamed"]["scope"] == ["early", "1.0"]
    assert "scope" not in trace.by_name["STS.GetCallerIdentity"]
    assert trace["fails"]["status"] == [2, "LookupError: as asked"]
    assert trace["fails"]["events"][0]["attributes"]["exception.type"] == "LookupError"
    linked = trace["linked"]
    assert (linked["start"], linked["end"], linked["status"]) == (1000, 2000, [1, ""])
    assert linked["links"][0]["span_id"] == renamed["span_id"]
    assert linked["links"][0]["attributes"] == {"why": "so"}
    assert trace["elsewhere"]["trace_id"] == "a" * 32
    assert trace["elsewhere"]["parent_id"] == "b" * 16
    assert trace["alone"]["trace_id"] != trace["f"]["trace_id"]
    assert trace["f"]["attributes"]["from.the.user"] == 7
    assert told.pop("outer") == renamed["span_id"]
    carried = told.pop("carrier")["traceparent"]
    assert carried == f"00-{renamed['trace_id']}-{renamed['span_id']}-01"
    assert told == {
        "recording": True,
        "same": True,
        "back": True,
        "baggage": "tenant=blue",
        "nothing": True,
        "idle": False,
        "end": True,
    }
    assert not [line for line in desk.lines if "internal error" in line or "Traceback" in line]


INSIDE = """
def handler(event, _):
    from opentelemetry import trace
    with trace.get_tracer("t").start_as_current_span("inside"):
        return trace.get_current_span().get_span_context().is_valid
"""


def test_an_api_that_is_imported_inside_the_handler_sees_the_invocation_that_runs(tmp_path: Path) -> None:
    with shipping(tmp_path, INSIDE, "opentelemetry-api") as desk:
        assert desk.invoke({}) is True
        assert Trace(desk).tree() == {"f": None, "inside": "f"}


BEFORE = """
import sys
sys.path.insert(0, LAYER)
from opentelemetry import context, trace
tracer = trace.get_tracer("before")
attached = context.attach(context.set_value("mine", 1))
import hoptrace

@hoptrace.trace
def handler(event, _):
    with tracer.start_as_current_span("with an older tracer"):
        return [context.get_value("mine"), trace.get_current_span().is_recording()]
"""


def test_a_tracer_made_before_hoptrace_came_records_too(tmp_path: Path) -> None:
    layer = str(Path(__file__).parents[2] / "tracer")
    source = BEFORE.replace("LAYER", repr(layer))
    with shipping(tmp_path, source, "opentelemetry-api", layer=False) as desk:
        assert desk.invoke({}) == [1, True]
        assert Trace(desk).tree() == {"f": None, "with an older tracer": "f"}


BAGGAGE = """
import json
from opentelemetry import baggage, context, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
import urllib.request

def handler(event, _):
    import hoptrace
    from hoptrace.spans import start_span
    told = {"arrived": dict(baggage.get_all())}
    told["goes on"] = start_span("a").context.baggage
    token = context.attach(baggage.set_baggage("more", "a b"))
    told["with more"] = start_span("b").context.baggage
    context.detach(token)
    token = context.attach(baggage.clear())
    told["cleared"] = start_span("c").context.baggage
    context.detach(token)
    told["after"] = start_span("d").context.baggage
    return told
"""


@pytest.mark.parametrize("version", VERSIONS, ids=names())
def test_baggage_that_arrived_is_shown_and_what_is_set_travels_on(version: str, tmp_path: Path) -> None:
    with shipping(tmp_path, BAGGAGE, pinned("opentelemetry-api", version)) as desk:
        event = {"headers": {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "baggage": "who=me;p=1,x=%20y"}}
        event["requestContext"] = {"http": {"method": "GET", "path": "/"}, "stage": "$default"}  # type: ignore[dict-item]
        told = desk.invoke({**event, "version": "2.0", "rawPath": "/", "routeKey": "$default"})
    assert told == {
        "arrived": {"who": "me;p=1", "x": "y"},
        "goes on": "who=me;p=1,x=%20y",
        "with more": "who=me%3Bp%3D1,x=y,more=a+b",
        "cleared": "",
        "after": "who=me;p=1,x=%20y",
    }
