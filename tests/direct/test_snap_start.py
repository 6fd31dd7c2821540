"""SnapStart without a collector: the process itself sends before the snapshot, and keeps nothing of it."""

from __future__ import annotations

import time
from pathlib import Path

from hoptrace.direct.spool import Spool
from hoptrace_local.sink import OtlpSink
from tests.direct.support import APP, backend, pip_only

WITH_INIT = APP.replace("@hoptrace.trace", "start_span('while initialising').end()\n\n@hoptrace.trace")


def test_what_the_initialisation_recorded_is_sent_before_the_snapshot_and_not_by_who_is_restored(
    tmp_path: Path,
) -> None:
    with OtlpSink() as sink:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}
        with pip_only(tmp_path, environment, WITH_INIT, initialization_type="snap-start") as desk:
            desk.host.initialize("f")
            sent = sorted(span.name for span in sink.spans)
            time.sleep(0.3)
            for _ in range(2):
                desk.invoke({})
        spans = sink.spans
    assert sent == ["init"], "what is recorded before anything is attached is nobody's"
    assert sorted(span.name for span in spans) == ["f", "f", "init", "restore", "work", "work"]
    restore = next(span for span in spans if span.name == "restore")
    cold = min((span for span in spans if span.name == "f"), key=lambda span: span.start)
    assert (restore.trace_id, restore.parent_id) == (cold.trace_id, cold.span_id)
    assert cold.resource["faas.instance"]


def test_what_a_dead_backend_does_not_take_is_dropped_with_a_line(tmp_path: Path) -> None:
    with backend(lambda number: (503, {}, 0.0) if number < 4 else (200, {}, 0.0)) as dead:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": dead.endpoint, "HOPTRACE_FLUSH_TIMEOUT": "300"}
        with pip_only(tmp_path, environment, initialization_type="snap-start") as desk:
            desk.host.initialize("f")
            refused = len(dead.bodies)
            desk.invoke({})
    assert refused
    assert any("1 records of the initialisation could not be sent before the snapshot" in line for line in desk.lines)


def test_an_emptied_spool_has_nothing_and_goes_on(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), 1 << 20, keep=True)
    spool.write(b'{"a":1}\n{"a":2}\n')
    assert spool.empty() == 2
    assert spool.empty() == 0
    assert [source.size for source in spool.sources()] == [0]
    assert spool.write(b'{"a":3}\n')
    assert [source.read(100) for source in spool.sources()] == [b'{"a":3}\n']
    assert spool.dropped == {"snapshot": 2}
    assert len(list(tmp_path.iterdir())) == 1
    spool.close()
