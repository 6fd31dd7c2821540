"""What the API's instruments measure, against the SDK's own aggregation."""

import math
import os
import threading
from collections.abc import Iterable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    MeterProvider,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
    _Gauge,
)
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader

from hoptrace.otel import meters, points, watcher
from hoptrace_collector.counters import Counters
from hoptrace_collector.export.encode import encode_foreign
from hoptrace_collector.measures import Measures
from hoptrace_collector.model import Measured
from hoptrace_collector.pipeline.queue import Queue, Room
from hoptrace_collector.receive.decode import decode
from tests.logs.logs import pairs
from tests.otel.measuring import measuring

DELTA, CUMULATIVE = AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE
PREFERENCE: dict[type, AggregationTemporality] = {
    Counter: DELTA,
    ObservableCounter: DELTA,
    Histogram: DELTA,
    UpDownCounter: CUMULATIVE,
    ObservableUpDownCounter: CUMULATIVE,
    ObservableGauge: CUMULATIVE,
    _Gauge: DELTA,
}
"""What the SDK's exporters take of `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta`, but that a gauge which
nobody has set since is not told again."""

SETS = (
    st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["x", "y", True, 1, 1.0, 2, ("x",)]), max_size=2)
    | st.none()
)
# Sums of quarters are the same in any order.
AMOUNTS = st.integers(-(10**6), 10**12) | st.integers(-(10**6), 10**6).map(lambda n: n / 4)
MEASURED = st.tuples(st.sampled_from(["counter", "updown", "gauge", "histogram", "advised"]), AMOUNTS, SETS)
OBSERVED = st.tuples(st.sampled_from(["seen", "level", "temperature"]), st.integers(0, 10**9), SETS)
ROUND = st.tuples(st.lists(MEASURED, max_size=12), st.lists(OBSERVED, max_size=6))


class Instruments:
    """The same instruments of any meter."""

    def __init__(self, meter: Any) -> None:
        self.observations: dict[str, list[Observation]] = {}
        create = {
            "counter": meter.create_counter("counter", "1", "counts").add,
            "updown": meter.create_up_down_counter("updown").add,
            "gauge": meter.create_gauge("gauge", "Cel").set,
            "histogram": meter.create_histogram("histogram", "ms").record,
            "advised": meter.create_histogram("advised", explicit_bucket_boundaries_advisory=[1, 2.5, 1000]).record,
        }
        self.measure = create
        meter.create_observable_counter("seen", [self._asked("seen")])
        meter.create_observable_up_down_counter("level", [self._asked("level")])
        meter.create_observable_gauge("temperature", [self._asked("temperature")])

    def _asked(self, name: str) -> Any:
        def callback(_: CallbackOptions) -> Iterable[Observation]:
            return self.observations.get(name, [])

        return callback

    def play(self, measured: Any, observed: Any) -> None:
        self.observations = {}
        for name, amount, attributes in measured:
            self.measure[name](amount, attributes)
        for name, value, attributes in observed:
            self.observations.setdefault(name, []).append(Observation(value, attributes))


def _key(attributes: Any) -> str:
    return repr(sorted((k, list(v) if isinstance(v, tuple) else v) for k, v in (attributes or {}).items()))


def _told(found: dict[tuple[str, str], list[dict[str, Any]]]) -> dict[tuple[str, str], Any]:
    told: dict[tuple[str, str], Any] = {}
    for (name, kind), each in found.items():
        for point in each:
            head = (kind, point.get("monotonic", False), point.get("cumulative", False), point.get("unit", ""))
            if kind == "histogram":
                value: Any = (point["sum"], point["min"], point["max"], point["counts"], list(point["bounds"]))
            else:
                value = point["value"]
            key = (name, _key(point.get("attributes")))
            assert key not in told
            told[key] = (head, value)
    return told


def _oracle(reader: InMemoryMetricReader) -> dict[tuple[str, str], Any]:
    told: dict[tuple[str, str], Any] = {}
    data = reader.get_metrics_data()
    for metric in (m for r in (data.resource_metrics if data else ()) for s in r.scope_metrics for m in s.metrics):
        kind = type(metric.data).__name__.lower()
        for point in metric.data.data_points:
            cumulative = getattr(metric.data, "aggregation_temporality", DELTA) == CUMULATIVE
            head = (kind, getattr(metric.data, "is_monotonic", False), cumulative, metric.unit)
            if kind == "histogram":
                value: Any = (point.sum, point.min, point.max, list(point.bucket_counts), list(point.explicit_bounds))
            else:
                value = point.value
            told[metric.name, _key(point.attributes)] = (head, value)
    return told


