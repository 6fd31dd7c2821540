"""The whole process between a scripted Lambda and a receiver."""

from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from .support import Backend, Collector, Lambda, begin, ended, inner, tracer_bell, write


def spans_of(backend: Backend) -> list:
    out = []
    for posted in backend.requests:
        if posted.path == "/v1/traces":
            request = ExportTraceServiceRequest.FromString(posted.body)
            out += [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
    return out


def test_an_invocation_is_exported_after_the_ring_and_before_the_next_event_is_asked_for(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    with Lambda() as host, Backend() as backend, tracer_bell(run_dir) as ring:
        with Collector(host, run_dir, OTEL_EXPORTER_OTLP_ENDPOINT=backend.url) as collector:
            host.wait_for_next()
            host.invoke("r1")
            write(run_dir, begin(1), inner(2), ended(1))
            ring()
            host.wait_for_next()
            assert [span.name for span in spans_of(backend)] == ["SQS.SendMessage", "shipping"]
            host.shut_down()
            print(collector.end())
