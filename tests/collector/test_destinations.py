"""Several destinations: each gets everything once, and none pays for another."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoptrace_collector.collector import Collector
from hoptrace_collector.counters import Counters
from hoptrace_collector.settings import FlushStrategy, Otlp, Settings, Targets, parse_url, read
from hoptrace_collector.told import Shutdown

from .support import Backend, begin, ended, free_port, inner, spans_of, write


def make(run_dir: Path, *urls: str, **more: Any) -> tuple[Collector, Counters]:
    first, *others = (Otlp(parse_url(url + "/v1/traces")) for url in urls)
    counters = Counters(lambda _: None)
    made = Settings(
        run_dir=str(run_dir),
        traces=first,
        destinations=tuple(Targets(f"d{number}", traces=each) for number, each in enumerate(others, 1)),
        **{"strategy": FlushStrategy("end"), **more},
    )
    return Collector(made, counters, sleep=lambda _: None), counters


def soon(seconds: float = 3.0) -> float:
    return time.monotonic() + seconds


def ids(backend: Backend) -> list[int]:
    return sorted(int.from_bytes(span.span_id) for span in spans_of(backend))


@contextmanager
def blackhole() -> Iterator[str]:
    """Takes connections, and everything on them, and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_the_settings_of_a_destination_are_those_of_opentelemetry_by_its_name() -> None:
    found, complaints = read(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://one.example.com",
            "OTEL_EXPORTER_OTLP_HEADERS": "key=one",
            "OTEL_METRICS_EXPORTER": "none",
            "HOPTRACE_DESTINATIONS": "archive, audit",
            "HOPTRACE_DESTINATION_ARCHIVE_ENDPOINT": "https://two.example.com/otlp",
            "HOPTRACE_DESTINATION_ARCHIVE_HEADERS": "key=two",
            "HOPTRACE_DESTINATION_ARCHIVE_COMPRESSION": "gzip",
            "HOPTRACE_DESTINATION_AUDIT_TRACES_ENDPOINT": "https://three.example.com/here",
            "HOPTRACE_DESTINATION_AUDIT_SIGNALS": "traces",
        }
    )
    assert not complaints
    archive, audit = found.destinations
    assert [str(target.url) for target in archive[1:]] == [
        f"https://two.example.com/otlp/v1/{signal}" for signal in ("traces", "metrics", "logs")
    ]
    assert archive.traces.headers[0][1].reveal() == "two"
    assert archive.logs.gzip
    assert (str(audit.traces.url), audit.metrics, audit.logs) == ("https://three.example.com/here", Otlp(), Otlp())
    assert not audit.traces.headers, "nobody's secrets go to another"


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"HOPTRACE_DESTINATIONS": "two"}, "HOPTRACE_DESTINATION_TWO_ENDPOINT"),
        ({"HOPTRACE_DESTINATIONS": "a-b"}, "HOPTRACE_DESTINATIONS"),
        (
            {"HOPTRACE_DESTINATIONS": "two", "HOPTRACE_DESTINATION_TWO_ENDPOINT": "ftp://x"},
            "HOPTRACE_DESTINATION_TWO_ENDPOINT",
        ),
        (
            {
                "HOPTRACE_DESTINATIONS": "two",
                "HOPTRACE_DESTINATION_TWO_ENDPOINT": "http://x",
                "HOPTRACE_DESTINATION_TWO_SIGNALS": "traces,spans",
            },
            "HOPTRACE_DESTINATION_TWO_SIGNALS",
        ),
        (
            {
                "HOPTRACE_DESTINATIONS": "two",
                "HOPTRACE_DESTINATION_TWO_ENDPOINT": "http://x",
                "HOPTRACE_DESTINATION_TWO_HEADERS": "secret",
            },
            "HOPTRACE_DESTINATION_TWO_HEADERS",
        ),
    ],
)
def test_a_bad_setting_of_a_destination_is_said_by_its_own_name(env: dict[str, str], named: str) -> None:
    complaints = read(env)[1]
    assert complaints
    assert all(line.startswith(named) for line in complaints if "ENDPOINT is not set" not in line), complaints
    assert named in " ".join(complaints)
    assert "secret" not in " ".join(complaints)


def test_each_destination_gets_everything_once(tmp_path: Path) -> None:
    with Backend() as one, Backend() as two:
        collector, counters = make(tmp_path, one.url, two.url)
        collector.started(None)
        for number in range(1, 4):
            write(tmp_path, begin(number, f"r{number}"), ended(number, f"r{number}"))
            collector.drain(soon())
            collector.flush(soon())
        assert ids(one) == ids(two) == [1, 2, 3]
        assert (counters.total("received"), counters.total("sent")) == (3, 3), "the plain numbers are the first's"
        assert counters.total("destination_sent", "d1") == 3


