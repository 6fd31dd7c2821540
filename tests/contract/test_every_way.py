"""What is sent arrives with the sender's context, and is what was sent; whatever may not be traced is left alone."""

from __future__ import annotations

from typing import Any

import pytest

from hoptrace.pointers import derive
from hoptrace.spans import Span
from hoptrace.triggers import identify
from hoptrace.triggers.arrival import Record
from tests.contract.lab import Lab, Sent, call, in_lambda, on_the_wire, traced
from tests.contract.table import WAYS
from tests.contract.ways import CONTEXT, LOST, NOTHING, POINTER, REFUSED, ROOT, Message, Way, attributes

each_way = pytest.mark.parametrize("kind", WAYS, ids=lambda kind: kind.__name__)


def settings_of(way: Way, asked: bool = True) -> dict[str, str]:
    return {**({"HOPTRACE_INJECT_ENABLED": way.service} if way.opt_in and asked else {}), **way.always, **way.more}


def arrived(way: Way, count: int) -> list[tuple[Message, Record]]:
    """Each thing that the function got, and what hoptrace makes of it."""
    found: list[tuple[Message, Record]] = []
    for event in way.events(count):
        contents = way.read(event)
        # What nothing is known of has no record.
        found += zip(contents, identify(event).records or [Record() for _ in contents], strict=True)
    return found


def meeting(span: Span, record: Record) -> str:
    """How both ends find each other."""
    context = record.context
    if context is not None and (context.trace_id, context.span_id) == (span.context.trace_id, span.context.span_id):
        return CONTEXT
    assert context is None, f"a context that nobody sent: {context}"
    if record.root == span.context.trace_id:
        return ROOT
    theirs = {(one.trace_id, one.span_id) for one in map(derive, record.pointers)}
    if theirs & {(link.context.trace_id, link.context.span_id) for link in span.links}:
        return POINTER
    return NOTHING


def unasked(way: Way) -> str:
    """How both ends find each other where the user's data may not be written to."""
    return POINTER if way.numbered_by_aws else NOTHING


def check(way: Way, sent: list[tuple[Message, Sent]], asked: bool = True) -> None:
    """Every message that AWS takes arrives once, as it was sent, and knows its sender."""
    waiting = []
    for message, done in sent:
        wanted = way.joined(message) if asked else unasked(way)
        assert done.refused == (wanted == REFUSED), done.error or done.answer
        way.told(message, done)
        if wanted not in (REFUSED, LOST):
            waiting.append((way.received(message), done.span, wanted))
    for content, record in arrived(way, len(waiting)):
        fitting = [one for one in waiting if one[0] == content]
        assert fitting, f"nobody sent {content}"
        waiting.remove(fitting[0])
        assert meeting(fitting[0][1], record) == fitting[0][2], content
    assert not waiting
    assert way.quiet(0.05), "something arrived that was not sent"


@each_way
def test_each_message_arrives_as_it_was_sent_and_with_its_senders_context(kind: type[Way], lab: Lab) -> None:
    way: Way = lab.way(kind)
    client = lab.client(kind.service)
    count = 12 if kind.attributed else len(kind.bodies)
    sent = []
    with traced(settings_of(way)) as recorder:
        for number in range(count):
            body = kind.bodies[number % len(kind.bodies)]
            message = Message(body, attributes(kind, number))
            sent.append((message, call(client, kind.operation, way.params([message]), recorder)))
    check(way, sent)


@pytest.mark.parametrize("kind", [kind for kind in WAYS if kind.attributed], ids=lambda kind: kind.__name__)
def test_what_is_no_json_is_sent_as_it_is_with_a_context_beside_it(kind: type[Way], lab: Lab) -> None:
    way: Way = lab.way(kind)
    client = lab.client(kind.service)
    with traced(settings_of(way)) as recorder:
        messages = [Message(body) for body in kind.bodies]
        sent = [(one, call(client, kind.operation, way.params([one]), recorder)) for one in messages]
    check(way, sent)


@pytest.mark.parametrize("kind", [kind for kind in WAYS if kind.most > 1], ids=lambda kind: kind.__name__)
def test_every_size_of_a_batch_carries_the_context_in_each_of_its_messages(kind: type[Way], lab: Lab) -> None:
    way: Way = lab.way(kind)
    client = lab.client(kind.service)
    sent: list[tuple[Message, Sent]] = []
    with traced(settings_of(way)) as recorder:
        for size in range(1, 11):
            numbers = range(len(sent), len(sent) + size)
            batch = [Message(way.numbered(number), attributes(kind, number % 10)) for number in numbers]
            done = call(client, kind.operation, way.params(batch), recorder)
            sent += [(message, done) for message in batch]
    check(way, sent)


def switched_off(way: Way) -> list[dict[str, str]]:
    enabled = {**settings_of(way), "HOPTRACE_INJECT_ENABLED": way.service}
    return [{**enabled, "OTEL_PROPAGATORS": "none"}, {**enabled, "HOPTRACE_INJECT_DISABLED": way.service}]


@each_way
def test_with_no_format_or_the_service_switched_off_the_wire_is_as_without_us(kind: type[Way], lab: Lab) -> None:
    way: Way = lab.way(kind)
    params = way.params([Message(kind.bodies[0], attributes(kind, 2))])
    with in_lambda():
        alone = on_the_wire(lab.client(kind.service), kind.operation, params)
    with traced(settings_of(way)):
        assert on_the_wire(lab.client(kind.service), kind.operation, params) != alone
    for environ in switched_off(way):
        with traced(environ):
            assert on_the_wire(lab.client(kind.service), kind.operation, params) == alone, environ


@pytest.mark.parametrize("kind", [kind for kind in WAYS if kind.opt_in], ids=lambda kind: kind.__name__)
def test_the_users_data_is_left_alone_until_asked_for(kind: type[Way], lab: Lab) -> None:
    way: Way = lab.way(kind)
    params = way.params([Message(kind.bodies[0])])
    with in_lambda():
        alone = on_the_wire(lab.client(kind.service), kind.operation, params)
    with traced(settings_of(way, asked=False)):
        ours: Any = on_the_wire(lab.client(kind.service), kind.operation, params)
    assert ours[3] == alone[3]
    assert {**ours[2], "x-amzn-trace-id": ""} == {**alone[2], "x-amzn-trace-id": ""}
    with traced(settings_of(way, asked=False)) as recorder:
        message = Message(kind.bodies[-1])
        sent = [(message, call(lab.client(kind.service), kind.operation, way.params([message]), recorder))]
    check(way, sent, asked=False)
