"""What alerts cost the collector where nothing is wrong, in microseconds for each invocation.

    python -m benchmarks.alerts [--json]

An invocation with two calls of AWS is judged by all built-in rules, and by ten more of a user's. Each figure is the
least of many short runs. The budget is for a machine like the one that the project is built on.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from hoptrace_collector.alert.alerts import Alerts
from hoptrace_collector.alert.eventbridge import Answer
from hoptrace_collector.alert.events import Target
from hoptrace_collector.counters import Counters
from hoptrace_collector.model import Invocation, Origin, Span
from hoptrace_collector.told import Report

BUDGET = 20.0
_RUNS, _LOOPS = 60, 100
_START = 1_790_000_000 * 10**9
_SECOND = 10**9


class Nobody:
    """A bus that nothing may reach."""

    def put(self, entries: list[dict[str, Any]], deadline: float) -> list[Answer]:  # noqa: ARG002
        """Fail: the figures would be those of telling."""
        raise AssertionError("an alert fired")


def _invocation() -> tuple[Invocation, list[Span]]:
    resource = tuple((f"resource.{number}", "x") for number in range(10))
    origin = Origin((("faas.name", "orders"), ("faas.version", "7"), *resource), ("hoptrace", ""))
    span = Span(b"\x01" * 16, b"\x02" * 8, "orders", 2, _START, _START + _SECOND)
    span.attributes.update({f"app.attribute.{number}": "x" for number in range(15)})
    span.attributes.update({"faas.coldstart": False, "faas.trigger": "pubsub", "hoptrace.trigger": "sqs"})
    span.attributes.update({"hoptrace.message.age": 0.3, "hoptrace.batch.record_count": 2})
    calls = []
    for number in range(2):
        call = Span(b"\x01" * 16, bytes([3 + number]) * 8, "DynamoDB.Query", 3, _START, _START + _SECOND)
        call.attributes.update({"rpc.method": "Query", "rpc.system.name": "aws-api", "http.response.status_code": 200})
        calls.append(call)
    deadline_ms = (_START + 10 * _SECOND) // 10**6
    return Invocation("r1", "ok", "", "", span, origin, deadline_ms), [*calls, span]


def measure(rules: int) -> float:
    """Return the microseconds of one invocation with so many rules of the user's, everything counted."""
    tables = {f"mine-{number}": {"when": f"duration > {2 + number}s and failed"} for number in range(rules)}
    with tempfile.TemporaryDirectory() as folder:
        now = [_START]
        alerts = Alerts(
            str(Path(folder) / "alerts.json"), Target("bus", "orders"), Nobody(), Counters(print), tables=tables,
            memory=2**29, now=lambda: now[0],
        )  # fmt: skip
        invocation, spans = _invocation()
        report = Report("r1", "success", "", 2**27, _START + _SECOND, memory_size=2**29, billed=1.0)
        best = float("inf")
        for _ in range(_RUNS):
            begun = time.perf_counter()
            for _ in range(_LOOPS):
                now[0] += _SECOND
                invocation.span.start, invocation.span.end = now[0] - _SECOND, now[0]
                alerts.invoked("r1", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1;Lineage=1:a87bd80c:0")
                alerts.called(spans, invocation.origin.resource)
                alerts.observe(invocation)
                alerts.reported(report)
                alerts.deliver(0.0)
            best = min(best, (time.perf_counter() - begun) / _LOOPS)
    return best * 1e6


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    figures = {"the built-in rules": measure(0), "and ten more": measure(10)}
    if as_json:
        print(json.dumps({"microseconds": figures, "budget": BUDGET}))
        return
    for name, micros in figures.items():
        print(f"{name:<24}{micros:6.1f} µs")
    print(f"{'budget':<24}{BUDGET:6.1f} µs, for the built-in rules")


if __name__ == "__main__":
    main()
