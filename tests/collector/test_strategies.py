"""Each flush strategy in a Lambda on the desk: everything arrives once, and the time after responses is true."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.functions import function

from .support import Backend, Posted, spans_of
from .test_metrics_are_true import Points

APP = """
import time

def handler(event, context):
    time.sleep(0.25)
"""
INVOCATIONS = 8
ANSWER = 0.15


def patient(_: Posted) -> Any:
    time.sleep(ANSWER)
    return (200, {}, b"")


# How many of the eight are held up for the backend's answer, at least and at most.
@pytest.mark.parametrize(
    ("strategy", "least", "most"),
    [("end", 8, 8), ("adaptive", 5, 7), ("periodic,60000", 1, 1), ("continuous", 0, 1)],
)
def test_everything_arrives_once_and_only_what_is_held_up_is_counted_as_that(
    tmp_path: Path, strategy: str, least: int, most: int
) -> None:
    with Backend(patient) as backend:
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
            "HOPTRACE_FLUSH_STRATEGY": strategy,
            "OTEL_LOGS_EXPORTER": "none",
        }
        with function(tmp_path, APP, environment=environment, timeout=10.0) as desk:
            results = [desk.host.invoke("f", b"{}") for _ in range(INVOCATIONS)]
        names = Counter(span.name for span in spans_of(backend))
        points = Points(backend)
    assert names["f"] == INVOCATIONS, names
    assert len({span.span_id for span in spans_of(backend)}) == len(spans_of(backend)), "nothing twice"
    # The first is held up by the start of the collector as well.
    held = [result.released_seconds - result.response_seconds for result in results]
    assert least <= sum(each >= ANSWER for each in held[1:]) + (least > 0), held
    assert sum(each >= ANSWER for each in held[1:]) + (least > 0) <= most, held
    assert points.count("hoptrace.environment.post_response_time") == INVOCATIONS
    assert points.total("hoptrace.environment.post_response_time") == pytest.approx(sum(held), rel=0.3, abs=0.1)
