"""A real function with hoptrace from pip alone: its spans reach the backend, and never hold up an answer."""

import json
import time
from pathlib import Path

import pytest

from hoptrace_local.sink import OtlpSink
from tests.direct.support import backend, free_port, pip_only
from tests.support import rotel
from tests.support.functions import function


def names(sink: OtlpSink) -> list[str]:
    return sorted(span.name for span in sink.spans)


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_every_span_arrives_after_the_answer(protocol: str, compression: str, tmp_path: Path) -> None:
    with OtlpSink() as sink:
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
        }
        with pip_only(tmp_path, environment) as desk:
            for number in range(3):
                assert desk.invoke({}) == "done"
                assert len(sink.requests) == number + 1
    assert sink.requests == [("traces", 200)] * 3
    assert names(sink) == ["f", "f", "f", "init", "work", "work", "work"]
    invocation = next(span for span in sink.spans if span.name == "f")
    work = next(span for span in sink.spans if span.name == "work")
    assert work.parent_id == invocation.span_id
    assert invocation.kind == "SERVER"
    assert invocation.attributes["faas.coldstart"] is True
    assert invocation.resource["faas.name"] == "f"
    assert invocation.resource["faas.max_memory"] == 1769 * 1024 * 1024
    assert not [line for line in desk.lines if "hoptrace" in line]


def test_a_slow_backend_holds_up_the_next_event_and_not_the_answer(tmp_path: Path) -> None:
    with backend(lambda _: (200, {}, 0.6)) as slow:
        with pip_only(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": slow.endpoint}) as desk:
            desk.invoke({})
            result = desk.host.invoke("f", b"{}")
        assert len(slow.bodies) == 2
    assert result.response_seconds < 0.3
    assert 0.6 <= result.released_seconds < 1.5


@pytest.mark.parametrize("timeout", [1.0, 3.0])
def test_a_backend_that_never_answers_costs_a_share_of_the_remaining_time_and_then_nothing(
    timeout: float, tmp_path: Path
) -> None:
    with (
        backend(lambda _: None) as dead,
        pip_only(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": dead.endpoint}, timeout=timeout) as desk,
    ):
        first = desk.host.invoke("f", b"{}")
        second = desk.host.invoke("f", b"{}")
        pids = [environment.runtime_pid for environment in desk.host.environments("f")]
    assert first.payload == second.payload == b'"done"'
    assert first.response_seconds < 1
    # Lambda's timeout counts from the event; what is left of it is the environment's own.
    budget = min(2.0, timeout * 0.8 - 0.1)
    assert first.released_seconds - first.response_seconds < budget + 0.5
    assert first.released_seconds - first.response_seconds > budget * 0.5
    assert second.released_seconds < 0.5, "the back-off lets the next invocation alone"
    assert len(pids) == 1
    assert [line for line in desk.lines if "spans cannot be sent" in line]
    assert not [line for line in desk.lines if "Task timed out" in line]


def test_a_function_that_is_short_of_time_leaves_its_spans_to_the_next_invocation(tmp_path: Path) -> None:
    with (
        OtlpSink() as sink,
        pip_only(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}, timeout=10.0) as desk,
    ):
        # The last 0.1 s are the environment's own. Here all of the ten are, so that a busy machine decides nothing.
        assert desk.invoke({"reserve": 10}) == "done"
        assert sink.requests == []
        assert desk.invoke({"reserve": 0.1}) == "done"
    assert names(sink) == ["f", "f", "init", "work", "work"]


def test_what_a_dead_backend_missed_it_gets_when_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    with pip_only(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}) as desk:
        for _ in range(3):
            assert desk.host.invoke("f", b"{}").released_seconds < 2.5
        with OtlpSink(port) as sink:
            deadline = time.monotonic() + 10
            while not sink.spans and time.monotonic() < deadline:
                time.sleep(0.3)  # the back-off is 1, 2, 4… seconds
                desk.invoke({})
            found = names(sink)
    assert found.count("f") >= 4
    assert found.count("work") == found.count("f")
    assert found.count("init") == 1
    assert len([line for line in desk.lines if "spans cannot be sent" in line]) == 1


def test_an_error_of_the_handler_is_sent_with_its_type(tmp_path: Path) -> None:
    with OtlpSink() as sink:
        with pip_only(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}) as desk:
            assert desk.invoke({"raise": True})["errorType"] == "LookupError"
        (span,) = [span for span in sink.spans if span.name == "f"]
    assert (span.status, span.attributes["error.type"]) == ("ERROR", "LookupError")
    assert span.events[0].attributes["exception.message"] == "no such order"