@settings(max_examples=300, deadline=None)
@given(st.lists(ROUND, min_size=1, max_size=4))
def test_points_are_those_of_the_sdk_with_its_preference_for_deltas(rounds: list[Any]) -> None:
    reader = InMemoryMetricReader(preferred_temporality=PREFERENCE)
    theirs = Instruments(MeterProvider(metric_readers=[reader], shutdown_on_exit=False).get_meter("mine", "1"))
    with measuring() as side:
        ours = Instruments(side.meter)
        for measured, observed in rounds:
            ours.play(measured, observed)
            theirs.play(measured, observed)
            assert _told(side.collect()) == _oracle(reader)


def test_windows_follow_each_other_without_a_gap() -> None:
    with measuring() as side:
        counter = side.meter.create_counter("c")
        windows = []
        for _ in range(3):
            counter.add(1)
            windows.append(side.collect()["c", "sum"][0]["window"])
    assert all(start < end for start, end in windows)
    assert [start for start, _ in windows[1:]] == [end for _, end in windows[:-1]]


def test_sets_of_attributes_beyond_the_limit_are_counted_together() -> None:
    with measuring() as side:
        counter = side.meter.create_counter("c")
        for number in range(2_500):
            counter.add(1, {"n": number})
        counter.add(1, {"n": 7})
        counted = side.collect()["c", "sum"]
        overflow = [p["value"] for p in counted if p.get("attributes") == {"otel.metric.overflow": True}]
        assert (len(counted), overflow, sum(p["value"] for p in counted)) == (2_001, [500], 2_501)
        counter.add(1, {"n": 2_400})
        assert [p["attributes"] for p in side.collect()["c", "sum"]] == [{"n": 2_400}]


def test_all_instruments_together_keep_within_a_bound() -> None:
    with measuring() as side:
        # Instruments that libraries have made in this process, for other tests, count too.
        others = len(meters._store._streams) if meters._store is not None else 0
        for number in range(1_200):
            counter = side.meter.create_counter(f"c{number}")
            for n in range(30):
                counter.add(1, {"n": n})
        points = side.collect()
    assert len(points) == 1_000 - others
    assert sum(len(each) for each in points.values()) <= 21_000
    assert sum(p["value"] for each in points.values() for p in each) == 30 * len(points)


@pytest.mark.parametrize("amount", [math.nan, math.inf, -math.inf, -1])
def test_what_cannot_be_counted_is_left_out(amount: float) -> None:
    with measuring() as side:
        side.meter.create_counter("c").add(amount)
        side.meter.create_histogram("h").record(amount)
        assert side.collect() == {}


@pytest.mark.parametrize(("amount", "value"), [(True, 1), (Decimal("1.5"), 1.5)])
def test_numbers_of_other_kinds_are_numbers(amount: Any, value: float) -> None:
    with measuring() as side:
        side.meter.create_counter("c").add(amount)
        assert [p["value"] for p in side.collect()["c", "sum"]] == [value]


def test_sets_that_differ_only_in_their_secrets_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from hoptrace.spans import exceptions

    monkeypatch.setattr(exceptions, "_scrub", lambda key, text, length: "[redacted]" if key == "token" else text)
    with measuring() as side:
        counter = side.meter.create_counter("c")
        for secret in ("s3cr3t", "hunter2"):
            counter.add(1, {"token": secret})
        assert [(p["attributes"], p["value"]) for p in side.collect()["c", "sum"]] == [({"token": "[redacted]"}, 2)]


def test_an_instrument_made_in_every_invocation_is_the_same_instrument() -> None:
    with measuring() as side:
        for _ in range(3):
            side.meter.create_counter("C").add(1)
            side.meter.create_counter("c").add(1)
            side.meter.create_observable_gauge("g", [lambda _: [Observation(1)]])
        found = side.collect()
    assert [p["value"] for p in found["C", "sum"]] == [6]
    assert [p["value"] for p in found["g", "gauge"]] == [1]


def test_a_generator_gives_its_observations_collection_by_collection() -> None:
    def levels() -> Any:
        options = yield
        for level in (1, 2):
            assert options.timeout_millis > 0
            options = yield [Observation(level)]

    with measuring() as side:
        side.meter.create_observable_gauge("g", [levels()])
        seen = [[p["value"] for p in side.collect().get(("g", "gauge"), [])] for _ in range(3)]
    assert seen == [[1], [2], []]


def test_a_callback_that_fails_costs_only_what_it_had_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    from hoptrace import guard

    monkeypatch.setattr(guard, "LOUD", False)

    def fails(_: Any) -> Any:
        yield Observation(1, {"of": "it"})
        raise RuntimeError

    with measuring() as side:
        side.meter.create_observable_gauge("g", [fails, lambda _: [Observation(2)]])
        side.meter.create_counter("c").add(1)
        found = side.collect()
    assert sorted(p["value"] for p in found["g", "gauge"]) == [1, 2]
    assert [p["value"] for p in found["c", "sum"]] == [1]


