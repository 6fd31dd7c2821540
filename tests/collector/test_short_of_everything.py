"""The collector short of threads, of disk, of time and of descriptors: what it has is still told, once and truly."""

import errno
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hoptrace_collector.collector import Collector
from hoptrace_collector.counters import Counters
from hoptrace_collector.pipeline.courier import Courier
from hoptrace_collector.receive.journal import Journal, Kept
from hoptrace_collector.receive.records import ROTATE_AT
from hoptrace_collector.settings import FlushStrategy, Otlp, Settings, Targets, parse_url
from hoptrace_collector.told import Invoke, Shutdown

from .support import NOW, Backend, attributes_of, begin, ended, inner, spans_of, write

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:shipping"


def make(run_dir: Path, *backends: Backend, **more: Any) -> Collector:
    first, *others = (Otlp(parse_url(backend.url + "/v1/traces")) for backend in backends)
    settings = Settings(
        run_dir=str(run_dir),
        traces=first,
        destinations=tuple(Targets(f"d{number}", traces=each) for number, each in enumerate(others, 1)),
    )
    made = {name: more.pop(name) for name in ("clock", "now") if name in more}
    return Collector(settings._replace(**more), Counters(lambda _: None), sleep=lambda _: None, **made)


def soon(seconds: float = 3.0) -> float:
    return time.monotonic() + seconds


def ids(backend: Backend) -> list[int]:
    return sorted(int.from_bytes(span.span_id) for span in spans_of(backend))


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lambda has 1,024 threads for everybody: the function may have taken them all."""
    real = threading.Thread.start

    def refused(self: threading.Thread) -> None:
        if self.name.startswith("hoptrace-send"):
            raise RuntimeError("can't start new thread")
        real(self)

    monkeypatch.setattr(threading.Thread, "start", refused)
    return monkeypatch


def test_what_finds_no_thread_is_done_once_there_is_one(no_threads: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    courier = Courier("hoptrace-send-", lambda _: None)
    assert not courier.start(lambda: done.append("first"))
    assert not courier.busy
    no_threads.undo()
    assert courier.start(lambda: done.append("second"))
    assert courier.wait(soon())
    assert done == ["second"]


@pytest.mark.parametrize("destinations", [1, 2])
def test_where_no_thread_is_left_everything_is_sent_all_the_same(
    tmp_path: Path, no_threads: pytest.MonkeyPatch, destinations: int
) -> None:
    with Backend() as one, Backend() as two:
        backends = (one, two)[:destinations]
        collector = make(tmp_path, *backends, strategy=FlushStrategy("continuous"))
        for number in (1, 2):
            collector.invoked(Invoke(f"r{number}", ARN, 0, "", NOW))
            write(tmp_path, begin(number, f"r{number}"), ended(number, f"r{number}"))
            collector.running(soon())
            collector.drain(soon())
            collector.flush(soon())
            collector.released()
        collector.shutdown(Shutdown("spindown", 0), soon())
        for backend in backends:
            assert ids(backend) == [1, 2]


def test_what_found_no_room_on_the_disk_is_written_down_when_there_is_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(str(tmp_path / "journal"), 100_000, Counters(lambda _: None))
    real = os.write

    def full(descriptor: int, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    for size, write_ in ((10, real), (20, full), (30, real)):
        monkeypatch.setattr(os, "write", write_)
        journal.put(Kept("traces", None, size, b"x" * size, frozenset(("",))))
        try:
            journal.write()
        except OSError:
            assert write_ is full
    monkeypatch.undo()
    found = Journal(str(tmp_path / "journal"), 100_000, Counters(lambda _: None)).load()
    assert [kept.amount for kept in found.values()] == [10, 20, 30]


def test_a_generation_that_cannot_read_everything_at_once_closes_nothing_that_has_ended(tmp_path: Path) -> None:
    """A second of a small function's CPU is not enough for what a large one has written."""
    with Backend() as backend:
        first = make(tmp_path, backend, strategy=FlushStrategy("periodic", 3600.0))
        write(tmp_path, begin(1, "r1"))
        first.started(None)
        first.drain(soon())
        first.flush(soon())
        first.released()
        first._rooms.remember()
        write(tmp_path, *(inner(number, "r1") for number in range(100, 1100)), ended(1, "r1"))
        # The environment was reset; each look at the clock costs the next one a second.
        seconds = iter(range(10**6))
        base = time.monotonic()
        second = make(tmp_path, backend, clock=lambda: base + next(seconds))
        second.started(Invoke("r2", ARN, 0, "", NOW))
        for _ in range(10):
            second.drain(0.0)
        second.drain(base + 10**6)
        second.shutdown(Shutdown("spindown", 0), base + 10**6)
        told = {int.from_bytes(span.span_id): span for span in spans_of(backend)}
        assert len(told) == 1001
        assert "hoptrace.closed_by" not in attributes_of(told[1]), "its end stands in the file"


def test_an_invocation_outlasts_any_number_of_files_where_many_run_side_by_side(tmp_path: Path) -> None:
    """A worker of a Managed Instance looks for a new file when an invocation begins, and a long one has begun once."""
    with Backend() as backend:
        collector = make(tmp_path, backend, initialization_type="lambda-managed-instances")
        write(tmp_path, begin(1, "long", pid=1))
        records = tmp_path / "records.jsonl"
        worker = os.open(records, os.O_WRONLY | os.O_APPEND)
        collector.started(None)
        try:
            for number in range(2, 12):
                request_id = f"r{number}"
                others = [inner(number * 1000 + n, request_id, name="x" * (ROTATE_AT // 8)) for n in range(9)]
                write(tmp_path, begin(number, request_id, pid=2), *others, ended(number, request_id))
                collector.drain(soon())
                collector.flush(soon())
            assert os.stat(records).st_ino != os.fstat(worker).st_ino, "rotated"
            aside = tmp_path / "aside"
            aside.mkdir()
            write(aside, inner(99, "long"), ended(1, "long"))
            os.write(worker, (aside / "records.jsonl").read_bytes())
        finally:
            os.close(worker)
        collector.drain(soon())
        collector.flush(soon())
        assert {1, 99} <= set(ids(backend))
        collector.drain(soon())
        assert len(collector._rooms.reader._files) <= 5 + 1, "nobody needs the others any more"
        collector.shutdown(Shutdown("spindown", 0), soon())
        own = next(each for each in spans_of(backend) if each.span_id == (1).to_bytes(8))
        assert "hoptrace.closed_by" not in attributes_of(own)


def test_reasons_that_somebody_makes_up_do_not_fill_the_memory() -> None:
    counters = Counters(lambda _: None)
    for number in range(10_000):
        counters.add("dropped", f"tracer_{number}")
    counters.add("sent")
    assert len(counters.totals()) < 500
    assert counters.total("dropped") == 10_000, "each is counted"
    assert counters.total("sent") == 1
