"""What one generation of the collector leaves to the next, whatever moment it ended at."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoptrace_collector.collector import Collector
from hoptrace_collector.counters import Counters
from hoptrace_collector.model import Origin, Shutdown
from hoptrace_collector.receive.cursor import Cursor, Unsent, load, save
from hoptrace_collector.receive.records import Position
from hoptrace_collector.settings import Otlp, Settings, parse_url

from .support import Backend, begin, ended, free_port, inner, spans_of, write


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
        origin,
        ({"type": "begin"},),
        ("ab",),
        (Unsent("metrics", None, 0, b"m"), Unsent("traces", origin, 1, b"\0\xff")),
    )
    save(str(tmp_path / "cursor.json"), cursor)
    assert load(str(tmp_path / "cursor.json")) == cursor
    assert (tmp_path / "cursor.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["cursor.json"]


@given(
    st.binary(max_size=100)
    | st.sampled_from([b"[" * 99999, b"null", b'{"unsent":[["traces",[[]],1,"%%"],["logs",null,1,"x"],[1]]}'])
)
@settings(deadline=None, max_examples=50)
def test_a_damaged_cursor_is_an_empty_one(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("run") / "cursor.json"
    path.write_bytes(content)
    assert load(str(path)) == Cursor()


def test_what_stands_in_the_file_is_not_copied_into_the_cursor(tmp_path: Path) -> None:
    write(tmp_path, begin(1), *(inner(number, name="x" * 1000) for number in range(2, 50)), ended(1))
    collector = make(tmp_path, f"http://127.0.0.1:{free_port()}")
    collector.started(None)
    collector.flush(soon())
    cursor = json.loads((tmp_path / "cursor.json").read_text())
    first_line = (tmp_path / "records.jsonl").read_bytes().index(b"\n") + 1
    assert cursor["offset"] == first_line, "at the first span that was not sent"
    assert cursor["seen_to"] == (tmp_path / "records.jsonl").stat().st_size
    assert cursor["unsent"] == []


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
