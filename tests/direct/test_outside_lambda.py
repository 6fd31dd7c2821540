"""Outside Lambda: nobody waits for the backend but the end of the process, and that not for long."""

import subprocess
import sys
import time
from pathlib import Path

import hoptrace
from hoptrace_local.sink import OtlpSink
from tests.direct.support import backend, free_port

CODE = """
import sys, time
sys.path.insert(0, {package!r})
import hoptrace
@hoptrace.trace
def handler(event, context):
    return event
{body}
"""


def run(folder: Path, endpoint: str, body: str, **environment: str) -> tuple[subprocess.CompletedProcess[str], float]:
    code = CODE.format(package=str(Path(hoptrace.__file__).parents[1]), body=body)
    named = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint} if endpoint else {}
    before = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", code],
        env={"HOPTRACE_RUN_DIR": str(folder / "run"), "OTEL_SERVICE_NAME": "desk", **named, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done, time.monotonic() - before


def test_what_is_recorded_is_sent_at_the_latest_when_the_process_ends(tmp_path: Path) -> None:
    with OtlpSink() as sink:
        done, _ = run(tmp_path, sink.endpoint, "for n in range(5): assert handler(n, None) == n")
        assert len(sink.spans) == 5
        assert {span.resource["service.name"] for span in sink.spans} == {"desk"}
    assert done.stderr == ""
    assert list((tmp_path / "run").iterdir()) == [], "what a process of the desk leaves is for nobody"


def test_a_call_does_not_wait_for_a_slow_backend(tmp_path: Path) -> None:
    body = "handler(1, None); t = time.monotonic(); [handler(n, None) for n in range(20)]; print(time.monotonic() - t)"
    with backend(lambda _: (200, {}, 0.4)) as slow:
        done, _ = run(tmp_path, slow.endpoint, body)
    assert float(done.stdout) < 0.3
    assert done.stderr == ""


def test_a_dead_backend_holds_up_the_end_for_no_longer_than_a_flush(tmp_path: Path) -> None:
    with backend(lambda _: None) as dead:
        done, seconds = run(tmp_path, dead.endpoint, "handler(1, None)", HOPTRACE_FLUSH_TIMEOUT="600")
    assert seconds < 2.5
    done, seconds = run(tmp_path, f"http://127.0.0.1:{free_port()}", "handler(1, None)")
    assert seconds < 2.5
    assert done.stderr.count("hoptrace: spans cannot be sent") == 1


def test_without_an_endpoint_one_line_says_so_and_the_records_stay_to_be_looked_at(tmp_path: Path) -> None:
    done, _ = run(tmp_path, "", "handler(1, None); handler(2, None)")
    assert done.stderr.count("\n") == 1
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is not set, so nothing is sent" in done.stderr
    assert (tmp_path / "run" / "records.jsonl").read_text().count("\n") == 4


def test_children_of_the_process_send_what_they_handle_themselves(tmp_path: Path) -> None:
    body = """
import os
handler(0, None)
for n in (1, 2):
    if not os.fork():
        handler(n, None)
        sys.exit()
for n in (1, 2):
    assert os.wait()[1] == 0
"""
    with OtlpSink() as sink:
        done, _ = run(tmp_path, sink.endpoint, body)
        assert len(sink.spans) == 3
    assert done.stderr == ""


def test_many_threads_lose_nothing(tmp_path: Path) -> None:
    body = """
import threading
def work():
    for n in range(50): handler(n, None)
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
"""
    with OtlpSink() as sink:
        done, _ = run(tmp_path, sink.endpoint, body)
        assert len(sink.spans) == 400
        assert len({span.span_id for span in sink.spans}) == 400
    assert done.stderr == ""
