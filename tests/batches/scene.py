"""A traced handler called in this process with a batch, and what was recorded of it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import hoptrace
from hoptrace.spans import start_span
from hoptrace.testing import LambdaContext, recorder

EVENTS = Path(__file__).resolve().parents[1] / "data" / "events"
PROCESSED, REDELIVERED = "hoptrace.record.processed", "hoptrace.record.redelivered"


def event(name: str) -> Any:
    return json.loads((EVENTS / name).read_text("utf-8"))


def trace_id(number: int) -> str:
    return f"{number + 1:032x}"


def sqs(count: int, traced: bool = True) -> dict[str, Any]:
    """A batch of messages `m0`, `m1`, …, each of a trace of its own."""
    (message,) = event("recorded/sqs.json")["Records"][:1]
    found = []
    for number in range(count):
        attributes = {}
        if traced:
            attributes["traceparent"] = {
                "stringValue": f"00-{trace_id(number)}-{number + 1:016x}-01",
                "dataType": "String",
                "stringListValues": [],
                "binaryListValues": [],
            }
        found.append(
            {**message, "messageId": f"m{number}", "body": f'{{"n": {number}}}', "messageAttributes": attributes}
        )
    return json.loads(json.dumps({"Records": found}))


def call(name: str) -> None:
    """What a traced client does."""
    start_span(name).end()


class Recorded:
    """What one call of a handler left.

    Attributes:
        result, error: how the handler came back.
        invocation: its own span, in the records' shape.
        records: those of the batch, in its order.
        notes: what the collector was told while it ran.
    """

    def __init__(self, lines: list[dict[str, Any]], result: Any, error: BaseException | None) -> None:
        self.result = result
        self.error = error
        self.spans = [line["span"] for line in lines if line["type"] in ("span", "end")]
        self.notes = [line["span"] for line in lines if line["type"] == "record"]
        (self.invocation,) = [line["span"] for line in lines if line["type"] == "end"]
        by_id = {span["span_id"]: span for span in self.spans}
        (begin,) = [line for line in lines if line["type"] == "begin"]
        known = [record["span_id"] for record in begin["records"]]
        others = [span["span_id"] for span in self.spans if span["kind"] == 5 and span["span_id"] not in known]
        self.records = [by_id[span_id] for span_id in [*known, *others]]

    def named(self, name: str) -> dict[str, Any]:
        (found,) = [span for span in self.spans if span["name"] == name]
        return found

    @property
    def errors(self) -> list[str | None]:
        """Of each record the type of its error."""
        return [attribute(record, "error.type") for record in self.records]

    @property
    def marks(self) -> list[str]:
        """Of each record what is said of it: done, failed, unreached, and `+` where it comes again."""
        found = []
        for record in self.records:
            word = "failed" if record.get("status", [0])[0] == 2 else "done"
            if attribute(record, PROCESSED) is False:
                word = "unreached" if word == "done" else "unreached and failed"
            found.append(word + "+" * (attribute(record, REDELIVERED) is True))
        return found


def attribute(span: dict[str, Any], key: str) -> Any:
    return span.get("attributes", {}).get(key)


def run(handler: Callable[[Any, Any], Any], event: Any, environ: Mapping[str, str] | None = None) -> Recorded:
    """Call a handler, traced, and say what was recorded; its error is kept."""
    with recorder(environ) as recorded:
        traced = hoptrace.trace(handler)
        result, error = None, None
        try:
            result = traced(event, LambdaContext())
        except BaseException as raised:
            error = raised
        return Recorded(recorded.records, result, error)
