"""What one generation of the collector leaves to the next, whatever moment it ended at."""

import json
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hoptrace.send import Outbox
from hoptrace_collector.collector import Collector
from hoptrace_collector.counters import Counters
from hoptrace_collector.model import Origin
from hoptrace_collector.receive.cursor import Cursor, load, save
from hoptrace_collector.receive.records import Position
from hoptrace_collector.settings import Otlp, Settings, parse_url
from hoptrace_collector.settings.sampling import Sampling, parse_rules
from hoptrace_collector.told import Shutdown

from .support import Backend, begin, ended, free_port, inner, span, spans_of, write


def make(run_dir: Path, url: str, **more: Any) -> Collector:
    settings = Settings(run_dir=str(run_dir), traces=Otlp(parse_url(url + "/v1/traces")), **more)
    return Collector(settings, Counters(lambda _: None), sleep=lambda _: None)


def soon() -> float:
    return time.monotonic() + 3


def ids(backend: Backend) -> list[int]:
    return [int.from_bytes(span.span_id) for span in spans_of(backend)]


def test_a_cursor_is_read_as_it_was_written(tmp_path: Path) -> None:
    origin = Origin((("service.name", "f"), ("list", ("a", 1))), ("hoptrace", "0.1.0"))
    cursor = Cursor(
        Position(7, 8, 9),
        5,
        (("", 4, 0), ("other", 8, 2)),
        origin,
        ({"type": "begin"},),
        ("ab",),
    )
    save(str(tmp_path / "cursor.json"), cursor)
    assert load(str(tmp_path / "cursor.json")) == cursor
    assert (tmp_path / "cursor.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["cursor.json"]


def checked(body: bytes) -> bytes:
    return b"%08x\n" % zlib.crc32(body) + body


@given(
    st.binary(max_size=100)
    | st.sampled_from([b"[" * 99999, b"null", b"{}", b'{"sent":[["",1,1],[1],["a","b",2]]}']).map(checked)
)
@settings(deadline=None, max_examples=50)
def test_a_damaged_cursor_is_an_empty_one(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("run") / "cursor.json"
    path.write_bytes(content)
    assert load(str(path))._replace(sent=()) == Cursor()


@given(st.data())
@settings(deadline=None, max_examples=50)
def test_a_cursor_of_which_one_bit_has_turned_or_the_end_is_missing_is_an_empty_one(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("run") / "cursor.json"
    save(str(path), Cursor(Position(7, 8, 9), 5, (("", 4, 0),), None, ({"type": "begin"},), ("ab",)))
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[at:]
    path.write_bytes(content)
    assert load(str(path)) == Cursor()


def test_what_stands_in_the_file_is_not_copied_into_the_cursor(tmp_path: Path) -> None:
    write(tmp_path, begin(1), *(inner(number, name="x" * 1000) for number in range(2, 50)), ended(1))
    collector = make(tmp_path, f"http://127.0.0.1:{free_port()}")
    collector.started(None)
    collector.flush(soon())
    cursor = json.loads((tmp_path / "cursor.json").read_text().partition("\n")[2])
    first_line = (tmp_path / "records.jsonl").read_bytes().index(b"\n") + 1
    assert cursor["offset"] == first_line, "at the first span that was not sent"
    assert cursor["seen_to"] == (tmp_path / "records.jsonl").stat().st_size
    assert not (tmp_path / "journal").exists()


def test_the_file_is_rotated_once_it_is_sent_and_nothing_is_lost_over_it(tmp_path: Path) -> None:
    with Backend() as backend:
        collector = make(tmp_path, backend.url)
        write(tmp_path, begin(1), *(inner(number, name="x" * 5000) for number in range(2, 300)), ended(1))
        collector.started(None)
        collector.flush(soon())
        assert (tmp_path / "records.jsonl").stat().st_size == 0
        write(tmp_path, begin(500, "r2"), ended(500, "r2"))
        collector.drain(soon())
        collector.flush(soon())
        assert sorted(ids(backend)) == [*range(1, 300), 500]
        again = make(tmp_path, backend.url)
        again.started(None)
        again.flush(soon())
        assert len(ids(backend)) == 300, "the next generation begins where this one was"


def test_the_tracer_does_not_carry_over_what_stands_in_a_file_that_was_rotated(tmp_path: Path) -> None:
    def lines(*records: Any) -> bytes:
        return b"".join(json.dumps(record).encode() + b"\n" for record in records)

    with Backend() as backend:
        outbox = Outbox(str(tmp_path))
        collector = make(tmp_path, backend.url)
        collector.started(None)
        for number in range(3):
            first = 300 * number + 1
            outbox.follow()  # as at each invocation's beginning: by then it knows of the mark that a reader has left
            outbox.write(lines(begin(first, f"r{number}")))
            for each in range(first + 1, first + 250):
                outbox.write(lines(inner(each, f"r{number}", name="x" * 4500)))
            outbox.write(lines(ended(first, f"r{number}")))
            collector.drain(soon())
            collector.flush(soon())
        assert (tmp_path / "records.jsonl").stat().st_size == 0, "rotated"
        assert sorted(ids(backend)) == [300 * number + each for number in range(3) for each in range(1, 251)]


def test_spans_of_a_file_that_has_no_name_any_more_go_into_the_cursor(tmp_path: Path) -> None:
    write(tmp_path, begin(1), ended(1))
    collector = make(tmp_path, f"http://127.0.0.1:{free_port()}")
    collector.started(None)
    (tmp_path / "records.jsonl").unlink()
    write(tmp_path, begin(2, "r2"), ended(2, "r2"))
    collector.drain(soon())
    collector.flush(soon())
    with Backend() as backend:
        later = make(tmp_path, backend.url)
        later.started(None)
        later.flush(soon())
        assert sorted(ids(backend)) == [1, 2]


def test_an_end_that_comes_after_its_invocation_was_closed_does_not_make_a_second_span(tmp_path: Path) -> None:
    with Backend() as backend:
        write(tmp_path, begin(1, deadline_ms=1))
        collector = make(tmp_path, backend.url)
        collector.started(None)
        collector.shutdown(Shutdown("timeout", 0), soon())
        write(tmp_path, ended(1))
        later = make(tmp_path, backend.url)
        later.started(None)
        later.flush(soon())
        assert ids(backend) == [1]


ACTIONS = st.lists(
    st.sampled_from(["invocation", "open", "flush", "dead flush", "kill", "shutdown", "wipe"]), min_size=1, max_size=12
)


@given(ACTIONS)
@settings(deadline=None, max_examples=40)
def test_over_any_number_of_generations_each_span_arrives_and_a_collector_that_could_save_sends_none_twice(
    tmp_path_factory: pytest.TempPathFactory, actions: list[str]
) -> None:
    run_dir, number = tmp_path_factory.mktemp("run"), 0
    dead = f"http://127.0.0.1:{free_port()}"
    with Backend() as backend:
        collector = make(run_dir, backend.url)
        collector.started(None)
        for action in [*actions, "shutdown", "flush"]:
            if action in ("invocation", "open"):
                number += 1
                # Each open one is of a process of its own, as Lambda would have it after a reset.
                write(run_dir, begin(number, f"r{number}", pid=number, deadline_ms=1))
                if action == "invocation":
                    write(run_dir, ended(number, f"r{number}"))
            elif action == "flush":
                collector.drain(soon())
                collector.flush(soon())
            elif action == "dead flush":
                collector.drain(soon())
                collector.flush(soon())
                collector = make(run_dir, dead)
                collector.started(None)
                collector.flush(soon())
                collector = make(run_dir, backend.url)
                collector.started(None)
            elif action == "kill":
                collector = make(run_dir, backend.url)
                collector.started(None)
            elif action == "shutdown":
                collector.shutdown(Shutdown("failure", 0), soon())
                collector = make(run_dir, backend.url)
                collector.started(None)
            elif (run_dir / "records.jsonl").exists():
                collector.drain(soon())
                (run_dir / "records.jsonl").unlink()
                collector.flush(soon())
        assert sorted(ids(backend)) == list(range(1, number + 1))


def test_what_a_beginning_ends_is_not_lost_when_it_could_not_be_sent(tmp_path: Path) -> None:
    collector = make(tmp_path, f"http://127.0.0.1:{free_port()}")
    collector.started(None)
    write(tmp_path, begin(1, "r1", deadline_ms=1), begin(2, "r2", pid=18), ended(2, "r2"))
    collector.drain(soon())
    collector.flush(soon())
    with Backend() as backend:
        later = make(tmp_path, backend.url)
        later.started(None)
        later.flush(soon())
        assert sorted(ids(backend)) == [1, 2]


class Sampled:
    """Up to three invocations side by side, as on Managed Instances, and what of them ought to arrive.

    Of every second invocation the trace is one that chance keeps; `saved` are those that a cursor knows to be open.
    """

    def __init__(self, run_dir: Path, url: str) -> None:
        self.run_dir, self.live, self.url = run_dir, url, url
        self.dead = f"http://127.0.0.1:{free_port()}"
        self.running: dict[int, int] = {}
        self.spans: dict[int, set[int]] = {}
        self.kept: set[int] = set()
        self.saved: set[int] = set()
        self.number = 0
        self.collector = self.again()

    def again(self) -> Collector:
        """The next generation: what an earlier one has left open it closes as a crash."""
        sampling = Sampling(0.5, parse_rules("error"))
        fresh = make(self.run_dir, self.url, initialization_type="lambda-managed-instances", sampling=sampling)
        fresh.started(None)
        for lane, own in list(self.running.items()):
            if own in self.saved:
                self.kept |= self.spans[own]
                del self.running[lane]
        return fresh

    def act(self, action: str, lane: int) -> None:
        self.number += 1
        getattr(self, action)(lane)

    def begin(self, lane: int) -> None:
        if lane not in self.running:
            own = self.running[lane] = self.number
            self.spans[own] = {own}
            made = span(own, trace_id=trace(own))
            write(self.run_dir, begin(own, f"r{own}", pid=100 + lane, deadline_ms=2**50, span=made))

    def inner(self, lane: int) -> None:
        if lane in self.running:
            own = self.running[lane]
            self.spans[own].add(self.number)
            write(self.run_dir, inner(self.number, f"r{own}", trace_id=trace(own)))

    def end(self, lane: int, outcome: str = "ok") -> None:
        if lane in self.running:
            own = self.running.pop(lane)
            if outcome == "error" or own % 2:
                self.kept |= self.spans[own]
            write(self.run_dir, ended(own, f"r{own}", outcome=outcome, trace_id=trace(own)))

    def error(self, lane: int) -> None:
        self.end(lane, "error")

    def flush(self, _: int = 0) -> None:
        self.collector.drain(soon())
        self.collector.flush(soon())
        self.saved.update(self.running.values())

    def dies(self, _: int) -> None:
        self._moves(self.dead)

    def lives(self, _: int = 0) -> None:
        self._moves(self.live)

    def _moves(self, url: str) -> None:
        """Another generation, and a backend that takes nothing, or all."""
        self.flush()
        self.url = url
        self.collector = self.again()
        self.flush()

    def kill(self, _: int) -> None:
        if self.url == self.dead:
            self.collector.drain(soon())  # what it reads now it will have forgotten
        self.collector = self.again()

    def wipe(self, _: int) -> None:
        if (self.run_dir / "records.jsonl").exists():
            self.collector.drain(soon())
            (self.run_dir / "records.jsonl").unlink()
            self.flush()


def trace(number: int) -> str:
    return "4bf92f3577b34da6a3" + ("f" if number % 2 else "0") * 14


WORK = st.tuples(st.sampled_from(["begin", "inner", "end", "error"]), st.integers(0, 2))
FATE = st.tuples(st.sampled_from(["flush", "dies", "lives", "kill", "wipe"]), st.just(0))


@given(st.lists(WORK | WORK | FATE, min_size=1, max_size=30))
@example([("dies", 0), ("begin", 0), ("inner", 0), ("error", 0)])
@example([("dies", 0), ("begin", 0), ("inner", 0), ("begin", 1), ("inner", 1), ("error", 0), ("lives", 0)])
@example([("begin", 0), ("inner", 0), ("begin", 1), ("inner", 1), ("error", 1), ("flush", 0), ("lives", 0)])
@example([("begin", 0), ("inner", 0), ("wipe", 0), ("lives", 0)])
@settings(deadline=None, max_examples=80)
def test_over_any_number_of_generations_sampling_loses_none_of_what_it_keeps_and_sends_none_twice(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int]]
) -> None:
    with Backend() as backend:
        world = Sampled(tmp_path_factory.mktemp("run"), backend.url)
        for action, lane in acts:
            world.act(action, lane)
        for lane in range(3):
            world.end(lane)
        world.lives()
        world.flush()
        assert sorted(ids(backend)) == sorted(world.kept)
