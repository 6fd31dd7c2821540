"""Plays one pattern from end to end, and says whether the trace is what its README shows.

The emulated AWS and the layer can be shared by several patterns; the local Lambda, with every function in its own
processes, and the receiver of the spans belong to one run. What is judged came after the functions' environments were
shut down: only then has every collector sent what it had.
"""

import difflib
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hoptrace_local.lambda_host import AwsEndpoint, FunctionStats, LambdaHost
from hoptrace_local.otlp import Span
from hoptrace_local.patterns.catalog import Pattern
from hoptrace_local.patterns.resources import Resources
from hoptrace_local.patterns.stagehand import LONGEST, PACE, Stagehand
from hoptrace_local.patterns.wiring import Wiring
from hoptrace_local.report.outline import invocations, outline
from hoptrace_local.sink import OtlpSink
from hoptrace_local.stage.emulator import REGION, Emulator
from hoptrace_local.stage.loopback import open_url
from hoptrace_local.stage.soundness import Check, miscounted, said, senseless_hops, unresolved
from hoptrace_local.stage.steps import Steps
from hoptrace_local.stage.wiretap import Answered, Wiretap
from hoptrace_local.strict import StrictFront

OURS = "hoptrace: internal error"


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    pattern: Pattern
    spans: list[Span]
    stats: Mapping[str, FunctionStats]
    answered: list[Answered]
    trace_headers: Mapping[str, list[str]]
    log: str
    late: str = ""
    checks: list[Check] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """The spans written down."""
        return outline(self.spans, self.pattern.functions)

    def as_json(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        return {
            "pattern": self.pattern.name,
            "title": self.pattern.title,
            "outline": self.lines,
            "expected": list(self.pattern.expected),
            "spans": [{**asdict(span), "service": span.service} for span in self.spans],
            "functions": {name: asdict(stats) for name, stats in self.stats.items()},
            "answered": [asdict(answer) for answer in self.answered],
            "checks": [{"name": check.name, "ok": check.ok, "wrong": check.wrong} for check in self.checks],
        }


def play(pattern: Pattern, emulator: Emulator, layer: Path, folder: Path, steps: Steps, quiet: float = 0.0) -> Outcome:
    """Run a pattern once in an emulated AWS that is up; whatever else is in it is gone afterwards.

    Args:
        layer: the layer that is attached to every function.
        folder: where the functions run and their logs are.
        quiet: seconds without a new invocation after which it is over, whatever is written down; 0 for what is.

    Raises:
        StepFailed: a step did not work out.
    """
    with ExitStack() as things:
        with steps.step(f"Build {pattern.name} as its template says", 40):
            _reset(emulator)
            resources = Resources(pattern.template, emulator)
            resources.make()
            wiring = Wiring(pattern.template, resources, emulator)
            sink = things.enter_context(OtlpSink())
            front = things.enter_context(StrictFront(emulator.endpoint))
            log = things.enter_context((folder / "functions.log").open("w", encoding="utf-8", buffering=1))
            host = things.enter_context(
                LambdaHost(
                    state_dir=folder / "lambda",
                    on_log=lambda name, line: print(f"{name}: {line}", file=log),
                    aws=AwsEndpoint(front.url, REGION),
                )
            )
            steps.watch("functions", lambda: Path(log.name).read_text(errors="replace"))
            tap = things.enter_context(Wiretap(f"http://127.0.0.1:{host.serve(0)}", trace_header=front.trace_header))
            environment = {
                "AWS_ENDPOINT_URL": front.url,
                "AWS_ENDPOINT_URL_LAMBDA": tap.target,
                "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint,
            }
            for name in pattern.template.functions:
                host.add(wiring.config(name, layer, environment))
                wiring.register(name, tap.url)
            wiring.connect()
            hand = Stagehand(emulator, host, resources, wiring)
            things.callback(hand.close)
        with steps.step("Play it", 90):
            _hook(pattern, "start")(hand)
            late = _until_quiet(pattern, host, quiet) if quiet else _until_played(pattern, host)
            if not late and pattern.hook("finish") is not None:
                _hook(pattern, "finish")(hand)
        with steps.step("Shut the functions down, so that every collector flushes", 60):
            names = pattern.functions
            for name in names:
                host.settle(name)
            stats = {name: host.stats(name) for name in names}
            headers = {name: _trace_headers(host, name) for name in names}
            host.shutdown()
        outcome = Outcome(
            pattern, sink.spans, stats, tap.answered, headers, Path(log.name).read_text(errors="replace"), late
        )
    outcome.checks.extend(judge(outcome))
    return outcome


def judge(outcome: Outcome) -> list[Check]:
    """Say what holds of a run: what must hold of every pattern, and what its own `judge` asks."""
    counted = {name: stats.invocations for name, stats in outcome.stats.items()}
    checks = [
        Check("the trace is the one that is written down", outcome.late or _difference(outcome)),
        Check("every parent and every link leads to a span", said(unresolved(outcome.spans))),
        Check("nothing lost: a span for every invocation, each once", said(miscounted(outcome.spans, counted))),
        Check("hops lie between what they connect", said(senseless_hops(outcome.spans))),
        Check("the layer had no error of its own", said([line for line in outcome.log.splitlines() if OURS in line])),
    ]
    own = outcome.pattern.hook("judge")
    return checks + [Check(name, wrong) for name, wrong in (own(outcome) if own is not None else ())]


def _difference(outcome: Outcome) -> str:
    lines = outcome.lines
    if lines == list(outcome.pattern.expected):
        return ""
    changed = difflib.unified_diff(outcome.pattern.expected, lines, "written down", "came", lineterm="", n=0)
    return "\n" + "\n".join(changed)


def _until_played(pattern: Pattern, host: LambdaHost) -> str:
    """Wait until every function ran as often as the outline says; what is missing when that does not happen."""
    limit = time.monotonic() + LONGEST
    wanted: Counter[str] = invocations(pattern.expected)
    while missing := {name: count for name, count in wanted.items() if host.stats(name).invocations < count}:
        if time.monotonic() > limit:
            ran = {name: host.stats(name).invocations for name in missing}
            return f"within {LONGEST:.0f} s there were {ran} invocations of {missing}"
        time.sleep(PACE)
    return ""


def _until_quiet(pattern: Pattern, host: LambdaHost, seconds: float) -> str:
    ran, since = -1, time.monotonic()
    while time.monotonic() - since < seconds:
        before, ran = ran, sum(host.stats(name).invocations for name in pattern.functions)
        if ran != before:
            since = time.monotonic()
        time.sleep(PACE)
    return ""


def _trace_headers(host: LambdaHost, name: str) -> list[str]:
    """The trace header of each invocation, as the platform told it."""
    return [
        str(event["record"].get("tracing", {}).get("value", ""))
        for event in host.telemetry(name)
        if event["type"] == "platform.start"
    ]


def _hook(pattern: Pattern, name: str) -> Any:
    hook = pattern.hook(name)
    assert hook is not None
    return hook


def _reset(emulator: Emulator) -> None:
    request = urllib.request.Request(f"{emulator.endpoint}/_ministack/reset", b"", method="POST")
    with open_url(request, timeout=20) as response:
        response.read()
