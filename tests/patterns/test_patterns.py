"""Every pattern, run whole: what came is the trace that its README shows, to the last span, parent and link."""

from collections import Counter

import pytest

from hoptrace_local.patterns import load_all
from hoptrace_local.report.outline import invocations

from .conftest import Play

PATTERNS = load_all()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", PATTERNS)
def test_the_whole_trace_is_the_one_that_its_readme_shows(name: str, play_pattern: Play) -> None:
    outcome = play_pattern(name)
    assert "\n".join(outcome.lines) == "\n".join(outcome.pattern.expected)
    assert {check.name: check.wrong for check in outcome.checks if not check.ok} == {}
    assert outcome.late == ""


@pytest.mark.parametrize("name", PATTERNS)
def test_a_readme_shows_every_function_of_its_template_at_work(name: str) -> None:
    """So that a trace that is written down wrong is not one that is right by having nothing in it."""
    pattern = PATTERNS[name]
    ran: Counter[str] = invocations(pattern.expected)
    assert set(ran) == set(pattern.functions)
    assert "its parent is missing" not in "\n".join(pattern.expected)
    assert "a span that is missing" not in "\n".join(pattern.expected)


def test_all_patterns_that_must_come_out_right_are_there() -> None:
    assert set(PATTERNS) == {
        "aggregator",
        "dead-letters",
        "destinations",
        "fan-out",
        "lambda-to-lambda",
        "loop",
        "parallel-branches",
        "redrive",
        "router",
        "streaming",
        "untraced-producer",
    }
