"""The waterfall shows each span once, under its parent, where it lies in time."""

import pytest
from rich.cells import cell_len

from hoptrace_local.otlp import Span
from hoptrace_local.report.waterfall import HOP, INIT, WORK, duration, waterfall

from .spans import hop, invocation, make


def lines(spans: list[Span], width: int = 100) -> list[str]:
    return [line.plain for line in waterfall(spans, width)]


def a_trace() -> list[Span]:
    return [
        make("a", "shop", "place orders", 0, 100),
        hop("b", "checkout", "api gateway", 10, 20, "a"),
        invocation("c", "checkout", 20, 60, "b", attributes={"faas.coldstart": True}),
        make("d", "checkout", "init", 12, 19, "c", attributes={"hoptrace.init": True}),
        make("e", "checkout", "publish orders", 30, 50, "c", kind="PRODUCER"),
        invocation("f", "billing", 70, 100, "e", links=("b",), status="ERROR"),
    ]


def test_children_stand_under_their_parent_in_order_of_start_whatever_order_they_came_in() -> None:
    drawn = lines(list(reversed(a_trace())))
    assert [line[:11].rstrip() for line in drawn if "linked" not in line] == [
        "shop     pl",
        "checkout └",
        "checkout",
        "checkout",
        "checkout",
        "billing",
    ]
    assert "│" not in drawn[2]
    assert "    └ publish orders" in drawn[4]
    assert "    ├ init" in drawn[3]
    assert "      └ ✗ billing" in drawn[5]


def bar(line: str) -> tuple[int, int]:
    column = max(line.find(fill) for fill in (WORK, HOP, INIT))
    last = max(line.rfind(fill) for fill in (WORK, HOP, INIT))
    return column, last


def test_a_bar_begins_and_ends_where_its_span_does() -> None:
    drawn = [line for line in lines(a_trace(), 130) if "linked" not in line]
    first, last = bar(drawn[0])
    width = last - first + 1
    for line, (start, end) in zip(drawn, [(0, 100), (10, 20), (20, 60), (12, 19), (30, 50), (70, 100)], strict=True):
        begins, ends = bar(line)
        assert abs((begins - first) - width * start / 100) <= 1
        assert abs((ends + 1 - first) - width * end / 100) <= 1


def test_waiting_work_and_initialization_are_drawn_apart() -> None:
    drawn = lines(a_trace())
    assert HOP in drawn[1] and WORK not in drawn[1]
    assert WORK in drawn[2] and HOP not in drawn[2]
    assert INIT in drawn[3] and WORK not in drawn[3]


def test_a_cold_start_a_failure_and_a_timeout_have_their_marks() -> None:
    slow = invocation("g", "shipping", 0, 5000, status="ERROR", attributes={"error.type": "timeout"})
    (timed_out,) = lines([slow])
    assert "⧖ shipping" in timed_out and "✗" not in timed_out and "5.00s" in timed_out
    drawn = lines(a_trace())
    assert "❄ checkout" in drawn[2]
    assert "✗ billing" in drawn[5]
    assert sum("❄" in line for line in drawn) == 1


def test_a_link_names_the_span_it_leads_to() -> None:
    assert lines(a_trace())[6].strip() == "↪ linked to checkout api gateway"
    (_, link) = lines([invocation("f", "billing", 70, 100, links=("zz",))])
    assert "span zz of trace 0af7" in link


def test_a_span_whose_parent_never_came_is_shown_as_an_orphan() -> None:
    (line,) = lines([make("x", "shop", "lost", 0, 1, parent="nobody")])
    assert "lost (its parent is missing)" in line


def test_spans_that_are_each_others_parents_are_still_shown() -> None:
    assert len(lines([make("x", "s", "one", 0, 1, "y"), make("y", "s", "two", 0, 1, "x")])) == 2


def test_a_span_that_came_twice_is_shown_once() -> None:
    assert len(lines([make("x", "s", "one", 0, 1), make("x", "s", "one", 0, 1)])) == 1


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    deep = [
        make(str(n), "a-service", f"a span with a rather long name, 注文 {n}", n, 40, str(n - 1)) for n in range(30)
    ]
    assert all(cell_len(line) <= width for line in lines(deep, width))


def test_no_spans_are_said_to_be_none() -> None:
    assert lines([]) == ["no spans"]


def test_spans_without_any_duration_have_a_bar() -> None:
    assert WORK in lines([make("x", "s", "instant", 5, 5)])[0]


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(0, "0µs"), (870_000, "870µs"), (12_340_000, "12.3ms"), (450_000_000, "450ms"), (5_012_000_000, "5.01s")],
)
def test_durations_are_short_to_read(nanoseconds: int, text: str) -> None:
    assert duration(nanoseconds) == text
