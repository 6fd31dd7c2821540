"""What was acknowledged is not sent again, at whatever moment the collector is killed after that."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hoptrace_collector.collector import Collector
from hoptrace_collector.counters import Counters
from hoptrace_collector.export.exporter import SENT, Limits, Result
from hoptrace_collector.generations import Generations
from hoptrace_collector.pipeline.breaker import Breaker
from hoptrace_collector.pipeline.courier import Courier
from hoptrace_collector.pipeline.flush import Flusher
from hoptrace_collector.pipeline.queue import Item, Queue, Room
from hoptrace_collector.receive.cursor import load
from hoptrace_collector.receive.records import Position
from hoptrace_collector.receive.taken import Taken
from hoptrace_collector.settings import FlushStrategy, Otlp, Settings, Targets, parse_url
from hoptrace_collector.settings.sampling import Sampling, parse_rules
from hoptrace_collector.told import Shutdown
from hoptrace_collector.transport import Stream

from .support import Backend, begin, ended, free_port, inner, spans_of, write

FOLLOWED, LAST = Shutdown("failure", 0), Shutdown("spindown", 0)


class Killed(BaseException):
    """Stands for SIGKILL: nothing that comes after it is done, and nobody catches it."""


def make(run_dir: Path, url: str, *others: str, **more: Any) -> Collector:
    settings = Settings(
        run_dir=str(run_dir),
        traces=Otlp(parse_url(url + "/v1/traces")),
        destinations=tuple(
            Targets(f"d{number}", traces=Otlp(parse_url(each + "/v1/traces"))) for number, each in enumerate(others, 1)
        ),
        **{"strategy": FlushStrategy("end"), **more},
    )
    return Collector(settings, Counters(lambda _: None), sleep=lambda _: None)


def soon(seconds: float = 3.0) -> float:
    return time.monotonic() + seconds


def ids(backend: Backend) -> list[int]:
    return sorted(int.from_bytes(span.span_id) for span in spans_of(backend))


def dying(*backends: Backend) -> Callable[..., None]:
    """What `Generations.leave` is, until something has been sent: the kill comes before that is written."""
    leave, before = Generations.leave, sum(len(each.requests) for each in backends)

    def dies(self: Generations, *arguments: Any) -> None:
        if sum(len(each.requests) for each in backends) > before:
            raise Killed
        leave(self, *arguments)

    return dies


def killed_once_it_has_sent(monkeypatch: pytest.MonkeyPatch, do: Callable[[], None], backend: Backend) -> None:
    """Do it, and be killed at the first moment at which the cursor would be written after something was sent."""
    with monkeypatch.context() as patched:
        patched.setattr(Generations, "leave", dying(backend))
        with pytest.raises(Killed):
            do()


def sent_at_last(run_dir: Path, *urls: str, **more: Any) -> None:
    collector = make(run_dir, *urls, **more)
    collector.started(None)
    collector.shutdown(LAST, soon())


@pytest.mark.parametrize("moment", ["shutdown", "flush"])
@pytest.mark.parametrize("sampling", [None, Sampling(0.0, parse_rules("error"))], ids=["all", "sampled"])
def test_a_collector_that_is_killed_before_the_cursor_is_written_has_nothing_sent_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, sampling: Sampling | None
) -> None:
    write(tmp_path, begin(1), *(inner(number) for number in range(2, 1300)), ended(1, outcome="error"))
    with Backend() as backend:
        collector = make(tmp_path, backend.url, sampling=sampling)
        collector.started(None)
        kill = (
            (lambda: collector.shutdown(FOLLOWED, soon())) if moment == "shutdown" else lambda: collector.flush(soon())
        )
        killed_once_it_has_sent(monkeypatch, kill, backend)
        assert ids(backend) == list(range(1, 1300))
        sent_at_last(tmp_path, backend.url, sampling=sampling)
        assert ids(backend) == list(range(1, 1300))


@pytest.mark.parametrize("answered", [0, 1, 2])
@pytest.mark.parametrize("others", [0, 1])
def test_a_kill_between_two_requests_has_all_sent_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answered: int, others: int
) -> None:
    write(tmp_path, begin(1), *(inner(number) for number in range(2, 1300)), ended(1))
    with Backend() as one, Backend() as two:
        urls = [one.url, two.url][: others + 1]
        collector = make(tmp_path, *urls)
        collector.started(None)
        head, calls = Queue.head, [0]

        def dies(self: Queue, most: int, size: int) -> list[Item]:
            calls[0] += 1
            if calls[0] > answered + others * answered:
                raise Killed
            return head(self, most, size)

        with monkeypatch.context() as patched:
            patched.setattr(Queue, "head", dies)
            patched.setattr(Generations, "leave", dying(one, two))
            patched.setattr("threading.excepthook", lambda _: None)
            patched.setattr(Courier, "wait", lambda self, _: self._thread is None or self._thread.join(10))
            with suppress(Killed):
                collector.flush(soon())
        assert len(one.requests) + len(two.requests) == answered * (others + 1)
        sent_at_last(tmp_path, *urls)
        assert ids(one) == list(range(1, 1300))
        if others:
            assert ids(two) == list(range(1, 1300))


def test_what_was_made_here_is_not_sent_twice_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, begin(1, deadline_ms=1), begin(2, "r2", pid=18), ended(2, "r2"))
    with Backend() as backend:
        collector = make(tmp_path, backend.url)
        collector.started(None)
        killed_once_it_has_sent(monkeypatch, lambda: collector.flush(soon()), backend)
        assert ids(backend) == [1, 2]
        sent_at_last(tmp_path, backend.url)
        assert ids(backend) == [1, 2]


def test_metrics_of_which_the_answer_has_come_are_not_sent_again_and_others_are_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, begin(1), ended(1))
    with Backend() as backend:
        metrics = Otlp(parse_url(backend.url + "/v1/metrics"))
        collector = make(tmp_path, backend.url, metrics=metrics)
        collector.started(None)
        begun = Flusher.flush

        def dies(self: Flusher, *arguments: Any, **more: Any) -> bool:
            if self._signal.name == "metrics":
                raise Killed
            return begun(self, *arguments, **more)

        with monkeypatch.context() as patched:
            patched.setattr(Flusher, "flush", dies)
            with pytest.raises(Killed):
                collector.shutdown(FOLLOWED, soon())
        assert [each.path for each in backend.requests] == ["/v1/traces"]
        collector = make(tmp_path, backend.url, metrics=metrics)
        collector.started(None)
        killed_once_it_has_sent(monkeypatch, lambda: collector.flush(soon()), backend)
        told = [each.body for each in backend.requests if each.path == "/v1/metrics"]
        assert len(told) == 1
        again = make(tmp_path, backend.url, metrics=metrics)
        again.started(None)
        again.flush(soon())
        assert [each.body for each in backend.requests if each.path == "/v1/metrics"] == told
        assert ids(backend) == [1]


def test_a_file_that_took_the_place_of_the_one_that_was_sent_is_sent_from_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Backend() as backend:
        write(tmp_path, begin(1), *(inner(number) for number in range(2, 20)), ended(1))
        collector = make(tmp_path, backend.url)
        collector.started(None)
        killed_once_it_has_sent(monkeypatch, lambda: collector.flush(soon()), backend)
        (tmp_path / "records.jsonl").rename(tmp_path / "kept")  # so that its inode number is not given out again
        write(tmp_path, begin(100, "r2"), ended(100, "r2"))
        sent_at_last(tmp_path, backend.url)
        assert ids(backend) == [*range(1, 20), 100]


LANES = st.tuples(st.sampled_from(["begin", "inner", "ok", "error", "flush", "killed"]), st.integers(0, 2))


@given(st.lists(LANES, max_size=16), st.sets(st.integers(0, 6)))
@example(
    [("begin", 0), ("begin", 1), ("inner", 0), ("inner", 1), ("error", 1), ("flush", 0), ("killed", 0), ("error", 0)],
    {0, 1},
)
@settings(deadline=None, max_examples=30)
def test_sampling_sends_none_twice_to_one_of_two_destinations_while_the_other_is_dead(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int]], dead: set[int]
) -> None:
    run_dir, nobody = tmp_path_factory.mktemp("run"), f"http://127.0.0.1:{free_port()}"
    sampling = Sampling(0.0, parse_rules("error"))
    running: dict[int, int] = {}
    spans: dict[int, set[int]] = {}
    kept: set[int] = set()
    with Backend() as one, Backend() as two:

        def again(second: str) -> Collector:
            """The next generation: what it knows to have been open it closes as a crash."""
            opened = {each["request_id"] for each in load(str(run_dir / "cursor.json")).opened}
            for lane, own in list(running.items()):
                if f"r{own}" in opened:
                    kept.update(spans[own])
                    del running[lane]
            fresh = make(run_dir, one.url, second, sampling=sampling, initialization_type="lambda-managed-instances")
            fresh.started(None)
            return fresh

        generation = 0
        collector = again(nobody if 0 in dead else two.url)
        for number, (action, lane) in enumerate([*acts, ("flush", 0), ("next", 0), ("flush", 0), ("next", 0)], 1):
            if action == "begin" and lane not in running:
                running[lane], spans[number] = number, {number}
                write(run_dir, begin(number, f"r{number}", pid=100 + lane, deadline_ms=2**50))
            elif action == "inner" and lane in running:
                spans[running[lane]].add(number)
                write(run_dir, inner(number, f"r{running[lane]}"))
            elif action in ("ok", "error") and lane in running:
                own = running.pop(lane)
                kept |= spans[own] if action == "error" else set()
                write(run_dir, ended(own, f"r{own}", outcome=action))
            elif action in ("flush", "killed"):
                collector.drain(soon())
                with pytest.MonkeyPatch.context() as patched:
                    if action == "killed":
                        patched.setattr(Generations, "leave", dying(one, two))
                    with suppress(Killed):
                        collector.flush(soon())
            if action in ("next", "killed"):
                generation += 1
                collector = again(nobody if generation in dead and action == "killed" else two.url)
        collector.flush(soon())
        assert ids(one) == sorted(kept)
        assert ids(two) == sorted(kept)


def test_of_what_has_been_noted_a_damaged_entry_costs_nothing_else(tmp_path: Path) -> None:
    path, here = tmp_path / "taken", Position(7, 1000, 9)
    for number in range(3):
        Taken(str(path), Counters(lambda _: None)).add(here, "", (number, 1), [number])
    length = path.stat().st_size // 3
    for at in range(length, 2 * length):
        content = bytearray(path.read_bytes())
        content[at] ^= 1
        (tmp_path / "broken").write_bytes(content)
        found = Taken(str(tmp_path / "broken"), Counters(lambda _: None)).load(here)
        assert found == [("", (0, 1), (0,)), ("", (2, 1), (2,))]
    assert Taken(str(path), Counters(lambda _: None)).load(here._replace(inode=8)) == []
    assert Taken(str(path), Counters(lambda _: None)).load(here._replace(fingerprint=8)) == []


@pytest.mark.parametrize(("followed", "requests"), [(True, 2), (False, 3)])
def test_no_request_is_begun_whose_answer_would_come_too_late_to_be_remembered_unless_nobody_follows(
    followed: bool, requests: int
) -> None:
    """Answers take 0.4 s of a second: there is time for two, and the third would be sent again if it was taken."""
    now, sent = [0.0], []

    class Slow:
        name, advice, configured, timeout, limits = "it", "", True, 10.0, Limits(1)

        def send(self, body: bytes, deadline: float) -> Result:
            sent.append(body)
            now[0] += 0.4
            return Result(SENT)

        def renew(self) -> None:
            pass

    queue = Queue(Room(10_000), lambda *_: None)
    for number in range(5):
        queue.put(Item(None, bytes([number])))
    settled: list[Item] = []
    flusher = Flusher(queue, Slow(), Breaker(lambda: now[0]), Counters(lambda _: None), clock=lambda: now[0])
    flusher.settled = settled.extend
    flusher.flush(1.0, last=True, followed=followed)
    assert len(sent) == len(settled) == requests


def test_an_answer_that_is_there_is_read_by_whoever_had_no_time_to_look_for_it_before() -> None:
    here, there = socket.socketpair()
    with here, there:
        there.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        stream = Stream(here, time.monotonic() - 1)
        assert stream.until(b"\r\n\r\n", 1000) == b"HTTP/1.1 200 OK"
        with pytest.raises(TimeoutError):
            stream.exactly(1)


@pytest.mark.parametrize(("left", "requests"), [(0.19, 0), (0.21, 1)])
def test_no_request_is_begun_in_the_last_moment_of_an_invocation(left: float, requests: int) -> None:
    sent: list[float] = []

    class Quick:
        name, advice, configured, timeout, limits = "it", "", True, 10.0, Limits()

        def send(self, body: bytes, deadline: float) -> Result:
            sent.append(deadline)
            return Result(SENT)

        def renew(self) -> None:
            pass

    queue = Queue(Room(10_000), lambda *_: None)
    queue.put(Item(None, b"a"))
    Flusher(queue, Quick(), Breaker(lambda: 0.0), Counters(lambda _: None), clock=lambda: 0.0).flush(left, held=True)
    assert len(sent) == requests
    assert len(queue) == 1 - requests, "kept"
