"""A function's logs by the Telemetry API of AWS's own emulator, which has one for Managed Instances."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.collector.support import Backend, spans_of
from tests.logs.logs import logs_of
from tests.rie import managed
from tests.support import parts, rie

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(rie.can_run()), reason=rie.can_run() or "-")]

APP = """
import logging

def handler(event, context):
    logging.error("hello %s", event["n"], extra={"order": 7})
    print("printed")
    return event
"""


def test_what_the_function_logs_arrives_with_its_ids_and_nothing_of_what_we_log_ourselves(tmp_path: Path) -> None:
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)  # the emulator runs everything as another user
    with zipfile.ZipFile(parts.layer()) as archive:
        for info in archive.infolist():
            archive.extract(info, tmp_path / "layer")
            (tmp_path / "layer" / info.filename).chmod(info.external_attr >> 16 & 0o777)
    with Backend() as backend:
        variables = {
            "AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances",
            "HOPTRACE_LOGS": "otlp",
            "HOPTRACE_OTLP_PORT": "0",
            "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
        }
        managed.under_rie(
            tmp_path / "f",
            APP,
            ({"n": 1}, {"n": 2}),
            layer=tmp_path / "layer",
            environment=variables,
            enough=lambda: len(logs_of(backend)) >= 4,
        )
        got, spans = logs_of(backend), spans_of(backend)
    assert sorted(str(each.body) for each in got) == ["hello 1", "hello 2", "printed", "printed"]
    ids = {(span.trace_id.hex(), span.span_id.hex()) for span in spans}
    hello = [each for each in got if each.body != "printed"]
    assert len({each.span_id for each in hello}) == 2
    for each in hello:
        assert (each.trace_id, each.span_id) in ids
        assert (each.level, each.severity, each.attributes["order"]) == ("ERROR", 17, 7)
