"""What code with the OpenTelemetry API sees and makes in an invocation that is not sampled, in real functions."""

from pathlib import Path

import pytest

from tests.otel.support import VERSIONS, names, pinned, shipping

APP = """
from opentelemetry import baggage, context, propagate, trace

{provider}
tracer = trace.get_tracer("mine")

def handler(event, _):
    own = trace.get_current_span()
    own.set_attribute("shop", "x")
    carrier = {{}}
    with tracer.start_as_current_span("inner", attributes={{"a": 1}}) as inner:
        inner.add_event("x")
        inner.record_exception(KeyError("x"))
        propagate.inject(carrier)
        asked = [inner.is_recording(), inner.get_span_context().is_valid, trace.get_current_span() is inner]
    remote = propagate.extract({{"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-00"}})
    refused = tracer.start_span("refused", context=remote)
    refused.end()
    empty = context.attach(context.Context())
    root = tracer.start_span("root")
    root.end()
    context.detach(empty)
    return {{
        "own": [own.is_recording(), own.get_span_context().is_valid, own.get_span_context().trace_flags],
        "trace": format(own.get_span_context().trace_id, "032x"),
        "inner": asked,
        "carrier": carrier,
        "refused": [refused.is_recording(), refused.get_span_context().trace_flags],
        "root": root.get_span_context().trace_flags,
    }}
"""
THEIRS = """
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
"""


@pytest.mark.parametrize("provider", ["", THEIRS], ids=["api", "sdk"])
@pytest.mark.parametrize("version", VERSIONS, ids=names())
def test_spans_of_an_unsampled_invocation_are_valid_and_record_nothing(
    version: str, provider: str, tmp_path: Path
) -> None:
    package = "opentelemetry-sdk" if provider else "opentelemetry-api"
    event = {"headers": {"traceparent": f"00-{'c' * 32}-{'d' * 16}-00"}, "requestContext": {"http": {"method": "GET"}}}
    event |= {"version": "2.0", "rawPath": "/", "routeKey": "$default"}
    with shipping(tmp_path, APP.format(provider=provider), pinned(package, version)) as desk:
        told = desk.invoke(event)
        records = desk.records()
    assert told["own"] == [False, True, 0] and told["trace"] == "c" * 32
    assert told["inner"] == [False, True, True]
    assert told["carrier"]["traceparent"].startswith(f"00-{'c' * 32}-") and told["carrier"]["traceparent"][-2:] == "00"
    assert told["refused"] == [False, 0] and told["root"] & 1
    spans = [record["span"] for record in records if record["type"] in ("span", "end")]
    assert {span["name"] for span in spans if span["flags"] & 1} == {"root"}
    assert {span["name"] for span in spans} == {"root", "init", "f"}
