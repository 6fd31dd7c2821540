"""The whole once under AWS's own aws-lambda-rie, with Lambda's own paths: /opt, /var/task, /tmp."""

import json
from pathlib import Path

import pytest

from hoptrace_local.sink import OtlpSink
from tests.support import rie, rotel

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(rie.can_run()), reason=rie.can_run() or "-")]

HELLO = "def handler(event, context):\n    return {'got': event}\n"

# An extension that is asked for nothing more than what the function itself takes may add this to an answer, in seconds;
# the two seconds that Lambda gives an extension at shutdown would show. Python's start on a busy machine is most of it.
SLACK = 1.2


def _both(
    folder: Path, source: str, endpoint: str, timeout: int = 3, **environment: str
) -> list[list[tuple[int, bytes, float]]]:
    """The answers of two invocations, without and with the layer."""
    found = []
    for layer in (False, True):
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **environment}
        place = folder / ("attached" if layer else "bare")
        with rie.running(place, {"app.py": source}, layer=layer, timeout=timeout, environment=variables) as emulator:
            emulator.invoke(b'{"a": 1}')
            emulator.invoke(b'{"a": 2}')
        found.append(emulator.answers)
    return found


def _same(bare: list[tuple[int, bytes, float]], attached: list[tuple[int, bytes, float]]) -> None:
    for without, with_us in zip(bare, attached, strict=True):
        assert with_us[0] == without[0]
        # Request ids differ between runs.
        assert _without_ids(with_us[1]) == _without_ids(without[1])
        assert with_us[2] < without[2] + SLACK


def _without_ids(body: bytes) -> str:
    import re

    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "id", body.decode())


@pytest.mark.skipif(bool(rotel.unavailable()), reason=rotel.unavailable() or "-")
def test_what_is_exported_is_received_and_read_back_by_rotel(tmp_path: Path) -> None:
    with rotel.running(tmp_path) as receiver:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}
        with rie.running(tmp_path / "f", {"app.py": HELLO}, environment=variables) as emulator:
            for _ in range(3):
                status, body, _ = emulator.invoke(b'{"a": 1}')
                assert (status, json.loads(body)) == (200, {"got": {"a": 1}})
        assert receiver.wait_for("faas.invocation_id")
        assert sorted(receiver.names()) == ["function", "function", "function", "init"]
        assert "faas.name: Str(function)" in receiver.log
        assert receiver.log.count("faas.coldstart: Bool(true)") == 1


def test_a_function_answers_as_without_us(tmp_path: Path) -> None:
    with OtlpSink() as sink:
        _same(*_both(tmp_path, HELLO, sink.endpoint))
        assert [span.name for span in sink.spans].count("function") == 2


def test_a_crash_in_the_first_invocation_is_answered_at_once_and_reported(tmp_path: Path) -> None:
    with OtlpSink() as sink:
        _same(*_both(tmp_path, "import os\ndef handler(e, c):\n    os._exit(3)\n", sink.endpoint))
        crashed = [span for span in sink.spans if span.name == "function"]
    assert [span.attributes.get("error.type") for span in crashed] == ["Runtime.ExitError"] * 2
    assert {span.status for span in crashed} == {"ERROR"}


def test_a_timeout_of_the_first_invocation_is_answered_in_time_and_reported(tmp_path: Path) -> None:
    with OtlpSink() as sink:
        source = "import time\ndef handler(e, c):\n    time.sleep(30)\n"
        _same(*_both(tmp_path, source, sink.endpoint, timeout=1))
        spans = [span for span in sink.spans if span.name == "function"]
    assert [span.attributes.get("error.type") for span in spans] == ["timeout"] * 2
    assert all(0.8e9 < span.end - span.start < 1.3e9 for span in spans)


def test_an_init_error_is_answered_at_once_and_reported(tmp_path: Path) -> None:
    with OtlpSink() as sink:
        _same(*_both(tmp_path, "1/0\n", sink.endpoint))
        assert any("ZeroDivisionError" in str(span.attributes.get("error.type")) for span in sink.spans)


def test_a_function_that_never_rings_is_answered_at_once(tmp_path: Path) -> None:
    with OtlpSink() as sink:
        # PYTHONPATH keeps the layer's .pth from running, so nothing of ours is in the function.
        _same(*_both(tmp_path, HELLO, sink.endpoint, PYTHONPATH="/var/nowhere"))


def test_where_there_is_no_python_for_the_collector_the_function_runs_on(tmp_path: Path) -> None:
    # The function's own interpreter is started by its full path; the extension finds none.
    script = tmp_path / "f" / "opt" / "extensions" / "hoptrace-collector"
    with rie.running(
        tmp_path / "f", {"app.py": HELLO}, path="/nowhere", before=lambda: _without_python(script)
    ) as emulator:
        assert emulator.invoke(b'{"a": 1}')[:2] == (200, b'{"got": {"a": 1}}')
        assert emulator.invoke(b'{"a": 2}')[:2] == (200, b'{"got": {"a": 2}}')
    assert emulator.log.count("hoptrace: found no python3") == 1


def _without_python(script: Path) -> None:
    text = script.read_text()
    assert "/var/lang/bin/python3" in text
    script.write_text(text.replace("/var/lang/bin/python3", "/nowhere/python3"))


def test_where_there_is_no_bash_the_function_runs_on_and_is_traced(tmp_path: Path) -> None:
    script = tmp_path / "f" / "opt" / "extensions" / "hoptrace-collector"

    def without_bash() -> None:
        text = script.read_text()
        assert "bash /bin/bash /usr/bin/bash" in text
        script.write_text(text.replace("bash /bin/bash /usr/bin/bash", "bash-that-is-not-there"))

    with OtlpSink() as sink:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}
        with rie.running(tmp_path / "f", {"app.py": HELLO}, environment=variables, before=without_bash) as emulator:
            assert emulator.invoke(b'{"a": 1}')[:2] == (200, b'{"got": {"a": 1}}')
            assert emulator.invoke(b'{"a": 2}')[:2] == (200, b'{"got": {"a": 2}}')
        assert [span.name for span in sink.spans].count("function") == 2
