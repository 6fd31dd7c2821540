"""Invocations that are killed at random instants, and the truth about them from the function's own notes."""

import json
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hoptrace_local.lambda_host import FunctionConfig, LambdaHost, LambdaHostError
from hoptrace_local.sink import OtlpSink
from tests.support import parts

WORK = """
import os, time
from hoptrace.spans import activate, restore, start_span

notes = os.open(os.environ["NOTES"], os.O_APPEND | os.O_CREAT | os.O_WRONLY)

def note(what, span):
    os.write(notes, f"{what} {span.context.span_id}\\n".encode())

def handler(event, context):
    os.write(notes, f"began {context.aws_request_id}\\n".encode())
    pause = event["seconds"] / (event["spans"] or 1)
    for _ in range(event["spans"] // 2):
        outer = start_span("outer")
        note("open", outer)
        token = activate(outer)
        inner = start_span("inner", 3, {"server.address": "orders.example"})
        note("open", inner)
        time.sleep(pause)
        inner.end()
        note("ended", inner)
        restore(token)
        outer.end()
        note("ended", outer)
    if event["how"] == "timeout":
        last = start_span("waits")
        note("open", last)
        time.sleep(60)
    if event["how"] == "oom":
        held = bytearray(600 << 20)
    return "well"
"""
FUNCTIONS = 4
_LAST = 10


@dataclass
class Tally:
    """What a campaign has found."""

    invocations: int = 0
    died: Counter[str] = field(default_factory=Counter)
    ended: int = 0
    cut_short: int = 0
    lost: list[str] = field(default_factory=list)
    unclosed: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    without_span: list[str] = field(default_factory=list)
    called_well: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        died = ", ".join(f"{count} {how}" for how, count in sorted(self.died.items()))
        return (
            f"{self.invocations} invocations ({died}), {self.ended} ended spans, {self.cut_short} cut short; "
            f"lost {len(self.lost)}, not closed {len(self.unclosed)}, twice {len(self.twice)}, invocations without a "
            f"span {len(self.without_span)}, failures called a success {len(self.called_well)}"
        )

    def details(self) -> str:
        found = {"lost": self.lost, "unclosed": self.unclosed, "twice": self.twice, "without": self.without_span}
        return f"{self}\n{ {what: which[:20] for what, which in found.items()} } {self.called_well[:20]}"

    @property
    def clean(self) -> bool:
        return not (self.lost or self.unclosed or self.twice or self.without_span or self.called_well)


def round_of(
    count: int, folder: Path, tally: Tally, chosen: random.Random, *, memory: int = 512, cpu_quota: bool = False
) -> None:
    """Run `count` invocations in a new local Lambda, and add to `tally` what became of them."""
    notes = folder / "notes"
    (folder / "app.py").write_text(WORK)
    with OtlpSink() as sink:
        configs = [
            FunctionConfig(
                f"f{number}",
                folder,
                "app.handler",
                layers=(parts.layer(),),
                environment={"NOTES": str(notes), "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint},
                timeout=20.0 if cpu_quota else 1.5,
                memory=memory,
                cpu_quota=cpu_quota,
            )
            for number in range(1 if cpu_quota else FUNCTIONS)
        ]
        results: list[tuple[str, Any]] = []
        with LambdaHost(configs) as host, ThreadPoolExecutor(FUNCTIONS) as pool:
            events = [_event(chosen, slow=cpu_quota) for _ in range(count)]
            share = [events[place :: len(configs)] for place in range(len(configs))]
            pool.map(lambda each: _run(host, *each, results), zip(configs, share, strict=True))
            pool.shutdown()
            # What a generation could not send in its two seconds is the next one's; nobody follows the last.
            for _ in range(_LAST):
                results += [("well", host.invoke(config.name, _payload("well", 0, 0.0))) for config in configs]
                if not _missing(notes, sink):
                    break
        spans = sink.spans
    _judge(tally, results, notes.read_text().split("\n"), spans)


def _missing(notes: Path, sink: OtlpSink) -> set[str]:
    told = {line.partition(" ")[2] for line in notes.read_text().splitlines() if not line.startswith("began")}
    return told - {span.span_id for span in sink.spans}


def _event(chosen: random.Random, *, slow: bool) -> tuple[str, int, float, float]:
    how = chosen.choices(["kill", "timeout", "oom", "well"], [70, 0 if slow else 12, 8, 10])[0]
    return how, chosen.randint(0, 500), chosen.uniform(0.02, 0.3), chosen.uniform(0.0, 6.0 if slow else 0.45)


def _payload(how: str, spans: int, seconds: float) -> bytes:
    return json.dumps({"how": how, "spans": spans, "seconds": seconds}).encode()


def _run(host: LambdaHost, config: FunctionConfig, events: list[Any], results: list[tuple[str, Any]]) -> None:
    for how, spans, seconds, instant in events:
        killer = threading.Thread(target=_kill, args=(host, config.name, instant)) if how == "kill" else None
        if killer is not None:
            killer.start()
        results.append((how, host.invoke(config.name, _payload(how, spans, seconds))))
        if killer is not None:
            killer.join()


def _kill(host: LambdaHost, name: str, instant: float) -> None:
    time.sleep(instant)
    try:
        host.kill_runtime(name)
    except LambdaHostError:
        pass  # it had not started yet, or was over already


def _judge(tally: Tally, results: list[tuple[str, Any]], notes: list[str], spans: list[Any]) -> None:
    said: dict[str, set[str]] = {"began": set(), "open": set(), "ended": set()}
    for line in notes:
        what, space, which = line.partition(" ")
        if space:
            said[what].add(which)
    sent = Counter(span.span_id for span in spans)
    invocations = Counter(str(span.attributes.get("faas.invocation_id", "")) for span in spans)
    status = {str(span.attributes.get("faas.invocation_id", "")): span.status for span in spans}
    tally.invocations += len(results)
    tally.ended += len(said["ended"])
    tally.cut_short += len(said["open"] - said["ended"])
    tally.lost += said["ended"] - set(sent)
    tally.unclosed += said["open"] - said["ended"] - set(sent)
    tally.twice += [each for each, count in sent.items() if count > 1]
    for how, result in results:
        request_id = result.request_id
        if result.function_error:
            tally.died[how] += 1
            if status.get(request_id) not in ("ERROR", None):
                tally.called_well.append(request_id)
        if invocations[request_id] != 1:
            tally.without_span.append(f"{request_id} {how} {invocations[request_id]} {result.payload[:80]!r}")
