"""The trace's state and the baggage go along while there is room for them, and are the first to stay behind."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from hoptrace.spans import INTERNAL, Span, activate, restore
from hoptrace.spans.context import SpanContext
from hoptrace.triggers import identify
from tests.contract.lab import Lab, call, traced
from tests.contract.messages import Published, QueueBatch, QueueMessage
from tests.contract.table import WAYS
from tests.contract.test_every_way import settings_of
from tests.contract.test_limits import SNS, SQS, TRACEPARENT
from tests.contract.ways import CONTEXT, Message, Way, attributes

STATE, BAGGAGE = "vendor=1,other=2", "tenant=a,user=\u0025C3\u0025BC;p=1"
# The name, the type and the value of an attribute.
STATE_BYTES = len("tracestate") + len("String") + len(STATE)
BAGGAGE_BYTES = len("baggage") + len("String") + len(BAGGAGE)


@contextlib.contextmanager
def under_a_span() -> Iterator[None]:
    """In the course of a span whose trace has a state and baggage."""
    context = SpanContext("a" * 32, "b" * 16, 1, STATE)
    context.baggage = BAGGAGE
    token = activate(Span("parent", INTERNAL, context, "", time.time_ns(), ""))
    try:
        yield
    finally:
        restore(token)


def came(lab: Lab, way: Way, message: Message) -> tuple[str, str]:
    """State and baggage of the producer that the consumer of this message finds."""
    with traced(settings_of(way)) as recorder, under_a_span():
        done = call(lab.client(way.service), way.operation, way.params([message]), recorder)
    assert not done.refused
    (event,) = way.events(1)
    (content,) = way.read(event)
    assert content == way.received(message)
    (record,) = identify(event).records
    assert record.context is not None
    assert (record.context.trace_id, record.context.span_id) == ("a" * 32, done.span.context.span_id)
    return record.context.trace_state, record.context.baggage


def has_context(kind: type[Way]) -> bool:
    return kind.joined(kind.__new__(kind), Message(kind.bodies[0])) == CONTEXT


@pytest.mark.parametrize("kind", [kind for kind in WAYS if has_context(kind)], ids=lambda kind: kind.__name__)
def test_state_and_baggage_come_out_at_the_other_end_of_every_way(kind: type[Way], lab: Lab) -> None:
    assert came(lab, lab.way(kind), Message(kind.bodies[0])) == (STATE, BAGGAGE)


@pytest.mark.parametrize("kind", [QueueMessage, QueueBatch, Published], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(("count", "left"), [(7, (STATE, BAGGAGE)), (8, (STATE, "")), (9, ("", ""))])
def test_with_few_attributes_left_the_context_itself_goes_first(
    count: int, left: tuple[str, str], kind: type[Way], lab: Lab
) -> None:
    assert came(lab, lab.way(kind), Message(kind.bodies[0], attributes(kind, count))) == left


@pytest.mark.parametrize(("kind", "limit"), [(QueueMessage, SQS), (Published, SNS)])
def test_with_few_bytes_left_the_context_itself_goes_first(kind: type[Way], limit: int, lab: Lab) -> None:
    way = lab.way(kind)
    everything = TRACEPARENT + STATE_BYTES + BAGGAGE_BYTES
    for room, left in (
        (everything, (STATE, BAGGAGE)),
        (everything - 1, (STATE, "")),
        (TRACEPARENT + STATE_BYTES, (STATE, "")),
        (TRACEPARENT + STATE_BYTES - 1, ("", "")),
        (TRACEPARENT, ("", "")),
    ):
        assert came(lab, way, Message("x" * (limit - room))) == left
