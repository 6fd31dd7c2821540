"""Exports into files and to the standard output."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoptrace_collector.counters import Counters
from hoptrace_collector.export import stdout
from hoptrace_collector.export.choose import exporter_for
from hoptrace_collector.export.file import File
from hoptrace_collector.export.stdout import LONGEST, Stdout
from hoptrace_collector.otlp_json import merge, to_json
from hoptrace_collector.otlp_request import new_request, parts_of
from hoptrace_collector.pipeline.breaker import Breaker
from hoptrace_collector.pipeline.flush import Flusher
from hoptrace_collector.pipeline.queue import Item, Queue, Room
from hoptrace_collector.settings import Otlp, read
from hoptrace_local.otlp_stdout import decode, main

from .otlp_messages import messages
from .support import Backend, Lambda, begin, ended, inner, tracer_bell, write
from .support import Collector as Process
from .test_pieces import signal_of


def body_of(spans: int, size: int = 1, name: str = "span") -> bytes:
    request = new_request("traces")
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(spans):
        pad = os.urandom(size).hex()
        scope.spans.add(name=name, span_id=number.to_bytes(8), trace_id=b"\1" * 16).attributes.add(
            key="pad"
        ).value.string_value = pad
    return bytes(request.SerializeToString())


class Lines:
    """What an exporter has written; takes `most` bytes at a time."""

    def __init__(self, most: int = 1 << 30) -> None:
        self.data = b""
        self._most = most

    def write(self, data: memoryview) -> int:
        taken = bytes(data[: self._most])
        self.data += taken
        return len(taken)

    def texts(self) -> list[str]:
        return self.data.decode().splitlines(keepends=True)


@hypothesis.settings(max_examples=15, deadline=None)
@given(messages(), st.booleans())
def test_a_line_of_the_standard_output_holds_the_request_as_it_would_be_posted(message: Any, json_form: bool) -> None:
    name, lines = signal_of(message), Lines(most=1000)
    exporter = Stdout(name, "shipping", json_form=json_form, write=lines.write)
    assert exporter.send(message.SerializeToString(), 0.0).kind == "sent"
    (text,) = lines.texts()
    # As a tool shows it, with a time before it and something behind.
    (posted,) = decode(["START\n", f"2026-11-23T10:00:00 {text.rstrip()} \n", '{"__otel_otlp_stdout'])
    assert (posted.signal, posted.source) == (name, "shipping")
    if not json_form:
        assert posted.body == message.SerializeToString()
    assert json.loads(posted.as_json()) == json.loads(to_json(message))


def test_a_line_is_as_its_forwarders_expect_it_and_shows_no_header() -> None:
    lines = Lines()
    settings, _ = read({"OTEL_EXPORTER_OTLP_ENDPOINT": "stdout:", "OTEL_EXPORTER_OTLP_HEADERS": "api-key=s3cret"})
    exporter = exporter_for("traces", settings.traces)
    assert isinstance(exporter, Stdout)
    exporter._write = lines.write
    exporter.send(body_of(1), 0.0)
    line = json.loads(lines.data)
    assert next(iter(line)) == "__otel_otlp_stdout", "what forwarders look for"
    assert line.pop("payload")
    assert line == {
        "__otel_otlp_stdout": "0.1.0",
        "source": "unknown_service",
        "endpoint": "http://localhost:4318/v1/traces",
        "method": "POST",
        "content-type": "application/x-protobuf",
        "content-encoding": "gzip",
        "base64": True,
    }
    assert b"s3cret" not in lines.data


def flush(exporter: Any, *bodies: bytes) -> Counters:
    """Send by the pipeline, each body as somebody else's."""
    counters = Counters(lambda _: None)
    queue = Queue(Room(64 << 20), lambda count, reason: counters.add("dropped", reason, count))
    for body in bodies:
        request = new_request("traces")
        request.MergeFromString(body)
        for part in parts_of("traces", request):
            queue.put(Item(None, part.data, amount=part.amount))
    Flusher(queue, exporter, Breaker(lambda: 0.0, lambda: 1.0), counters, clock=lambda: 0.0).flush(5.0)
    assert not len(queue)
    return counters


def test_what_would_exceed_an_event_of_the_log_becomes_several_lines() -> None:
    lines = Lines()
    counters = flush(Stdout("traces", "s", write=lines.write), body_of(40, size=10_000), body_of(1, size=300_000))
    assert all(len(text) <= LONGEST for text in lines.texts())
    assert len(lines.texts()) > 1
    found = [span for posted in decode(lines.texts()) for span in spans_of(posted.body)]
    assert (len(found), len({span.span_id for span in found})) == (40, 40)
    assert (counters.total("sent"), counters.total("dropped", "too_large")) == (40, 1)


def spans_of(body: bytes) -> list[Any]:
    request = new_request("traces")
    request.MergeFromString(body)
    return [span for each in request.resource_spans for scope in each.scope_spans for span in scope.spans]


def test_the_lines_of_a_log_are_shown_or_sent_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, log = Lines(), tmp_path / "log"
    Stdout("traces", "s", write=lines.write).send(body_of(2), 0.0)
    log.write_bytes(b"START\n" + lines.data + b"END\n")
    assert main([str(log)]) == 0
    assert len(json.loads(capsys.readouterr().out)["resourceSpans"][0]["scopeSpans"][0]["spans"]) == 2
    with Backend() as backend:
        assert main([str(log), "--to", backend.url + "/"]) == 0
        assert (backend.requests[0].path, len(spans_of(backend.requests[0].body))) == ("/v1/traces", 2)
    log.write_text("nothing\n")
    assert main([str(log)]) == 1


