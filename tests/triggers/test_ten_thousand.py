"""Ten thousand events that nobody should send: nothing is raised, nothing is changed, and what comes out is sound."""

from __future__ import annotations

import copy
import marshal
import math
import os
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hostile import PROPAGATORS, TEXTS, VALUES, cases

from hoptrace import settings
from hoptrace.lineage import lay_out
from hoptrace.services import SERVICES
from hoptrace.services import service as rows_of
from hoptrace.shape import Shape
from hoptrace.spans.context import SpanContext
from hoptrace.triggers import Arrival, _called_directly, _identify, identify

SEEDS, OF_EACH = 20, 500
NOW = time.time_ns()


@pytest.fixture
def knobs(request: pytest.FixtureRequest) -> Iterator[settings.Settings]:
    """The settings of a function whose formats are these."""
    made = settings.Settings({"OTEL_PROPAGATORS": request.param} if request.param else {})
    settings.use(made)
    yield made
    settings.use(None)


def seen(value: Any) -> Any:
    """What cannot stay the same when anything in a value is exchanged; no reference counts in it."""
    try:
        return marshal.dumps(value, 2)
    except ValueError:  # no JSON, or nested too deep
        return id(value)


def sound(arrival: Arrival) -> None:
    """What the rest of the tracer counts on."""
    assert type(arrival) is Arrival
    every = [arrival.attributes]
    for record in arrival.records:
        every.append(record.attributes)
        assert (record.context is None) == (record.carrier == "")
        assert record.root == "" or len(record.root) == 32
        for context in [record.context, *(context for context, _ in record.links)]:
            if context is not None:
                assert len(context.trace_id) == 32 and int(context.trace_id, 16)
                assert len(context.span_id) == 16 and int(context.span_id, 16)
        every += [attributes for _, attributes in record.links]
        assert all(isinstance(word, str) for words in record.pointers for word in words)
        for hop in record.hops:
            start, end = hop.times(NOW)
            assert start <= end <= NOW
            every.append(hop.attributes)
    for attributes in every:
        for value in attributes.values():
            assert isinstance(value, (str, int, float, bool, list)), attributes
            assert not isinstance(value, float) or math.isfinite(value), attributes


def examine(event: Any, context: Any, knobs: settings.Settings) -> None:
    before = seen(event)
    arrival = identify(event, context)
    assert seen(event) == before, "the event was changed"
    sound(arrival)
    spans = lay_out(arrival, "f", NOW, "r", None, knobs)
    assert spans.invocation.context.trace_id
    # Without the net below the readers: a reader that raises loses all that it had read.
    again = _called_directly(_identify(Shape(event)), Shape(event), context)
    assert again.name == arrival.name


def run(seed: int, knobs: settings.Settings) -> None:
    for number, (event, context) in enumerate(cases(seed, OF_EACH)):
        try:
            examine(event, context, knobs)
        except Exception as error:
            error.add_note(f"seed {seed}, case {number}: {str(event)[:2000]}")
            raise


# Each of the formats gets its share of the seeds.
SHARES = [(seed, PROPAGATORS[seed % len(PROPAGATORS)]) for seed in range(SEEDS)]


@pytest.mark.parametrize(("seed", "knobs"), SHARES, indirect=["knobs"])
def test_no_event_makes_identify_raise_or_change_it(seed: int, knobs: settings.Settings) -> None:
    run(seed, knobs)


@pytest.mark.soak
@pytest.mark.parametrize("knobs", PROPAGATORS, indirect=True)
def test_nor_do_a_hundred_thousand_that_are_others_each_time(knobs: settings.Settings) -> None:
    first = int.from_bytes(os.urandom(6), "big")
    for seed in range(first, first + 200 // len(PROPAGATORS) + 1):
        run(seed, knobs)


WRITERS = [
    (service, operation, row)
    for service, entry in ((name, rows_of(name)) for name in SERVICES)
    for operation, row in entry.rows.items()
    if row.inject is not None or row.pointers is not None
]
# What parameters of calls are called; the values under them are whatever comes.
PARAMETERS = (
    "QueueUrl", "MessageBody", "MessageAttributes", "MessageSystemAttributes", "Entries", "TopicArn", "TargetArn",
    "Message", "PublishBatchRequestEntries", "Detail", "DetailType", "Source", "Resources", "TraceHeader", "Data",
    "PartitionKey", "Records", "Record", "Metadata", "MetadataDirective", "Bucket", "Key", "Body", "payload", "topic",
    "input", "name", "stateMachineArn", "traceHeader", "output", "taskToken", "FunctionName", "InvocationType",
    "ClientContext", "Payload", "TableName", "Item", "RequestItems", "TransactItems", "Id", "traceparent", "DataType",
    "StringValue", "BinaryValue",
)  # fmt: skip


def parameters(chance: random.Random, depth: int = 4) -> Any:
    kind = chance.random()
    if depth == 0 or kind < 0.25:
        given = chance.choice((*TEXTS, *VALUES, b"", b"{}", b"\xff\x00", b'{"a": 1}', bytearray(b"{}"), '{"a": 1}'))
        return copy.deepcopy(given)
    if kind < 0.4:
        return [parameters(chance, depth - 1) for _ in range(chance.randrange(4))]
    return {chance.choice(PARAMETERS): parameters(chance, depth - 1) for _ in range(chance.randrange(7))}


@pytest.mark.parametrize("knobs", PROPAGATORS, indirect=True)
def test_no_parameters_make_a_writer_raise_or_change_them(knobs: settings.Settings) -> None:
    chance = random.Random(str(knobs.propagators))
    context = SpanContext("a" * 32, "b" * 16, 1, "vendor=1")
    context.baggage = "k=v"
    for _ in range(60):
        for service, operation, row in WRITERS:
            given = parameters(chance)
            params = given if isinstance(given, dict) else {"Entries": given}
            before = copy.deepcopy(params)
            if row.inject is not None:
                written = row.inject(params, context)
                assert repr(params) == repr(before), (service, operation)
                assert isinstance(written, dict)
                if not knobs.propagators:
                    assert written is params, (service, operation)
            if row.pointers is not None:
                for words in row.pointers(params, parameters(chance)):
                    assert all(isinstance(word, str) for word in words), (service, operation)
                assert repr(params) == repr(before), (service, operation)