@pytest.mark.parametrize(("event", "kind"), [({"sleep": 9}, "timeout"), ({"exit": True}, "Runtime.ExitError")])
def test_what_an_invocation_recorded_that_never_came_back_is_sent_by_the_next(
    event: object, kind: str, tmp_path: Path
) -> None:
    with (
        OtlpSink() as sink,
        pip_only(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}, timeout=1.5) as desk,
    ):
        desk.invoke({})
        desk.invoke(event)
        assert len(sink.requests) == 1
        desk.invoke({})
        for environment in desk.host.environments("f"):
            files = [path.name for path in Path(environment.run_dir).glob("direct-*")]
            assert len(files) == 1, "the dead process' file is gone"
    assert names(sink) == ["f", "f", "f", "init", "init", "work", "work", "work"]
    (lost,) = [span for span in sink.spans if span.name == "f" and span.status == "ERROR"]
    assert lost.attributes["error.type"] == kind
    assert lost.attributes["hoptrace.closed_by"] == "tracer"
    (inside,) = [span for span in sink.spans if span.name == "work" and span.parent_id == lost.span_id]
    assert inside.trace_id == lost.trace_id
    if kind == "timeout":
        assert 1.3e9 < lost.end - lost.start < 1.6e9


def test_without_an_endpoint_nothing_is_sent_and_one_line_says_so(tmp_path: Path) -> None:
    with pip_only(tmp_path, {}) as desk:
        for _ in range(3):
            assert desk.host.invoke("f", b"{}").released_seconds < 1.0
    (line,) = [line for line in desk.lines if "hoptrace" in line]
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is not set, so nothing is sent" in line


def test_with_the_traces_exporter_none_nothing_is_sent_and_nothing_said(tmp_path: Path) -> None:
    with OtlpSink() as sink:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint, "OTEL_TRACES_EXPORTER": "none"}
        with pip_only(tmp_path, environment) as desk:
            desk.invoke({})
        assert sink.requests == []
    assert not [line for line in desk.lines if "hoptrace" in line]


def test_with_the_layers_collector_beside_it_nothing_of_this_is_even_imported(tmp_path: Path) -> None:
    source = "import sys\ndef handler(e, c):\n    return sorted(m for m in sys.modules if 'hoptrace.direct' in m)\n"
    with OtlpSink() as sink:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}
        with function(tmp_path, source, environment=environment) as desk:
            assert desk.invoke({}) == []
            assert desk.invoke({}) == []
        assert len([span for span in sink.spans if span.name == "f"]) == 2


def test_only_the_spool_is_imported_before_the_first_response(tmp_path: Path) -> None:
    source = """
import sys, hoptrace

@hoptrace.trace
def handler(event, context):
    return sorted(name for name in sys.modules if name in ("http.client", "ssl", "struct", "hoptrace.direct.sender"))
"""
    with OtlpSink() as sink, pip_only(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}, source) as desk:
        assert desk.invoke({}) == []
        assert "hoptrace.direct.sender" in desk.invoke({})


def test_headers_and_a_signals_own_address_are_sent_as_they_are_set(tmp_path: Path) -> None:
    with backend(lambda _: (200, {}, 0.0)) as found:
        environment = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{found.endpoint}/own/path?k=v",
            "OTEL_EXPORTER_OTLP_HEADERS": "x-general=no",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "Authorization=Basic%20abc%3D,x-a=1",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
        }
        with pip_only(tmp_path, environment) as desk:
            desk.invoke({})
        ((headers, body),) = found.bodies
    assert headers[":path"] == "/own/path?k=v"
    assert headers["authorization"] == "Basic abc="
    assert headers["x-a"] == "1"
    assert "x-general" not in headers
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["resourceSpans"]


def test_a_receiver_that_others_wrote_reads_both_encodings(tmp_path: Path) -> None:
    if reason := rotel.unavailable():
        pytest.skip(reason)
    with rotel.running(tmp_path) as receiver:
        for protocol in ("http/protobuf", "http/json"):
            folder = tmp_path / protocol.replace("/", "-")
            folder.mkdir()
            environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
            with pip_only(folder, environment, timeout=10.0) as desk:
                desk.invoke({"raise": True})
                assert not [line for line in desk.lines if "hoptrace:" in line], desk.lines
        deadline = time.monotonic() + 10
        while receiver.names().count("f") < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert receiver.names().count("f") == 2
        assert receiver.names().count("work") == 2
        assert receiver.log.count("no such order") >= 2
