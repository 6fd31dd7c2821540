"""When is sent, by each strategy: a state machine with a clock that a test turns."""

import pytest

from hoptrace_collector.pipeline.pace import FREQUENT, Pace
from hoptrace_collector.settings import FlushStrategy, read


class Clock:
    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


class Life:
    """Invocations one after the other; what was sent when."""

    def __init__(self, strategy: str, **env: str) -> None:
        settings, self.complaints = read({"HOPTRACE_FLUSH_STRATEGY": strategy, **env})
        self.clock = Clock()
        self.pace = Pace(settings.strategy, self.clock)
        self.strategy = settings.strategy

    def invocation(self, gap: float = 0.0, waiting: int = 100) -> str:
        """One after `gap` seconds; returns whether was sent in the `background`, at its `end`, both or not."""
        self.clock.now += gap
        self.pace.event()
        done = []
        if self.pace.meanwhile(waiting):
            self.pace.sent()
            done.append("background")
        if self.pace.over():
            self.pace.sent()
            done.append("end")
        return " ".join(done)


def test_adaptive_sends_at_the_end_while_invocations_are_rare() -> None:
    life = Life("adaptive")
    assert [life.invocation(60.0) for _ in range(20)] == ["end"] * 20


def test_adaptive_sends_in_the_background_once_they_are_frequent_and_every_five_seconds() -> None:
    life = Life("adaptive")
    assert [life.invocation(0.1) for _ in range(5)] == ["end"] * 5
    sent = [life.invocation(0.1) for _ in range(1000)]
    assert "end" not in " ".join(sent)
    assert 18 <= sent.count("background") <= 21, "100 seconds"


def test_adaptive_goes_back_to_the_end_after_a_pause_that_would_have_had_data_wait() -> None:
    life = Life("adaptive")
    for _ in range(50):
        life.invocation(0.1)
    assert life.invocation(FREQUENT * 6) == "end"
    assert [life.invocation(60.0) for _ in range(3)] == ["end"] * 3
    assert [life.invocation(0.1) for _ in range(10)][-1] == ""


def test_much_that_waits_is_not_left_waiting() -> None:
    life = Life("adaptive")
    for _ in range(50):
        life.invocation(0.1)
    assert life.invocation(0.1) == ""
    assert life.invocation(0.1, waiting=1024 * 1024) == "background"


def test_end_sends_at_the_end_of_each() -> None:
    life = Life("end")
    assert [life.invocation(0.01) for _ in range(50)] == ["end"] * 50


@pytest.mark.parametrize(
    "life",
    [
        pytest.param(lambda: Life("periodic,2000"), id="periodic"),
        pytest.param(lambda: Life("", HOPTRACE_FLUSH_INTERVAL="2000"), id="the older interval"),
        pytest.param(lambda: Life("periodic", HOPTRACE_FLUSH_INTERVAL="2000"), id="both"),
    ],
)
def test_periodic_sends_at_the_end_of_the_first_after_each_period(life: object) -> None:
    made = life()  # type: ignore[operator]
    assert [made.invocation(0.5) for _ in range(9)] == ["end", "", "", "", "end", "", "", "", "end"]


def test_continuous_sends_in_the_background_of_each_and_never_holds_one_up() -> None:
    life = Life("continuous")
    assert [life.invocation(0.01) for _ in range(50)] == ["background"] * 50
    assert life.pace.grace == 0
    every = Life("continuous,1000")
    assert [every.invocation(0.5) for _ in range(5)] == ["background", "", "background", "", "background"]


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    life = Life("periodic,2000")
    assert life.invocation() == "end"
    assert life.invocation(-5000.0) == "end"


@pytest.mark.parametrize("text", ["sometimes", "end,5", "periodic,x", "periodic,-1", "continuous,1.5", ","])
def test_a_strategy_that_is_none_is_said_once_and_the_default_is_used(text: str) -> None:
    life = Life(text)
    assert life.strategy == FlushStrategy()
    assert len(life.complaints) == 1
    assert "HOPTRACE_FLUSH_STRATEGY" in life.complaints[0]


@pytest.mark.parametrize("text", ["Adaptive", " END ", "periodic , 100", "CONTINUOUS"])
def test_the_names_are_read_whatever_their_case(text: str) -> None:
    assert not Life(text).complaints
