"""The exact peak of invocations at a time, though they are told late and in any order."""

from hypothesis import given
from hypothesis import strategies as st

from hoptrace_collector.concurrency import peak_concurrency
from hoptrace_collector.gateway.concurrency import points
from hoptrace_collector.gateway.peaks import Function, Interval, Peak, Peaks

SECOND = 10**9
BASE = 1_790_000_000 * SECOND
SHIP, BILL = Function("1", "eu-west-1", "ship"), Function("1", "eu-west-1", "bill")
ACCOUNT = Function("1", "eu-west-1", "")


def at(seconds: float) -> int:
    return BASE + int(seconds * SECOND)


def peaks(**more: int) -> Peaks:
    return Peaks(10 * SECOND, 60 * SECOND, **more)


def invocation(start: float, end: float, ident: int = 1, function: Function = SHIP) -> Interval:
    return Interval(function, at(start), at(end), ident)


def values(found: list[Peak]) -> dict[tuple[str, float], int]:
    out = {(peak.function.name, (peak.start - BASE) / SECOND): peak.value for peak in found}
    assert len(out) == len(found), "a window is told once"
    return out


TOLD = st.lists(
    st.tuples(
        st.sampled_from([SHIP, BILL]),
        st.integers(0, 100),  # start
        st.integers(0, 40),  # seconds long
        st.integers(0, 19),  # seconds late
        st.booleans(),  # told twice
        st.booleans(),  # a window is closed before
    ),
    max_size=20,
)


@given(TOLD)
def test_every_window_has_the_peak_that_sweeping_all_at_once_finds(
    told: list[tuple[Function, int, int, int, bool, bool]],
) -> None:
    held, closed = peaks(), []
    for number, (function, start, length, late, twice, close) in sorted(
        enumerate(told), key=lambda each: each[1][1] + each[1][2] + each[1][3]
    ):
        now = at(start + length + late)
        if close:
            closed += held.close(now)
        interval = Interval(function, at(start), at(start + length), 2**63 - 3 + number)
        for _ in range(1 + twice):
            assert not held.add(interval, now)
    found = values(closed + held.close(at(1000)))
    assert held.held == 0
    for name in ("ship", "bill", ""):
        for window in range(0, 200, 10):
            clipped = [
                (max(start, window), start + length)
                for function, start, length, *_ in told
                if name in ("", function.name) and start < window + 10 and (start + length > window or start >= window)
            ]
            assert found.get((name, window), 0) == peak_concurrency(clipped)


def test_a_window_is_not_closed_before_its_lateness_is_over() -> None:
    held = peaks()
    held.add(invocation(1, 2), at(2))
    assert not held.close(at(69))
    assert values(held.close(at(70))) == {("ship", 0): 1, ("", 0): 1}


def test_what_comes_too_late_is_told_as_late_and_counts_where_it_still_can() -> None:
    held = peaks()
    held.add(invocation(1, 2), at(2))
    held.close(at(80))
    assert held.add(invocation(1, 9, 2), at(80)) == "late"
    assert held.add(invocation(1, 25, 3), at(80)) == "late"
    assert values(held.close(at(1000))) == {("ship", 20): 1, ("", 20): 1}


def test_an_invocation_of_fifteen_minutes_counts_in_every_window_that_it_touches() -> None:
    held = Peaks(60 * SECOND, 960 * SECOND)
    held.add(invocation(0, 1), at(1))
    assert not held.add(invocation(30, 930), at(935))
    found = values(held.close(at(3000)))
    assert all(found["ship", minute * 60 - BASE % (60 * SECOND) // SECOND] == 1 for minute in range(1, 15))


def test_one_of_1970_or_of_next_year_costs_no_window() -> None:
    held = peaks()
    assert held.add(Interval(SHIP, 1, at(5), 1), at(5)) == "late", "what is left of it counts"
    assert held.open == 1
    assert held.add(Interval(SHIP, 0, at(5), 2), at(5)) == "time"
    assert held.add(invocation(5, 10**7, 3), at(5)) == "time"
    assert held.open == 1
    assert len(held.close(at(1000))) < 20


def test_what_is_held_is_bounded_and_what_is_left_out_is_told() -> None:
    held = peaks(most=3, functions=2)
    assert [held.add(invocation(1, 2, n), at(2)) for n in range(5)] == ["", "", "", "full", "full"]
    held = peaks(functions=2)
    told = [held.add(invocation(1, 2, n, Function("1", "eu", f"f{n}")), at(2)) for n in range(3)]
    assert told == ["", "", "functions"]


def test_windows_that_are_closed_before_their_time_say_so() -> None:
    held = peaks()
    held.add(invocation(1, 25), at(25))
    found = held.close(at(75), last=True)
    assert [(peak.start - BASE) // SECOND for peak in found if peak.function == SHIP] == [0, 10, 20]
    assert [peak.complete for peak in found if peak.function == SHIP] == [True, False, False]
    assert held.held == 0


def test_the_limit_of_the_account_stands_beside_its_peak() -> None:
    found = [Peak(SHIP, at(0), at(10), 30), Peak(ACCOUNT, at(0), at(10), 40)]
    made = {point.name: point for point in points(found, [(("", ""), 1000), (("1", ""), 500), (("2", ""), 7)])}
    assert made["hoptrace.function.concurrency.max"].value == 30
    assert made["hoptrace.account.concurrency.max"].value == 40
    assert made["hoptrace.account.concurrency.limit"].value == 500
    assert made["hoptrace.account.concurrency.utilization"].value == 0.08
    assert made["hoptrace.account.concurrency.limit"].end == at(10)
