"""The reader of the records file."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hoptrace_collector.counters import Counters
from hoptrace_collector.export.encode import encode_span
from hoptrace_collector.model import Begin, End, SpanEnded
from hoptrace_collector.receive import records
from hoptrace_collector.receive.decode import decode
from hoptrace_collector.receive.records import Position, RecordReader

from .support import begin, ended, inner, write


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def counters(said: list[str]) -> Counters:
    return Counters(said.append)


def reader(run_dir: Path, counters: Counters, start: Position | None = None, seen_to: int = 0) -> RecordReader:
    return RecordReader(str(run_dir / "records.jsonl"), counters, start, seen_to)


def numbers(read: RecordReader) -> list[int]:
    return [line.record["n"] for line in read.lines()]


def test_a_file_that_does_not_exist_yet_is_read_once_it_does(tmp_path: Path, counters: Counters) -> None:
    read = reader(tmp_path, counters)
    assert numbers(read) == []
    write(tmp_path, {"n": 1}, {"n": 2})
    assert numbers(read) == [1, 2]
    assert numbers(read) == []
    write(tmp_path, {"n": 3})
    assert numbers(read) == [3]
    read.close()


def test_half_a_line_waits_for_its_other_half(tmp_path: Path, counters: Counters) -> None:
    read = reader(tmp_path, counters)
    write(tmp_path, {"n": 1})
    assert numbers(read) == [1]
    write(tmp_path, b'{"n"')
    assert numbers(read) == []
    write(tmp_path, b": 7}\n")
    assert numbers(read) == [7]
    read.close()


def test_a_torn_line_is_skipped_and_the_next_one_is_read(tmp_path: Path, counters: Counters) -> None:
    read = reader(tmp_path, counters)
    write(tmp_path, {"n": 1}, b'{"n": 2, "te', b"\n" + b'{"n": 3}\n')
    assert numbers(read) == [1, 3]
    assert counters.total("records_skipped", "malformed") == 1
    read.close()


def test_a_wiped_file_is_read_to_its_end_and_the_new_one_from_its_beginning(tmp_path: Path, counters: Counters) -> None:
    read = reader(tmp_path, counters)
    write(tmp_path, {"n": 1})
    assert numbers(read) == [1]
    held = os.open(tmp_path / "records.jsonl", os.O_WRONLY | os.O_APPEND)
    (tmp_path / "records.jsonl").unlink()
    os.write(held, b'{"n": 2}\n')
    write(tmp_path, {"n": 3})
    assert numbers(read) == [2, 3]
    os.write(held, b'{"n": 4}\n')
    assert numbers(read) == [4]
    os.close(held)
    read.close()


def test_after_many_wipes_the_last_four_files_stay_open_and_no_descriptor_leaks(
    tmp_path: Path, counters: Counters
) -> None:
    read = reader(tmp_path, counters)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(20):
        write(tmp_path, {"n": number})
        assert numbers(read) == [number]
        (tmp_path / "records.jsonl").unlink()
    assert len(os.listdir("/proc/self/fd")) == before + records.OLD_FILES + 1
    read.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_truncated_file_is_read_from_its_beginning(tmp_path: Path, counters: Counters) -> None:
    read = reader(tmp_path, counters)
    write(tmp_path, {"n": 1}, {"n": 2})
    assert numbers(read) == [1, 2]
    os.truncate(tmp_path / "records.jsonl", 0)
    write(tmp_path, {"n": 3})
    assert numbers(read) == [3]
    assert counters.total("records_skipped", "truncated") == 1
    read.close()


def test_a_line_that_never_ends_is_not_kept_in_memory(
    tmp_path: Path, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "LONGEST_LINE", 1000)
    monkeypatch.setattr(records, "_CHUNK", 300)
    read = reader(tmp_path, counters)
    write(tmp_path, b"x" * 5000)
    assert numbers(read) == []
    write(tmp_path, b"y" * 500 + b"\n", {"n": 1})
    assert numbers(read) == [1]
    assert counters.total("records_skipped", "too_long") == 1
    read.close()


def test_lines_of_any_length_survive_any_size_of_reads(
    tmp_path: Path, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "_CHUNK", 7)
    read = reader(tmp_path, counters)
    write(tmp_path, *({"n": number, "pad": "x" * number} for number in range(60)))
    assert numbers(read) == list(range(60))
    read.close()


def test_a_read_file_is_rotated_and_what_its_writer_still_writes_is_read(tmp_path: Path, counters: Counters) -> None:
    read = reader(tmp_path, counters)
    write(tmp_path, {"n": 1})
    assert numbers(read) == [1]
    read.rotate(at=100)
    assert (tmp_path / "records.jsonl").exists(), "too small to be rotated"
    held = os.open(tmp_path / "records.jsonl", os.O_WRONLY | os.O_APPEND)
    write(tmp_path, {"n": 2, "pad": "x" * 100})
    read.rotate(at=100)
    assert (tmp_path / "records.jsonl").exists(), "not read to its end"
    assert numbers(read) == [2]
    read.rotate(at=100)
    assert (tmp_path / "records.jsonl").stat().st_size == 0
    assert read.position == Position(0, 0), "the next generation cannot find this file"
    os.write(held, b'{"n": 3}\n')
    assert numbers(read) == [3]
    write(tmp_path, {"n": 4})
    os.write(held, b'{"n": 5}\n')
    assert numbers(read) == [5, 4]
    os.close(held)
    read.close()


def test_the_next_generation_goes_on_where_the_last_one_was(tmp_path: Path, counters: Counters) -> None:
    write(tmp_path, {"n": 1}, {"n": 2})
    first = reader(tmp_path, counters)
    assert numbers(first) == [1, 2]
    position = first.position
    first.close()
    write(tmp_path, {"n": 3})
    second = reader(tmp_path, counters, position)
    assert numbers(second) == [3]
    second.close()


def test_what_was_seen_but_not_sent_is_handed_out_again_as_seen(tmp_path: Path, counters: Counters) -> None:
    write(tmp_path, {"n": 1}, {"n": 2}, {"n": 3})
    first = reader(tmp_path, counters)
    lines = list(first.lines())
    position, seen_to = first.position_at(lines[1].mark.offset), lines[2].mark.offset
    first.close()
    second = reader(tmp_path, counters, position, seen_to)
    assert [(line.record["n"], line.seen) for line in second.lines()] == [(2, True), (3, False)]
    second.close()


def test_another_file_of_the_same_inode_is_read_from_its_beginning(tmp_path: Path, counters: Counters) -> None:
    write(tmp_path, {"n": 1, "id": "a"})
    first = reader(tmp_path, counters)
    list(first.lines())
    position = first.position
    first.close()
    (tmp_path / "records.jsonl").unlink()
    write(tmp_path, {"n": 2, "id": "b"})
    position = position._replace(inode=os.stat(tmp_path / "records.jsonl").st_ino)
    second = reader(tmp_path, counters, position, position.offset)
    assert [(line.record["n"], line.seen) for line in second.lines()] == [(2, False)]
    second.close()


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), os.mkfifo, lambda p: p.symlink_to("/etc/passwd")])
def test_what_is_no_regular_file_is_not_read(tmp_path: Path, counters: Counters, make) -> None:
    make(tmp_path / "records.jsonl")
    read = reader(tmp_path, counters)
    assert list(read.lines()) == []


def test_a_newer_protocol_is_skipped_and_said_once(tmp_path: Path, counters: Counters, said: list[str]) -> None:
    read = reader(tmp_path, counters)
    write(tmp_path, {"v": 2, "n": 1}, {"v": 2, "n": 2}, {"v": 1, "n": 3})
    assert numbers(read) == [3]
    assert len(said) == 1
    assert said[0].startswith("hoptrace: ")
    read.close()


@given(
    st.lists(
        st.one_of(st.binary(max_size=60), st.just(b"[" * 100_000), st.just(b'{"n":'), st.just(b"1e999")), max_size=8
    )
)
@settings(max_examples=60, deadline=None)
def test_a_good_record_is_found_behind_any_garbage(
    tmp_path_factory: pytest.TempPathFactory, garbage: list[bytes]
) -> None:
    run_dir = tmp_path_factory.mktemp("run")
    for piece in garbage:
        write(run_dir, piece)
    write(run_dir, b"\n" + b'{"n": 42, "type": "marker"}\n')
    read = reader(run_dir, Counters(lambda _: None))
    assert [line.record for line in read.lines()][-1] == {"n": 42, "type": "marker"}
    read.close()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**62)
    | st.floats()
    | st.text()
    | st.sampled_from(["\ud800", "00" * 16, "ab" * 16, "cd" * 8, ""]),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=8), inside, max_size=4),
    max_leaves=12,
)


def any_of(*names: str) -> dict[str, st.SearchStrategy]:
    return dict.fromkeys(names, json_values)


span_like = st.fixed_dictionaries(
    {"trace_id": json_values | st.just("ab" * 16), "span_id": json_values | st.just("cd" * 8)},
    optional={
        **any_of("name", "kind", "start", "end", "flags", "parent_id", "trace_state", "events", "links", "status"),
        "attributes": st.dictionaries(st.text(max_size=4), json_values, max_size=4),
    },
)
record_like = st.fixed_dictionaries(
    {"type": st.sampled_from(["begin", "span", "end", "init_error", "dropped"]) | json_values},
    optional={
        **any_of("request_id", "ordinal", "pid", "deadline", "resource", "scope", "outcome"),
        **any_of("records", "error_type", "message", "start", "reason", "count"),
        "span": span_like | json_values,
    },
)


@given(record_like)
@example({"type": "span", "span": {"trace_id": "ab" * 16, "span_id": "cd" * 8, "status": [True, None]}})
@settings(max_examples=300, deadline=None)
def test_no_record_can_raise_and_each_span_of_one_can_be_encoded(record: dict) -> None:
    decoded = decode(json.loads(json.dumps(record)))
    if isinstance(decoded, Begin | SpanEnded | End):
        assert len(decoded.span.trace_id) == 16
        assert encode_span(decoded.span)


def test_begin_span_and_end_are_decoded_whole() -> None:
    decoded = decode(begin(1, deadline_ms=1_790_000_003_000))
    assert isinstance(decoded, Begin)
    assert (decoded.request_id, decoded.ordinal, decoded.pid, decoded.deadline_ms) == ("r1", 1, 17, 1_790_000_003_000)
    assert dict(decoded.origin.resource)["faas.name"] == "shipping"
    assert decoded.origin.scope == ("hoptrace", "0.1.0")
    assert isinstance(decode(inner(2)), SpanEnded)
    failed = decode(ended(1, outcome="error"))
    assert isinstance(failed, End)
    assert not failed.ok
