"""Whatever code gives to the OpenTelemetry API, nothing is raised into it, and what can be told is told."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry._logs import LogRecord, get_logger

import hoptrace
from hoptrace import guard
from hoptrace.testing import LambdaContext, recorder


class Fails:
    """Every look at it raises."""

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        raise RuntimeError("as asked")

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("as asked")


class FailingMapping(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("as asked")


ENDLESS: dict[str, Any] = {}
ENDLESS["again"] = ENDLESS
ENDLESS_LIST: list[Any] = []
ENDLESS_LIST.append(ENDLESS_LIST)
DEEP: Any = "x"
for _ in range(5_000):
    DEEP = [DEEP]

VALUES = {
    "fails": Fails(),
    "in a list": [Fails()],
    "in a mapping": {"a": Fails()},
    "a mapping that fails": FailingMapping(a=1),
    "in itself": ENDLESS,
    "in itself, a list": ENDLESS_LIST,
    "deep": DEEP,
    "bytes": b"\xff",
    "large": 10**400,
    "infinite": float("inf"),
    "a time": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    "keys that are none": {None: 1, 2: 3},
    "a class": object,
}


def spans(value: Any) -> None:
    tracer = trace.get_tracer("mine")
    with tracer.start_as_current_span("given", attributes={"k": value}, start_time=value) as span:
        span.set_attribute("k", value)
        span.set_attributes(value if isinstance(value, dict) else {"k": value})
        span.add_event("e", {"k": value}, timestamp=value)
        span.add_event("e", value if isinstance(value, dict) else None)
        span.add_link(span.get_span_context(), {"k": value})
        span.record_exception(ValueError("x"), {"k": value}, timestamp=value)
        span.set_status(trace.StatusCode.ERROR, value)
        span.update_name(value)
        span.update_name("told")
    tracer.start_span(value).end(end_time=value)


def measures(value: Any) -> None:
    meter = metrics.get_meter("mine")
    for measure in (meter.create_counter("c").add, meter.create_histogram("h").record):
        measure(value)
        measure(1, {"k": value})
        measure(1, value if isinstance(value, dict) else {})


def logs(value: Any) -> None:
    get_logger("mine").emit(LogRecord(body=value, attributes={"k": value}, severity_text=value, timestamp=value))
    get_logger("mine").emit(LogRecord(body="told", attributes=value))


@pytest.mark.parametrize("sampler", ["always_on", "always_off"])
@pytest.mark.parametrize("give", [spans, measures, logs])
@pytest.mark.parametrize("name", VALUES)
def test_nothing_is_raised_into_the_users_code(name: str, give: Callable[[Any], None], sampler: str) -> None:
    with recorder({"OTEL_TRACES_SAMPLER": sampler}) as recorded:
        guard.LOUD = False

        @hoptrace.trace
        def handler(_event: Any, _context: Any) -> str:
            give(VALUES[name])
            return "done"

        assert handler({}, LambdaContext()) == "done"
        records = recorded.records
    end = next(record for record in records if record["type"] == "end")
    assert end["outcome"] == "ok"
    if give is spans and sampler == "always_on":
        told = next(
            record["span"] for record in records if record["type"] == "span" and record["span"]["name"] == "told"
        )
        assert told["start"] <= told["end"] and told["status"][0] == 2
    if give is logs:
        assert "told" in [record["log"].get("body") for record in records if record["type"] == "log"]