def test_a_callback_that_never_comes_back_holds_nothing_but_its_own_points() -> None:
    released = threading.Event()

    def stuck(_: Any) -> Any:
        released.wait(30)
        return []

    with measuring() as side:
        side.meter.create_observable_gauge("g", [stuck])
        counter = side.meter.create_counter("c")
        try:
            counter.add(1)
            assert [p["value"] for p in side.collect()["c", "sum"]] == [1]
            counter.add(2)
            assert [p["value"] for p in side.collect()["c", "sum"]] == [2]
        finally:
            released.set()


def test_names_that_are_none_and_advice_that_is_none_break_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with measuring() as side:
        for _ in range(3):
            side.meter.create_counter("1 bad name").add(1)
        side.meter.create_histogram("h", explicit_bucket_boundaries_advisory=[3, 1]).record(4)
        found = side.collect()
    assert list(found) == [("h", "histogram")]
    assert len(found["h", "histogram"][0]["counts"]) == 16
    assert capfd.readouterr().err.count("no name for an instrument") == 1


def test_a_forked_child_tells_only_what_it_has_counted_itself() -> None:
    with measuring() as side:
        counter = side.meter.create_counter("c")
        counter.add(1)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            counter.add(10)
            os.write(writing, repr([p["value"] for p in side.collect()["c", "sum"]]).encode())
            os._exit(0)
        os.waitpid(pid, 0)
        assert os.read(reading, 100) == b"[10]"
        assert [p["value"] for p in side.collect()["c", "sum"]] == [1]


def test_sums_since_the_beginning_name_their_process_where_several_share_an_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    knobs = SimpleNamespace(initialization_type="lambda-managed-instances", attribute_count_limit=128)
    monkeypatch.setattr(points, "settings", lambda: knobs)
    with measuring() as side:
        side.meter.create_up_down_counter("u").add(2, {"a": 1})
        side.meter.create_counter("c").add(1)
        found = side.collect()
    assert [p["attributes"] for p in found["u", "sum"]] == [{"a": 1, "process.pid": os.getpid()}]
    assert "attributes" not in found["c", "sum"][0]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from(["counter", "updown", "histogram"]), st.integers(0, 10**9), SETS), max_size=8
        ),
        min_size=1,
        max_size=4,
    )
)
def test_invocations_merged_by_the_collector_are_one_collection_of_the_sdk(rounds: list[Any]) -> None:
    reader = InMemoryMetricReader(preferred_temporality=PREFERENCE)
    theirs = Instruments(MeterProvider(metric_readers=[reader], shutdown_on_exit=False).get_meter("mine", "1"))
    room = Room(8 << 20)
    queues = [Queue(room, lambda *_: None) for _ in "ab"]
    merging = Measures(*queues, Counters(lambda _: None), lambda: ())
    with measuring() as side:
        ours = Instruments(side.meter)
        for measured in rounds:
            ours.play(measured, [])
            theirs.play(measured, [])
            watcher.watcher().over(0)
        for line in side.paper.lines:
            record = decode(line)
            assert isinstance(record, Measured)
            merging.take(record)
    merging.queue()
    told = {}
    request = ExportMetricsServiceRequest.FromString(encode_foreign(item.data for item in queues[0].items()))
    for metric in (m for r in request.resource_metrics for s in r.scope_metrics for m in s.metrics):
        kind = metric.WhichOneof("data")
        data = getattr(metric, kind)
        for point in data.data_points:
            if kind == "histogram":
                counts, bounds = list(point.bucket_counts), list(point.explicit_bounds)
                value: Any = (point.sum, point.min, point.max, counts, bounds)
            else:
                value = point.as_int
            head = (kind, getattr(data, "is_monotonic", False), data.aggregation_temporality == 2, metric.unit)
            told[metric.name, _key(pairs(point.attributes))] = (head, value)
    assert told == _oracle(reader)


def test_no_measurement_of_many_threads_is_lost() -> None:
    with measuring() as side:
        counter = side.meter.create_counter("c")
        threads = [
            threading.Thread(target=lambda: [counter.add(1, {"n": n % 5}) for n in range(2_000)]) for _ in "1234"
        ]
        for thread in threads:
            thread.start()
        total = 0
        while any(thread.is_alive() for thread in threads):
            total += sum(p["value"] for p in side.collect().get(("c", "sum"), []))
        total += sum(p["value"] for p in side.collect().get(("c", "sum"), []))
    assert total == 8_000


def test_after_unpatch_instruments_take_nothing_and_the_api_is_as_it_was() -> None:
    from opentelemetry.metrics import _internal

    with measuring() as side:
        counter = side.meter.create_counter("c")
    assert "hoptrace" not in repr(_internal._ProxyMeter.create_counter.__code__)
    counter.add(1)
    assert side.paper.lines == []
    assert metrics.get_meter_provider() is _internal._PROXY_METER_PROVIDER
