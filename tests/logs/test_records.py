"""What a record gets, whoever makes it and whatever stands on it already."""

import asyncio
import io
import logging
import logging.handlers
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoptrace import clients, guard, logs, settings
from hoptrace.spans import Span, activate, restore, start_span


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def patched() -> Iterator[None]:
    """As in a function's process, and afterwards as if nothing had been."""
    factory = logging.getLogRecordFactory()
    before = (logging.Logger.makeRecord, logging.Handler.setFormatter)
    was_installed = clients.installed()
    clients.uninstall()
    clients.install()
    yield
    clients.uninstall()
    logging.setLogRecordFactory(factory)
    assert (logging.Logger.makeRecord, logging.Handler.setFormatter) == before
    if was_installed:
        clients.install()


@pytest.fixture
def kept(patched: None) -> Iterator[Kept]:
    handler = Kept()
    logger = logging.getLogger("test of ids")
    logger.addHandler(handler)
    logger.propagate = False
    yield handler
    logger.removeHandler(handler)
    logger.propagate = True


@pytest.fixture
def span() -> Iterator[Span]:
    found = start_span("work")
    token = activate(found)
    yield found
    restore(token)


LOG = logging.getLogger("test of ids")


def ids(record: logging.LogRecord) -> tuple[Any, Any]:
    return record.__dict__.get("trace_id"), record.__dict__.get("span_id")


def ours(span: Span) -> tuple[str, str]:
    return span.context.trace_id, span.context.span_id


def test_a_record_has_both_ids_inside_a_span_and_nothing_of_ours_outside(kept: Kept, patched: None) -> None:
    plain = set(logging.LogRecord("", 0, "", 0, "", (), None).__dict__)
    LOG.error("outside")
    span = start_span("work")
    token = activate(span)
    LOG.error("inside")
    restore(token)
    LOG.error("outside again")
    outside, inside, again = kept.records
    for record in kept.records:
        record.__dict__.pop("message", None)  # a formatter's
    assert outside.__dict__.keys() == again.__dict__.keys() == plain
    assert inside.__dict__.keys() == plain | {"trace_id", "span_id"}
    assert ids(inside) == ours(span)


def test_the_users_own_ids_win_and_never_an_overwrite_is_complained_of(kept: Kept, span: Span) -> None:
    LOG.error("x", extra={"trace_id": "mine"})
    LOG.error("x", extra={"span_id": "row 7"})
    LOG.error("x", extra={"trace_id": None, "span_id": ""})
    assert [ids(record) for record in kept.records] == [
        ("mine", None),
        (span.context.trace_id, "row 7"),
        (None, ""),
    ]


def test_a_factory_of_the_users_counts_in_either_order(kept: Kept, span: Span) -> None:
    before = logging.getLogRecordFactory()

    def marking(*arguments: Any, **named: Any) -> logging.LogRecord:
        record = before(*arguments, **named)
        record.mark = "theirs"
        return record

    LOG.error("first of all")
    logging.setLogRecordFactory(marking)
    LOG.error("set after us")
    clients.uninstall()
    clients.install()
    LOG.error("set before us")
    _, after, earlier = kept.records
    assert [(record.__dict__["mark"], ids(record)) for record in (after, earlier)] == [("theirs", ours(span))] * 2


def test_a_factory_that_sets_ids_and_a_kind_of_record_that_has_its_own_win(kept: Kept, span: Span) -> None:
    class Own(logging.LogRecord):
        @property
        def trace_id(self) -> str:
            return "computed"

    logging.setLogRecordFactory(Own)
    LOG.error("x")
    assert ids(kept.records[0]) == (None, None)
    assert kept.records[0].trace_id == "computed"  # type: ignore[attr-defined]


def test_a_failing_factory_fails_as_it_did_and_one_that_makes_no_record_is_left_alone(kept: Kept, span: Span) -> None:
    def failing(*_: Any, **__: Any) -> logging.LogRecord:
        raise LookupError("theirs")

    logging.setLogRecordFactory(failing)
    with pytest.raises(LookupError, match="theirs"):
        LOG.error("x")

    class Slotted:
        __slots__ = ("levelno",)

    made: Any = Slotted()
    logging.setLogRecordFactory(lambda *_, **__: made)
    assert LOG.makeRecord("n", 20, "f", 1, "m", (), None) is made