def test_the_standard_output_is_really_written_to() -> None:
    code = (
        "import sys; from hoptrace_collector.export.stdout import Stdout;"
        "sys.exit(Stdout('logs', 's').send(b'', 0.0).kind != 'sent')"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert [posted.signal for posted in decode([out.decode()])] == ["logs"]


def test_a_closed_standard_output_is_tried_again() -> None:
    def broken(_: memoryview) -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    assert Stdout("traces", "s", write=broken).send(b"", 0.0).kind == "retry"
    assert stdout.VERSION == "0.1.0"


@hypothesis.settings(max_examples=15, deadline=None)
@given(st.lists(messages(("traces",)), min_size=1, max_size=3))
def test_a_file_holds_a_line_of_otlps_json_for_each_request(tmp_path_factory: Any, requests: list[Any]) -> None:
    path = tmp_path_factory.mktemp("file") / "spans.jsonl"
    exporter = File("traces", str(path))
    for request in requests:
        assert exporter.send(request.SerializeToString(), 0.0).kind == "sent"
    lines = path.read_bytes().splitlines()
    assert len(lines) == len(requests)
    for line, request in zip(lines, requests, strict=True):
        assert json.loads(line) == json.loads(to_json(request))
    assert path.stat().st_mode & 0o777 == 0o600


def test_files_in_a_folder_are_named_after_signal_and_environment(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    settings, _ = read({"HOPTRACE_EXPORTER_OTLP_ENDPOINT": f"file://{folder}"})
    for name, target in (("traces", settings.traces), ("logs", settings.logs)):
        assert exporter_for(name, target).send(b"", 0.0).kind == "sent"
    names = sorted(path.name for path in folder.iterdir())
    assert [name.partition("-")[0] for name in names] == ["logs", "traces"]
    exporter = exporter_for("logs", settings.logs)
    before = exporter.name
    assert before != exporter_for("logs", settings.logs).name
    exporter.renew()
    assert exporter.name != before, "environments of one snapshot do not share a file"


def test_a_file_is_bounded_and_what_is_kept_is_the_newest(tmp_path: Path) -> None:
    exporter = File("traces", f"{tmp_path}/spans.jsonl", most=10_000)
    for number in range(60):
        exporter.send(body_of(1, size=100, name=f"{number}"), 0.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spans.1.jsonl", "spans.jsonl"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 10_000
    names = []
    for name in ("spans.1.jsonl", "spans.jsonl"):
        for line in (tmp_path / name).read_bytes().splitlines():
            request = new_request("traces")
            merge(line, request)
            names += [span.name for each in request.resource_spans for span in each.scope_spans[0].spans]
    assert names == [str(number) for number in range(60 - len(names), 60)]


def test_a_full_disk_is_a_counted_drop_and_leaves_no_half_line(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    exporter = File("traces", str(path))
    exporter.send(body_of(1), 0.0)
    before = path.read_bytes()
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, limits[1]))
    try:
        counters = flush(exporter, body_of(5, size=1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    assert (counters.total("sent"), counters.total("dropped", "disk_full")) == (0, 5)


def test_a_file_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    exporter = File("traces", f"{tmp_path}/file/spans.jsonl")
    assert exporter.send(body_of(1), 0.0).kind == "retry"


def test_endpoints_name_streams_and_what_names_none_is_complained_of() -> None:
    def of(**env: str) -> tuple[Otlp, list[str]]:
        settings, complaints = read(env)
        return settings.traces, complaints

    assert of(OTEL_EXPORTER_OTLP_ENDPOINT="file:///mnt/efs")[0].stream == "/mnt/efs/"
    assert of(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="file:///mnt/a%20b.jsonl")[0].stream == "/mnt/a b.jsonl"
    assert of(OTEL_TRACES_EXPORTER="console", OTEL_EXPORTER_OTLP_ENDPOINT="http://x")[0].stream == "stdout"
    assert of(HOPTRACE_EXPORTER_OTLP_ENDPOINT="stdout")[0].configured
    for several in ("otlp,console", "otlp_proto_http", " OTLP "):
        both, complaints = of(OTEL_TRACES_EXPORTER=several, OTEL_EXPORTER_OTLP_ENDPOINT="http://x")
        assert (both.stream, both.configured, complaints) == ("", True, [])
    assert not of(OTEL_TRACES_EXPORTER="none", OTEL_EXPORTER_OTLP_ENDPOINT="stdout:")[0].configured
    target, complaints = of(OTEL_EXPORTER_OTLP_ENDPOINT="file://relative/path")
    assert (target.configured, len(complaints)) == (False, 1)
    target, complaints = of(OTEL_TRACES_EXPORTER="zipkin", OTEL_EXPORTER_OTLP_ENDPOINT="http://x")
    assert target.configured
    assert complaints == ["OTEL_TRACES_EXPORTER='zipkin' is not one of otlp, console, none; the default is used"]


def test_an_invocation_of_a_real_collector_ends_in_a_file_of_each_signal(tmp_path: Path) -> None:
    run_dir, out = tmp_path / "run", tmp_path / "efs"
    with (
        Lambda() as host,
        tracer_bell(run_dir) as ring,
        Process(host, run_dir, HOPTRACE_EXPORTER_OTLP_ENDPOINT=f"file://{out}") as collector,
    ):
        host.wait_for_next()
        host.invoke("r1")
        write(run_dir, begin(1, "r1"), inner(11), ended(1, "r1"))
        ring()
        host.wait_for_next()
        host.shut_down()
        assert collector.end() == ""
    (traces,) = out.glob("traces-*.jsonl")
    (metrics,) = out.glob("metrics-*.jsonl")
    spans = [
        span["name"]
        for line in traces.read_text().splitlines()
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    assert sorted(spans) == ["SQS.SendMessage", "shipping"]
    assert "faas.invocations" in metrics.read_text()
