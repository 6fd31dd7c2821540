"""The Lambda function that reads a stream of OTLP: nothing is lost, and peaks are exact over the ends of windows."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from hoptrace_collector.concurrency import peak_concurrency
from hoptrace_collector.counters import Counters
from hoptrace_collector.export.envelope import CARRY, pack, unpack
from hoptrace_collector.gateway.consumer import Consumer, NotDone
from hoptrace_collector.gateway.held import carried, read_carried, read_state, state
from hoptrace_collector.gateway.peaks import Function, Interval, Peak

from .stream import SECOND, Stream, record
from .support import traces

BASE = 1_790_000_040 * SECOND  # a whole minute
SHIP, BILL = Function("123456789012", "eu-west-1", "ship"), Function("123456789012", "eu-west-1", "bill")


class Backend:
    """Takes what the consumer hands on, unless it is told to fail; `stream` takes what is put back."""

    def __init__(self, stream: Stream | None = None, *, width: int = 60, lateness: int = 60) -> None:
        self.stream = stream
        self.spans: list[int] = []
        self.peaks: list[Peak] = []
        self.fails: set[str] = set()
        self.fails_after = 2**63
        self.lines: list[str] = []
        self.counters = Counters(self.lines.append)
        self.consumer = Consumer(
            self.send, self.tell, self.put, self.counters, width=width * SECOND, lateness=lateness * SECOND
        )

    def send(self, signal: str, parts: list[Any], deadline: float) -> bool:
        if signal in self.fails or len(self.spans) >= self.fails_after:
            return False
        for part in parts:
            if signal == "traces":
                found = ResourceSpans.FromString(part.data)
                self.spans += [int.from_bytes(s.span_id, "big") for scope in found.scope_spans for s in scope.spans]
        return True

    def tell(self, peaks: list[Peak], deadline: float) -> bool:
        if "tell" in self.fails:
            self.fails.discard("tell")
            return False
        self.peaks += peaks
        return True

    def put(self, stream: str, records: list[tuple[Function, bytes]], deadline: float) -> bool:
        assert stream == "fleet"
        if "put" in self.fails:
            self.fails.discard("put")
            return False
        if self.stream is not None:
            for function, data in records:
                self.stream.put(function.name, pack(CARRY, data))
        return True

    def handle(self, event: dict[str, Any]) -> dict[str, Any]:
        return self.consumer.handle(event, time.monotonic() + 10)


def body(number: int, start: float, end: float, function: Function) -> bytes:
    return pack("traces", traces((number, BASE + int(start * SECOND), BASE + int(end * SECOND)), name=function.name))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([SHIP, BILL]),
            st.integers(0, 300),  # start
            st.integers(0, 200),  # seconds long
            st.integers(0, 19),  # seconds until it is told
            st.booleans(),  # told twice
        ),
        max_size=15,
    ),
    st.booleans(),
    st.booleans(),
)
def test_the_peaks_are_exact_over_the_ends_of_windows_and_through_failures(
    told: list[tuple[Function, int, int, int, bool]], tell_fails: bool, put_fails: bool
) -> None:
    stream = Stream(BASE)
    # By Lambda's windows of a minute, each invocation waits for a lateness of its own length and longer.
    backend = Backend(stream, lateness=240)
    events = sorted(enumerate(told), key=lambda each: sum(each[1][1:4]))
    for number, (function, start, length, late, twice) in events:
        stream.read_until(max(stream.now, BASE + (start + length + late) * SECOND), backend.handle)
        for _ in range(1 + twice):
            stream.put(function.name, body(number + 1, start, start + length, function))
        if tell_fails:
            backend.fails.add("tell")
        if put_fails:
            backend.fails.add("put")
    stream.read_until(BASE + 1200 * SECOND, backend.handle)
    assert set(backend.spans) == {number + 1 for number in range(len(told))}
    found: dict[tuple[str, int], int] = {}
    for peak in backend.peaks:
        if peak.function.name:  # the whole account is not in one shard
            key = (peak.function.name, (peak.start - BASE) // SECOND)
            assert found.setdefault(key, peak.value) == peak.value, "told twice it is told the same"
    for function in (SHIP, BILL):
        for window in range(0, 720, 60):
            clipped = [
                (max(start, window), start + length)
                for of, start, length, *_ in told
                if of == function and start < window + 60 and (start + length > window or start >= window)
            ]
            assert found.get((function.name, window), 0) == peak_concurrency(clipped)


def event(*data: bytes, **more: Any) -> dict[str, Any]:
    records = [record(each, "ship", number, BASE + number) for number, each in enumerate(data, 1)]
    return {"Records": records, **more}


def test_what_the_backend_does_not_take_comes_again_from_where_it_begins() -> None:
    backend = Backend()
    asked = event(*(body(n, 0, 1, SHIP) for n in range(1, 4)))
    backend.fails.add("traces")
    first = asked["Records"][0]["kinesis"]["sequenceNumber"]
    assert backend.handle(asked) == {"batchItemFailures": [{"itemIdentifier": first}]}
    assert backend.counters.total("received") == 0
    backend.fails.clear()
    assert backend.handle(asked) == {"batchItemFailures": []}
    assert backend.spans == [1, 2, 3]
    assert backend.counters.total("received") == 3


def test_what_was_sent_before_the_backend_failed_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hoptrace_collector.gateway.consumer._CHUNK", 1)
    backend = Backend()
    asked = event(*(body(n, 0, 1, SHIP) for n in range(1, 4)))
    backend.fails_after = 1
    second = asked["Records"][1]["kinesis"]["sequenceNumber"]
    assert backend.handle(asked) == {"batchItemFailures": [{"itemIdentifier": second}]}
    assert backend.spans == [1]


def test_a_record_that_cannot_be_read_holds_nobody_up() -> None:
    backend = Backend()
    answer = backend.handle(event(b"\xff\xff", pack("traces", b"\xff"), b"hoptrace/1 else\nx", body(1, 0, 1, SHIP)))
    assert answer == {"batchItemFailures": []}
    assert backend.spans == [1]
    assert backend.counters.total("dropped", "unreadable") == 3
    assert any("cannot be read" in line for line in backend.lines)


def test_a_plain_request_of_somebody_elses_is_one_of_traces() -> None:
    backend = Backend()
    backend.handle(event(traces((7, BASE, BASE + 1))))
    assert backend.spans == [7]


def test_a_window_that_could_not_be_ended_is_ended_again() -> None:
    window = {"start": "2026-09-21T14:14:00Z", "end": "2026-09-21T14:15:00Z"}
    more = {"window": window, "state": {}, "eventSourceARN": "arn:aws:kinesis:eu:1:stream/fleet"}
    backend = Backend(lateness=0)
    # By a clock that is ten seconds ahead of Kinesis's, the second lasts over the window's end.
    records = [
        record(body(1, 0, 5, SHIP), "ship", 1, BASE),
        record(body(2, 10, 65, SHIP), "ship", 2, BASE + 55 * SECOND),
    ]
    answer = backend.handle({**more, "Records": records})
    final = {**more, "Records": [], "state": answer["state"], "isFinalInvokeForWindow": True}
    for what in ("tell", "put"):
        backend.fails.add(what)
        with pytest.raises(NotDone):
            backend.handle(final)
    assert backend.handle(final) == {"batchItemFailures": [], "state": {}}


def test_without_windows_it_only_sends_and_says_so() -> None:
    backend = Backend()
    assert "state" not in backend.handle(event(body(1, 0, 1, SHIP)))
    assert any("TumblingWindowInSeconds" in line for line in backend.lines)
    assert not backend.peaks


def test_the_fullest_state_is_less_than_lambda_allows() -> None:
    backend = Backend()
    window = {"start": "2026-09-21T14:14:00Z", "end": "2026-09-21T14:15:00Z"}
    spans = [(n * 0x9E3779B97F4A7C15 % 2**64, BASE + n * 999_983, BASE + n * 1_399_993) for n in range(1, 40_000)]
    answer = backend.handle(event(pack("traces", traces(*spans)), window=window, state={}))
    assert backend.counters.total("invocations", "full") > 5_000
    assert len(answer["state"]["held"]) < 1_000_000
    assert len(read_state(answer["state"])) == 30_000


INTERVALS = st.lists(
    st.builds(
        Interval,
        st.builds(Function, st.text(max_size=5), st.text(max_size=5), st.text(max_size=5)),
        st.integers(0, 2**63 - 1),
        st.integers(0, 2**63 - 1),
        st.integers(-(2**63), 2**63 - 1),
    )
)


@given(INTERVALS)
def test_what_is_held_is_read_as_it_was_written(held: list[Interval]) -> None:
    assert sorted(read_state(state(held))) == sorted(held)
    assert sorted(each for _, data in carried(held) for each in read_carried(data)) == sorted(held)


@given(st.binary(max_size=300), st.sampled_from(["traces", "metrics", "logs", CARRY]))
def test_a_record_is_unpacked_as_it_was_packed(data: bytes, kind: str) -> None:
    assert unpack(pack(kind, data), 1000) == (kind, data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(JSON | st.fixed_dictionaries({"kinesis": st.fixed_dictionaries({"data": JSON})}), max_size=3), JSON)
def test_no_record_and_no_state_ends_it(records: list[Any], held: Any) -> None:
    window = {"start": "2026-09-21T14:14:00Z", "end": "2026-09-21T14:15:00Z"}
    backend = Backend()
    answer = backend.handle({"Records": records, "window": window, "state": held})
    assert answer["batchItemFailures"] == []
    backend.handle({"Records": records, "window": window, "state": {"held": str(held)}})
    for kind in ("traces", CARRY):
        backend.handle(event(pack(kind, str(held).encode("utf-8", "replace")), window=window, state={}))
