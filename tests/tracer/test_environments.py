"""How an environment came to be: who waited for it, and at which time that is told."""

from __future__ import annotations

import pytest

from hoptrace.environment import AHEAD, Environment
from hoptrace.settings import Settings
from hoptrace.spans import SERVER, Span
from hoptrace.spans.context import SpanContext
from hoptrace.testing import Clock

SECOND = 10**9
MONTH = 30 * 86_400 * SECOND


def _environment(kind: str, clock: Clock) -> Environment:
    knobs = Settings({"AWS_LAMBDA_INITIALIZATION_TYPE": kind, "AWS_LAMBDA_FUNCTION_NAME": "f"})
    made = Environment(knobs, started=clock.now, in_lambda=True, clock=clock)
    clock.now += SECOND
    made.ready()
    return made


def _invocation(clock: Clock) -> Span:
    return Span("f", SERVER, SpanContext("a" * 32, "b" * 16), "", clock.now, "r")


@pytest.mark.parametrize("kind", ["provisioned-concurrency", "lambda-managed-instances"])
def test_what_is_initialised_ahead_is_told_at_its_own_time_and_never_again(kind: str) -> None:
    clock = Clock()
    begun = clock.now
    environment = _environment(kind, clock)
    span = environment.rests()
    assert span is not None
    assert (span.name, span.start, span.end_time) == ("init", begun, begun + SECOND)
    assert span.parent_id == ""
    assert span.attributes["aws.lambda.initialization_type"] == kind
    assert span.resource is not None
    assert span.resource["faas.name"] == "f"
    clock.now += MONTH
    assert environment.rests() is None
    assert environment.first(_invocation(clock)) is None
    assert environment.waited is False


def test_an_on_demand_environment_that_nobody_waited_for_has_its_initialisation_beside_the_trace() -> None:
    clock = Clock()
    begun = clock.now
    environment = _environment("on-demand", clock)
    assert environment.rests() is None, "nobody knows yet whether somebody waits"
    clock.now += AHEAD + 1
    span = environment.first(_invocation(clock))
    assert span is not None
    assert environment.waited is False
    assert (span.start, span.end_time, span.parent_id) == (begun, begun + SECOND, "")
    assert span.context.trace_id != "a" * 32


def test_nothing_of_a_restored_environment_lies_before_its_restore() -> None:
    clock = Clock()
    environment = _environment("snap-start", clock)
    init = environment.rests()
    assert init is not None
    clock.now += 3 * MONTH
    restored = clock.now
    environment.restored()
    clock.now += SECOND // 5
    assert environment.rests() is None
    clock.now += SECOND
    invocation = _invocation(clock)
    span = environment.first(invocation)
    assert span is not None
    assert environment.waited is True
    assert (span.name, span.parent_id) == ("restore", invocation.context.span_id)
    assert (span.start, span.end_time) == (restored, restored + SECOND // 5)
    assert environment.first(_invocation(clock)) is None
    assert environment.waited is False


def test_a_clock_that_was_set_back_makes_no_span_that_ends_before_it_begins() -> None:
    clock = Clock()
    environment = _environment("snap-start", clock)
    environment.restored()
    clock.now -= MONTH
    span = environment.first(_invocation(clock))
    assert span is not None
    assert span.start <= span.end_time
