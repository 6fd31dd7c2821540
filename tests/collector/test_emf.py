"""Metrics as lines of CloudWatch's embedded metric format, held against the schema of its specification."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoptrace_collector.concurrency import peak_concurrency
from hoptrace_collector.counters import Counters
from hoptrace_collector.export.emf import Emf
from hoptrace_collector.metrics import Metrics
from hoptrace_collector.metrics_table import ROWS
from hoptrace_collector.model import Number
from hoptrace_collector.price import Price
from hoptrace_collector.settings import read
from tests.support.functions import function

from .test_metrics import SECOND, invocation

SCHEMA = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[1] / "data" / "emf_schema.json").read_text())
)
STARTED = 1_790_000_000 * SECOND


class Log:
    """What was written, each write of at most `most` bytes."""

    def __init__(self, most: int = 7) -> None:
        self.data = b""
        self.most = most

    def __call__(self, data: memoryview) -> int:
        self.data += bytes(data[: self.most])
        return min(len(data), self.most)

    def lines(self) -> list[dict[str, Any]]:
        assert not self.data or self.data.endswith(b"\n")
        found = [json.loads(line) for line in self.data.splitlines()]
        for line in found:
            check(line)
        return found


def check(line: dict[str, Any]) -> None:
    """The schema, and what the specification says in words."""
    SCHEMA.validate(line)
    for directive in line["_aws"]["CloudWatchMetrics"]:
        assert 1 <= len(directive["Metrics"]) <= 100
        for metric in directive["Metrics"]:
            value = line[metric["Name"]]
            values = value if isinstance(value, list) else [value]
            assert 1 <= len(values) <= 100
            assert all(isinstance(each, int | float) and math.isfinite(each) for each in values)
        for dimensions in directive["Dimensions"]:
            assert len(dimensions) <= 9
            assert all(
                isinstance(line[name], str) and line[name].isascii() and line[name].strip() for name in dimensions
            )


def make(log: Log, wanted: tuple[str, ...] = ("*",)) -> tuple[Emf, Metrics]:
    resource = (("faas.name", "f"), ("faas.instance", "2026/11/28/[$LATEST]a"), ("faas.version", "7"))
    emf = Emf(wanted, "shop/orders", "f", Counters(lambda _: None), lambda: resource, lambda: STARTED, log)
    return emf, Metrics("on-demand", peak_concurrency, lambda: STARTED, Price(1.0, 0.0), 1 << 29, emf.seen)


def values(lines: list[dict[str, Any]], name: str) -> list[float]:
    found = [line[name] for line in lines if name in line]
    return [each for value in found for each in (value if isinstance(value, list) else [value])]


def test_every_value_and_every_sum_arrives_with_its_dimensions() -> None:
    log = Log()
    emf, metrics = make(log)
    for number in range(250):
        metrics.ended(invocation(start=STARTED, seconds=number / 100, request_id=f"r{number}"))
    metrics.ended(invocation("error", kind="ValueError"))
    assert [len(line["faas.invoke_duration"]) for line in log.lines()] == [100, 100], "full arrays do not wait"
    emf.written(metrics.take({("sent", ""): 5}))
    lines = log.lines()
    assert values(lines, "faas.invoke_duration") == pytest.approx([*(number / 100 for number in range(250)), 0.2])
    assert sum(values(lines, "faas.invocations")) == 250
    assert values(lines, "hoptrace.collector.sent") == [5]
    (failed,) = [line for line in lines if "faas.errors" in line]
    assert failed["_aws"]["Timestamp"] == STARTED // 1_000_000
    assert failed["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "shop/orders"
    names = ["FunctionName", "faas.trigger", "error.type"]
    assert failed["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["FunctionName"], names]
    assert (failed["FunctionName"], failed["faas.trigger"], failed["error.type"]) == ("f", "http", "ValueError")
    units = {m["Name"]: m["Unit"] for line in lines for m in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert units["faas.invoke_duration"] == "Seconds"
    assert units["faas.invocations"] == "Count"
    emf.written(metrics.take({}))
    assert log.lines() == lines, "nothing is told twice"


def test_only_what_is_named_is_written() -> None:
    log = Log()
    emf, metrics = make(log, ("faas.inv*", "hoptrace.environment.busy_time"))
    metrics.ended(invocation())
    emf.written(metrics.take({}))
    told = {m["Name"] for line in log.lines() for m in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert told == {"faas.invocations", "faas.invoke_duration", "hoptrace.environment.busy_time"}


def test_more_than_a_hundred_metrics_are_several_lines() -> None:
    log = Log(1 << 20)
    emf, _ = make(log)
    emf.written(Number("sum", f"m{n}", "1", "", (), n, 1, 2) for n in range(250))
    assert [len(line["_aws"]["CloudWatchMetrics"][0]["Metrics"]) for line in log.lines()] == [100, 100, 50]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([row.name for row in ROWS if row.instrument == "histogram"]),
            st.text(max_size=3),
            st.floats(0, 1e9, allow_nan=False),
        ),
        max_size=150,
    )
)
@settings(deadline=None, max_examples=40)
def test_whatever_the_values_and_attributes_are_the_lines_fit_the_schema(seen: list[tuple[str, str, float]]) -> None:
    log = Log(1 << 20)
    emf, _ = make(log)
    for name, attribute, value in seen:
        emf.seen(name, (("faas.trigger", attribute),), value)
    emf.written([])
    lines = log.lines()
    found = Counter(value for name in {name for name, _, _ in seen} for value in values(lines, name))
    assert found == Counter(value for _, _, value in seen)


def test_series_without_end_are_bounded_and_counted() -> None:
    emf, _ = make(Log(1 << 20))
    for number in range(1_000):
        emf.seen("faas.invoke_duration", (("faas.trigger", str(number)),), 1.0)
    assert len(emf._values) == 200
    assert emf._counters.total("metrics_dropped", "emf_series") == 800


def test_a_log_that_cannot_be_written_is_survived() -> None:
    said: list[str] = []

    def broken(_: memoryview) -> int:
        raise BrokenPipeError

    emf = Emf(("*",), "n", "f", Counters(said.append), lambda: (), lambda: 1, broken)
    emf.written([Number("sum", "faas.invocations", "", "", (), 1, 1, 2)])
    assert len(said) == 1


def test_it_is_off_unless_it_is_set_and_a_wrong_value_is_told() -> None:
    assert read({})[0].measuring.emf == ()
    assert read({"HOPTRACE_METRICS_EMF": "true"})[0].measuring.emf == ("*",)
    assert read({"HOPTRACE_METRICS_EMF": "faas.*, hoptrace.message.age"})[0].measuring.emf == (
        "faas.*",
        "hoptrace.message.age",
    )
    for name, wrong in [("EMF", "yes"), ("EMF", "faas.*,fass.errors"), ("EMF_NAMESPACE", "AWS/Lambda")]:
        got, complaints = read({"HOPTRACE_METRICS_" + name: wrong})
        assert got.measuring == read({})[0].measuring
        assert len(complaints) == 1
        assert complaints[0].startswith(f"HOPTRACE_METRICS_{name}='{wrong}'")


def test_the_lines_of_a_real_function_are_in_its_log_and_right(tmp_path: Path) -> None:
    app = "def handler(event, context):\n    if event == 'no':\n        raise ValueError(event)\n    return event\n"
    environment = {"HOPTRACE_METRICS_EMF": "true", "HOPTRACE_METRICS_EMF_NAMESPACE": "desk"}
    with function(tmp_path, app, environment=environment) as desk:
        for event in ("a", "b", "no", "c"):
            desk.invoke(event)
    found = [json.loads(line.partition("] ")[2]) for line in desk.lines if '"_aws"' in line]
    for line in found:
        check(line)
        assert line["FunctionName"] == "f"
        assert line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "desk"
    assert sum(values(found, "faas.invocations")) == 3
    assert sum(values(found, "faas.errors")) == 1
    assert values(found, "faas.coldstarts") == [1]
    assert len(values(found, "faas.invoke_duration")) == 4
    said = [line for line in desk.lines if "OTEL_EXPORTER_OTLP_ENDPOINT is not set" in line]
    assert len(said) == 1
    assert "spans go nowhere" in said[0]
