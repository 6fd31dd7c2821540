"""Provisioned concurrency: initialised early, and what it cannot take is known by its initialization type."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from tests.collector.support import Backend, attributes_of, spans_of
from tests.support.functions import function

APP = """
import time
time.sleep(0.2)

def handler(event, context):
    time.sleep(event)
    return event
"""


def test_used_and_spilled_over_are_told_apart_and_the_early_start_is_told_at_its_time(tmp_path: Path) -> None:
    with Backend() as backend:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": backend.url}
        more = {"initialization_type": "provisioned-concurrency", "max_environments": 3}
        with function(tmp_path, APP, environment=environment, **more) as desk:
            provisioning = time.time_ns()
            desk.host.initialize("f", 2)
            time.sleep(0.5)
            called = time.time_ns()
            threads = [threading.Thread(target=desk.invoke, args=(0.6,)) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            desk.invoke(0)
            stats = desk.host.stats("f")
        spans = spans_of(backend)
    invocations = [attributes_of(span) for span in spans if span.name == "f"]
    kinds = [attributes["aws.lambda.initialization_type"] for attributes in invocations]
    assert kinds.count("on-demand") == stats.spillovers == 1
    assert kinds.count("provisioned-concurrency") == 3
    cold = {attributes["aws.lambda.initialization_type"] for attributes in invocations if attributes["faas.coldstart"]}
    assert cold == {"on-demand"}
    inits = [span for span in spans if span.name == "init"]
    early = [span for span in inits if not span.parent_span_id]
    assert len(inits) == 3
    assert len(early) == 2
    for span in early:
        assert attributes_of(span)["aws.lambda.initialization_type"] == "provisioned-concurrency"
        assert provisioning - 20_000_000 <= span.start_time_unix_nano < span.end_time_unix_nano < called - 400_000_000
        assert span.end_time_unix_nano - span.start_time_unix_nano >= 200_000_000