def test_formatters_see_what_they_name_and_the_text_of_others_stays(patched: None, span: Span) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    LOG.addHandler(handler)
    try:
        LOG.error("plain %s", 1)
        for text, style in (
            ("%(span_id)s %(message)s", "%"),
            ("{span_id} {message}", "{"),
            ("$span_id $message", "$"),
        ):
            handler.setFormatter(logging.Formatter(text, style=style))  # type: ignore[arg-type]
            LOG.error("named")
        token = activate(None)
        LOG.error("no span")
        restore(token)
    finally:
        LOG.removeHandler(handler)
    named = f"{span.context.span_id} named\n"
    assert stream.getvalue().startswith("plain 1\n" + named * 3)


def test_a_formatter_that_was_there_before_anybody_logged_is_seen(patched: None) -> None:
    stream = io.StringIO()
    clients.uninstall()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(otelTraceID)s|%(trace_id)s|%(xray_trace_id)s|%(message)s"))
    clients.install()
    LOG.addHandler(handler)
    LOG.propagate = False
    try:
        LOG.error("early", extra={"xray_trace_id": "1-2"})
    finally:
        LOG.removeHandler(handler)
        LOG.propagate = True
    assert stream.getvalue() == "0||1-2|early\n"


def test_opentelemetrys_names_come_on_every_record_when_its_own_setting_says_so(
    patched: None, span: Span, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept()
    clients.uninstall()
    settings.use(settings.Settings({"OTEL_PYTHON_LOG_CORRELATION": "true", "OTEL_SERVICE_NAME": "shop"}))
    try:
        clients.install()
        LOG.addHandler(kept)
        LOG.error("x")
    finally:
        settings.use(None)
        LOG.removeHandler(kept)
    (record,) = kept.records
    named = [record.__dict__[name] for name in ("otelTraceID", "otelSpanID", "otelTraceSampled", "otelServiceName")]
    assert named == [*ours(span), True, "shop"]


def test_a_record_keeps_the_ids_of_where_it_was_made_through_a_queue_of_another_thread(span: Span) -> None:
    clients.uninstall()
    clients.install()
    kept, waiting = Kept(), queue.Queue[Any]()
    listener = logging.handlers.QueueListener(waiting, kept)
    through = logging.handlers.QueueHandler(waiting)
    LOG.addHandler(through)
    listener.start()
    try:
        LOG.error("queued")
    finally:
        listener.stop()
        LOG.removeHandler(through)
        clients.uninstall()
    assert ids(kept.records[0]) == ours(span)


def test_tasks_side_by_side_each_log_their_own_span(kept: Kept) -> None:
    async def one(name: str) -> tuple[str, str]:
        span = start_span(name)
        token = activate(span)
        for _ in range(5):
            await asyncio.sleep(0)
            LOG.error(name)
        restore(token)
        return ours(span)

    async def all_of_them() -> list[tuple[str, str]]:
        return await asyncio.gather(*(one(str(number)) for number in range(5)))

    expected = asyncio.run(all_of_them())
    assert len(kept.records) == 25
    for record in kept.records:
        assert ids(record) == expected[int(record.getMessage())]


def test_first_records_of_many_threads_at_once_all_have_ids(patched: None) -> None:
    kept = Kept()
    LOG.addHandler(kept)
    barrier = threading.Barrier(8)

    def first(number: int) -> tuple[str, str]:
        span = start_span("thread")
        token = activate(span)
        barrier.wait()
        LOG.error("%d", number)
        restore(token)
        return ours(span)

    with ThreadPoolExecutor(8) as pool:
        expected = list(pool.map(first, range(8)))
    LOG.removeHandler(kept)
    assert sorted(ids(record) for record in kept.records) == sorted(expected)


def test_an_error_of_ours_costs_the_ids_and_not_the_record(
    kept: Kept, span: Span, monkeypatch: pytest.MonkeyPatch
) -> None:
    LOG.error("x")
    monkeypatch.setattr(guard, "LOUD", False)
    monkeypatch.setattr(logs, "current_span", lambda: 1 / 0)
    LOG.error("y")
    assert [record.getMessage() for record in kept.records] == ["x", "y"]
    assert guard.errors.pop("logs: ZeroDivisionError") == 1


@given(st.dictionaries(st.sampled_from(["trace_id", "span_id", "otelTraceID", "a"]), st.integers() | st.text()))
def test_whatever_extra_says_stays_as_it_was_said(extra: dict[str, Any]) -> None:
    clients.uninstall()
    clients.install()
    span = start_span("work")
    token = activate(span)
    try:
        made = LOG.makeRecord("n", 20, "f", 1, "m", (), None, extra=extra)
    finally:
        restore(token)
        clients.uninstall()
    assert {name: made.__dict__[name] for name in extra} == extra
