"""Whatever a backend does, no span is lost that a queue has room for, and no invocation is held up for long.

The real collector over real sockets; only the breaker's pauses pass a thousand times faster. The long run is for
`make soak`: each fault two hundred times.
"""

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hoptrace_collector.collector import Collector
from hoptrace_collector.counters import Counters
from hoptrace_collector.pipeline import destination
from hoptrace_collector.pipeline.breaker import Breaker
from hoptrace_collector.settings import FlushStrategy, Otlp, Settings, parse_url
from hoptrace_collector.told import Shutdown
from tests.collector.support import begin, ended, inner, write
from tests.support.faulty_backend import KINDS, FaultyBackend, self_signed

HELD = 0.25
# What a busy machine adds to a time that is waited for.
_MACHINE = 1.0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destination, "Breaker", lambda _: Breaker(lambda: time.monotonic() * 1000))


class Life:
    """An environment whose invocations come one after the other."""

    def __init__(self, run_dir: Path, url: str, certificate: str = "", **more: Any) -> None:
        target = Otlp(parse_url(url + "/v1/traces"), certificate=certificate)
        self.counters = Counters(lambda _: None)
        made = Settings(run_dir=str(run_dir), traces=target, flush_timeout=HELD, **more)
        self._make = partial(Collector, made, self.counters)
        self._run_dir = run_dir
        self.collector = self._make()
        self.collector.started(None)
        self.number = 0
        self.held: list[float] = []

    def invocation(self, deadline: float = 0.3) -> None:
        self.number += 2
        write(self._run_dir, begin(self.number, f"r{self.number}"))
        self.collector.running(time.monotonic() + deadline)
        write(self._run_dir, inner(self.number + 1, f"r{self.number}"), ended(self.number, f"r{self.number}"))
        rung = time.monotonic()
        self.collector.drain(rung + 5)
        self.collector.flush(rung + 5)
        self.collector.released()
        self.held.append(time.monotonic() - rung)

    def end(self) -> None:
        self.collector.shutdown(Shutdown("spindown", 0), time.monotonic() + 2)


def suffer(life: Life, backend: FaultyBackend, kind: str, times: int) -> None:
    for count in range(times):
        backend.fail(kind)
        life.invocation()
        deadline = time.monotonic() + 10
        while backend.faults <= count:
            # What is in trouble is tried in the background only: another event, another chance.
            assert time.monotonic() < deadline, f"the backend has met {backend.faults} faults"
            if kind == "refused":
                backend.mend()
            life.invocation()
            time.sleep(0.01)
        backend.mend()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strategy", [FlushStrategy("end"), FlushStrategy("continuous")], ids=lambda each: each.kind)
@pytest.mark.parametrize("times", [3, pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
def test_no_fault_of_the_backend_loses_a_span(
    tmp_path: Path, certificate: tuple[str, str], strategy: FlushStrategy, kind: str, times: int
) -> None:
    with FaultyBackend(certificate if kind == "tls" else None) as backend:
        life = Life(tmp_path, backend.url, certificate[0], strategy=strategy)
        suffer(life, backend, kind, times)
        life.end()
        assert backend.faults >= times
        expected = {number for first in range(2, life.number + 1, 2) for number in (first, first + 1)}
        lost = expected - set(backend.taken)
        if kind == "500":
            # By OTLP's rules it would be refused again: it is dropped, and each span of it is counted.
            assert len(lost) == life.counters.total("dropped", "refused") >= times
        else:
            assert not lost
        assert life.counters.total("sent") + life.counters.total("dropped") == len(expected)
        # A reset of a connection that was kept is made good at once, and is no failure.
        fails = kind in ("refused", "stalled", "429", "tls")
        if life.counters.total("failed") <= backend.faults * fails:
            # Else a busy machine had an answer come too late: what nobody has heard of is sent again.
            assert set(backend.taken.values()) <= {1}, "and none twice"
        waits = sum(kind == "stalled" for _ in range(times)) * HELD
        assert max(life.held) < HELD + _MACHINE
        assert sum(life.held) < waits + times * 0.1 + len(life.held) * 0.05 + _MACHINE, (
            "an invocation pays for itself only"
        )


def test_a_backend_that_swallows_everything_holds_a_hundred_invocations_up_for_less_than_two_attempts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destination, "Breaker", Breaker)
    with FaultyBackend() as backend:
        life = Life(tmp_path, backend.url, strategy=FlushStrategy("end"))
        for _ in range(100):
            backend.fail("stalled")
            # An attempt in the background may take as long as the backend's timeout: that holds nobody up.
            life.invocation(deadline=30)
            time.sleep(0.02)
        # The first attempt, half of that for the second, and at most a grace for each probe that was under way.
        assert sum(life.held) < 1.5 * HELD + 3 * 0.1 + 100 * 0.02, life.held
        assert len([held for held in life.held if held > HELD * 0.45]) <= 4, "two, and what a busy machine adds"
        backend.mend()
        life.end()
        assert len(backend.taken) == 200, "and nothing was lost"
