"""What following records leaves behind, and what it may meet on the way: Python's garbage collector, other threads."""

import gc
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

import hoptrace
from hoptrace.testing import LambdaContext, recorder
from tests.batches.scene import attribute, run, sqs


class Event(dict):  # type: ignore[type-arg]
    """An event that tells when it is gone."""


def loop(event: Any, _: Any) -> None:
    for record in hoptrace.records(event):
        assert record


def left(event: Any, _: Any) -> None:
    for _record in hoptrace.records(event):
        break


def block(event: Any, _: Any) -> None:
    for record in event["Records"]:
        with hoptrace.processing(record):
            pass


def raising(event: Any, _: Any) -> None:
    for record in hoptrace.records(event):
        raise LookupError(record["messageId"])


@pytest.mark.parametrize("handler", [loop, left, block, raising])
def test_the_event_is_gone_with_its_invocation_and_does_not_wait_for_the_garbage_collector(handler: Any) -> None:
    with recorder():
        traced = hoptrace.trace(handler)
        event = Event(sqs(3))
        gone = weakref.ref(event)
        gc.collect()
        gc.disable()
        try:
            with suppress(LookupError):
                traced(event, LambdaContext())
            del event
            assert gone() is None
        finally:
            gc.enable()


def test_a_loop_that_the_garbage_collector_drops_while_a_record_is_looked_up_stops_nobody() -> None:
    def handler(event: Any, _: Any) -> None:
        def loop() -> Iterator[Any]:
            yield from hoptrace.records(event)

        gc.disable()
        gc.freeze()  # what the tests before left behind would be looked through sixty times
        before = gc.get_threshold()
        try:
            for number in range(60):
                cycle: list[Any] = [loop()]
                cycle.append(cycle)
                next(cycle[0])
                del cycle
                gc.set_threshold(gc.get_count()[0] + number)  # a little further on each time
                gc.enable()
                with hoptrace.processing(event["Records"][number + 1]):
                    pass
                gc.disable()
                gc.collect()
        finally:
            gc.set_threshold(*before)
            gc.unfreeze()
            gc.enable()

    found: list[Any] = []
    # In a thread of its own: what this is about would never come back.
    thread = threading.Thread(target=lambda: found.append(run(handler, sqs(80))), daemon=True)
    thread.start()
    thread.join(30)
    assert [recorded.error for recorded in found] == [None]


class Restless(LookupError):
    """Goes on taking up records while the error is looked at, as another thread may."""

    def __str__(self) -> str:
        for record in self.args[0]:
            hoptrace.processing(record).__enter__()
        return "restless"


def test_records_that_are_taken_up_while_the_handler_fails_do_not_hide_its_error() -> None:
    def handler(event: Any, _: Any) -> None:
        for record in hoptrace.records(event):
            raise Restless([each for each in event["Records"] if each is not record])

    recorded = run(handler, sqs(20))
    assert attribute(recorded.invocation, "error.type").endswith("Restless")
    assert recorded.errors[0] is not None
