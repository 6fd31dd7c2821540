"""What a hop costs: reading an event, laying out its spans, and writing a context, in microseconds.

    python -m benchmarks.hops [--seconds 6] [--json]

Each figure is the least of many short runs, all of them interleaved, so that a machine that slows down slows all alike.
The ratio is to `json.loads` of the same event in the same run, for an injection of API Gateway's: it says more than the
microseconds when machines differ, since the runtime client parses every event anyway. A budget is for a machine like
the one that the project is built on, and only printed; a test holds the ratios.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hoptrace.carriers.headers import inject_headers
from hoptrace.lineage import lay_out
from hoptrace.services import service as rows_of
from hoptrace.settings import Settings, settings
from hoptrace.spans.context import SpanContext
from hoptrace.triggers import identify

EVENTS = Path(__file__).resolve().parents[1] / "tests" / "data" / "events"
CONTEXT = SpanContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1, "vendor=1", remote=True)
REFERENCE = "API Gateway, REST"
# Runs are so short that some of them meet no one else on the machine.
_SLICE = 0.001
_LOOPS = 100


@dataclass
class Figure:
    """One line of the table.

    Attributes:
        name: what was done.
        micros: the least of all runs, in microseconds.
        loads: the same of `json.loads` of the event.
        budget: what it may take on a machine of this class, in microseconds; None for none.
    """

    name: str
    micros: float
    loads: float
    budget: float | None

    @property
    def ratio(self) -> float:
        """To `json.loads` of the event."""
        return self.micros / self.loads


def _event(name: str) -> Any:
    return json.loads((EVENTS / name).read_text("utf-8"))


def _batch(name: str, count: int, body: str = "") -> Any:
    """A batch of so many records, of those of a recorded event in turn, as if parsed from one text."""
    records = _event(name)["Records"]
    batch = json.loads(json.dumps({"Records": [records[index % len(records)] for index in range(count)]}))
    for record in batch["Records"] if body else ():
        record["body"] = body
        record["messageAttributes"] = {}
    return batch


def _large(size: int) -> str:
    """The body of a message that a rule sent: an event whose detail is large."""
    event = _event("recorded/eventbridge.json")
    event["detail"]["lines"] = [{"sku": f"sku-{number}", "price": number / 4} for number in range(size // 35)]
    return json.dumps(event)


def read() -> dict[str, tuple[Any, float | None]]:
    """The events that are read, and their budgets."""
    return {
        REFERENCE: (_event("recorded/api_gateway_rest.json"), 50),
        "API Gateway, REST, as AWS sends it": (_event("sam/apigateway-aws-proxy.json"), 50),
        "API Gateway, HTTP API": (_event("recorded/api_gateway_http.json"), 50),
        "SQS, one message": (_batch("recorded/sqs.json", 1), None),
        "SQS, ten messages": (_batch("recorded/sqs.json", 10), 250),
        "SQS, ten events of 20 kB": (_batch("recorded/sqs.json", 10, _large(20_000)), None),
        "EventBridge in SNS in SQS": (_event("recorded/eventbridge_in_sns_in_sqs.json"), None),
        "SNS": (_event("recorded/sns.json"), None),
        "EventBridge": (_event("recorded/eventbridge.json"), None),
        "Kinesis, ten records": (_batch("recorded/kinesis.json", 10), None),
        "DynamoDB, ten changes": (_batch("recorded/dynamodb.json", 10), None),
        "S3": (_event("recorded/s3.json"), None),
        "Step Functions": (_event("recorded/step_functions.json"), None),
        "no known trigger": ({"order": 1, "items": [{"sku": "a", "count": 2}]}, None),
    }


def written() -> dict[str, Callable[[], object]]:
    """The injections, each into one call, as a traced client makes them."""
    full = {f"a{index}": {"DataType": "String", "StringValue": "v"} for index in range(10)}
    detail = '{"order": 1, "items": [{"sku": "a", "count": 2}]}'
    put = {"Entries": [{"Source": "shop", "DetailType": "OrderPlaced", "Detail": detail}]}
    calls: dict[str, tuple[str, str, dict[str, object]]] = {
        "an SQS message": ("sqs", "SendMessage", {"QueueUrl": "u", "MessageBody": detail}),
        "a full SQS message": ("sqs", "SendMessage", {"QueueUrl": "u", "MessageBody": "", "MessageAttributes": full}),
        "an SNS message": ("sns", "Publish", {"TopicArn": "arn:aws:sns:r:1:t", "Message": detail}),
        "an EventBridge event": ("events", "PutEvents", put),
        "a client context": ("lambda", "Invoke", {"FunctionName": "f"}),
    }
    found: dict[str, Callable[[], object]] = {
        "inject into HTTP headers": lambda: inject_headers(("host", "accept"), CONTEXT)
    }
    for name, (service, operation, params) in calls.items():
        inject = rows_of(service).rows[operation].inject
        assert inject is not None
        assert inject(params, CONTEXT) is not params
        found[f"inject into {name}"] = partial(inject, params, CONTEXT)
    return found


def measure(seconds: float = 6.0) -> list[Figure]:
    """Run everything in turn for so long."""
    knobs = settings()
    works: dict[str, Callable[[], object]] = {}
    shown: list[tuple[str, str, str, float | None]] = []
    for name, (event, budget) in read().items():
        text = json.dumps(event)
        works[f"loads {name}"] = partial(json.loads, text)
        works[f"read {name}"] = partial(identify, event)
        works[f"lay {name}"] = partial(_read_and_lay_out, event, knobs)
        shown.append((f"identify and extract: {name}", f"read {name}", f"loads {name}", budget))
        shown.append((f"… and lay out its spans: {name}", f"lay {name}", f"loads {name}", None))
    for name, work in written().items():
        works[name] = work
        shown.append((name, name, f"loads {REFERENCE}", 20))
    least = dict.fromkeys(works, float("inf"))
    clock = time.perf_counter
    end = clock() + seconds
    rounds = 0
    while rounds < 3 or clock() < end:
        for name, work in works.items():
            loops = max(1, min(_LOOPS, int(_SLICE / least[name])))
            begin = clock()
            for _ in range(loops):
                work()
            least[name] = min(least[name], (clock() - begin) / loops)
        rounds += 1
    return [Figure(name, least[work] * 1e6, least[loads] * 1e6, budget) for name, work, loads, budget in shown]


def _read_and_lay_out(event: Any, knobs: Settings) -> object:
    return lay_out(identify(event), "f", time.time_ns(), "r", None, knobs)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0, help="how long to measure")
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    options = parser.parse_args()
    figures = measure(options.seconds)
    if options.json:
        print(json.dumps([{**vars(figure), "ratio": figure.ratio} for figure in figures], indent=2))
        return 0
    print("| what | µs | × json.loads | budget, µs |\n|---|---|---|---|")
    for figure in figures:
        budget = "" if figure.budget is None else f"{figure.budget:.0f}"
        print(f"| {figure.name} | {figure.micros:.1f} | {figure.ratio:.1f} | {budget} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