def test_a_dead_destination_costs_the_others_neither_spans_nor_time(tmp_path: Path) -> None:
    with Backend() as alive, blackhole() as dead:
        for urls in ((dead, alive.url), (alive.url, dead)):
            run_dir = tmp_path / urls[0][-5:]
            collector, _ = make(run_dir, *urls, flush_timeout=0.6)
            collector.started(None)
            alive.requests.clear()
            write(run_dir, begin(1), ended(1))
            collector.drain(soon())
            flushing = threading.Thread(target=collector.flush, args=(soon(),))
            started = time.monotonic()
            flushing.start()
            alive.wait_for(1)
            assert time.monotonic() - started < 0.4, "while the other one is still waited for"
            flushing.join()


def test_what_one_has_had_and_another_has_not_is_sent_to_that_one_only_by_the_next_generation(tmp_path: Path) -> None:
    refused = f"http://127.0.0.1:{free_port()}"
    with Backend() as one, Backend() as two:
        collector, _ = make(tmp_path, one.url, refused)
        collector.started(None)
        write(tmp_path, begin(1), inner(2), ended(1))
        collector.drain(soon())
        collector.flush(soon())
        assert ids(one) == [1, 2]
        write(tmp_path, begin(3, "r2"))
        collector.drain(soon())
        collector.shutdown(Shutdown("timeout", 0), soon(0.3))
        assert ids(one) == [1, 2, 3]
        later, _ = make(tmp_path, one.url, two.url)
        later.started(None)
        later.flush(soon())
        assert (ids(one), ids(two)) == ([1, 2, 3], [1, 2, 3])
        last, _ = make(tmp_path, one.url, two.url)
        last.started(None)
        last.flush(soon())
        assert (ids(one), ids(two)) == ([1, 2, 3], [1, 2, 3])


def test_a_dead_destination_keeps_no_file_from_being_rotated(tmp_path: Path) -> None:
    with Backend() as one, Backend() as two:
        collector, _ = make(tmp_path, one.url, f"http://127.0.0.1:{free_port()}")
        collector.started(None)
        write(tmp_path, begin(1), *(inner(number, name="x" * 50_000) for number in range(2, 102)), ended(1))
        collector.drain(soon())
        collector.flush(soon(10))
        assert len(ids(one)) == 101
        assert (tmp_path / "records.jsonl").stat().st_size == 0, "5 MB were in it"
        write(tmp_path, begin(200, "r2"), ended(200, "r2"))
        later, _ = make(tmp_path, one.url, two.url)
        later.started(None)
        later.flush(soon(10))
        assert ids(two) == [*range(1, 102), 200]
        assert ids(one) == [*range(1, 102), 200]
        assert (tmp_path / "journal").stat().st_size == 0


def test_each_queue_has_a_bound_of_its_own(tmp_path: Path) -> None:
    with Backend() as alive:
        collector, counters = make(tmp_path, alive.url, f"http://127.0.0.1:{free_port()}", queue_bytes=64 * 1024)
        collector.started(None)
        for number in range(1, 101):
            write(tmp_path, begin(number, f"r{number}"), ended(number, f"r{number}", name="x" * 2000))
            collector.drain(soon())
            collector.flush(soon())
        assert ids(alive) == list(range(1, 101))
        assert counters.total("dropped") == 0
        assert 50 < counters.total("destination_dropped", "d1: queue_full") < 100


ACTIONS = st.lists(
    st.sampled_from(["invocation", "open", "flush", "one dies", "other dies", "alive", "kill", "shutdown", "wipe"]),
    min_size=1,
    max_size=14,
)


@given(ACTIONS)
@settings(deadline=None, max_examples=15)
def test_over_generations_and_outages_each_destination_gets_each_span_once(
    tmp_path_factory: pytest.TempPathFactory, actions: list[str]
) -> None:
    run_dir, number = tmp_path_factory.mktemp("run"), 0
    dead = f"http://127.0.0.1:{free_port()}"
    with Backend() as one, Backend() as other:
        urls = [one.url, other.url]
        collector, _ = make(run_dir, *urls)
        collector.started(None)
        for action in [*actions, "alive", "shutdown", "flush"]:
            again = False
            if action in ("invocation", "open"):
                number += 1
                write(run_dir, begin(number, f"r{number}", pid=number, deadline_ms=1))
                if action == "invocation":
                    write(run_dir, ended(number, f"r{number}"))
            elif action == "flush":
                collector.drain(soon())
                collector.flush(soon())
            elif action in ("one dies", "other dies", "alive"):
                urls = [one.url, other.url]
                if action != "alive":
                    urls[action == "other dies"] = dead
                again = True
            elif action == "kill":
                again = True
            elif action == "shutdown":
                # A destination that is alive has all the time that it wants, or it is not told that it has answered.
                collector.shutdown(Shutdown("failure", 0), soon(0.5 if dead in urls else 3))
                again = True
            elif (run_dir / "records.jsonl").exists():
                collector.drain(soon())
                (run_dir / "records.jsonl").unlink()
                collector.flush(soon())
            if again:
                collector, _ = make(run_dir, *urls)
                collector.started(None)
                collector.flush(soon())
        assert (ids(one), ids(other)) == ([*range(1, number + 1)], [*range(1, number + 1)])
