"""The demo from end to end, in an order that can be read.

Emulator and local Lambda are up for the whole run and are stopped whatever happens. What is judged and shown is
collected after the local Lambda was shut down: only then has every collector sent what it had.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from hoptrace_local.demo import stack
from hoptrace_local.demo.browser import Visit
from hoptrace_local.demo.orders import NORMAL, ORDERS, SLOW
from hoptrace_local.demo.outcome import Counted, Outcome
from hoptrace_local.forward import Forwarder
from hoptrace_local.lambda_host import PATIENT_SHUTDOWN, FunctionConfig, LambdaHost
from hoptrace_local.sink import OtlpSink
from hoptrace_local.stage import parts
from hoptrace_local.stage.emulator import CREDENTIALS, REGION, Emulator
from hoptrace_local.stage.steps import Steps
from hoptrace_local.stage.wiretap import Wiretap

MEMORY = 512
EVENT_BUS = "default"
PACE = 0.1

T = TypeVar("T")


def run(console: Console, environ: Mapping[str, str], keep: Path | None = None) -> Outcome:
    """Run the demo once.

    Args:
        console: where the steps show.
        environ: where `OTEL_EXPORTER_OTLP_*` says whether the trace goes to a backend as well.
        keep: a folder to keep logs in; by default they are in a temporary one that is removed.

    Raises:
        StepFailed: a step did not work out.
    """
    steps = Steps(console)
    with ExitStack() as resources:
        folder = resources.enter_context(_folder(keep))
        forward = Forwarder.from_environment(environ)
        sink = resources.enter_context(OtlpSink(forward=forward))
        emulator = resources.enter_context(Emulator(folder / "ministack"))
        if forward is not None:
            with steps.step(f"Reach the backend at {forward.endpoints['traces']}", 20):
                forward.reach("traces")
        with steps.step("Build the layer", 300):
            layer = parts.layer()
        with steps.step("Start the emulated AWS", 40):
            emulator.start()
        steps.watch("emulated AWS", lambda: emulator.log.read_text(errors="replace"))
        with steps.step("Create topic, queue and table", 40):
            made = stack.make_stores(emulator)
        with steps.step("Start the local Lambda with the layer attached", 40):
            log = resources.enter_context((folder / "functions.log").open("w", encoding="utf-8", buffering=1))
            host = resources.enter_context(
                LambdaHost(
                    _functions(layer, made, emulator, sink),
                    state_dir=folder / "lambda",
                    on_log=lambda name, line: print(f"{name}: {line}", file=log),
                )
            )
            tap = resources.enter_context(Wiretap(f"http://127.0.0.1:{host.serve(0)}"))
        steps.watch("functions", lambda: Path(log.name).read_text(errors="replace"))
        with steps.step("Create functions, HTTP API, event source mapping and rules", 40):
            stack.register_functions(emulator, parts.application(), tap.url)
            stack.wire(emulator, made)
        visit = Visit()
        with steps.step(f"Place {len(ORDERS)} orders in parallel", 90):
            visit.place(made.orders_url, ORDERS)
            visit.report(sink.endpoint)
        with steps.step("Bill them as one batch", 60):
            stack.wait_for_queue(emulator, made, len(ORDERS), 20)
            stack.open_queue(emulator, made)
            mapping_result = _wait(lambda: stack.last_result(emulator, made))
        with steps.step("Ship what was billed", 60):
            shipped = {NORMAL["order"]: _wait(lambda: stack.item(emulator, made, f"shipment#{NORMAL['order']}"))}
        with steps.step("Wait for the slow carrier's timeout, the alert and the remedy", 45):
            circuit = _wait(lambda: stack.item(emulator, made, "circuit#shipping"))
            shipped[SLOW["order"]] = stack.item(emulator, made, f"shipment#{SLOW['order']}")
            # The emulator's calls end a moment after their effects.
            _wait(lambda: len(tap.answered) >= len(ORDERS) + 4)
        with steps.step("Shut the functions down, so that every collector flushes", 60):
            for name in stack.FUNCTIONS:
                host.shutdown(name)
            counted = {name: _counted(host, name) for name in stack.FUNCTIONS}
            host.shutdown()
        if forward is not None:
            with steps.step(f"Send the same trace to {forward.endpoints['traces']}", 60):
                _forwarded(console, forward)
        return Outcome(
            visit=visit,
            spans=sink.spans,
            points=sink.metrics,
            counted=counted,
            answered=tap.answered,
            mapping_result=mapping_result,
            shipments=shipped,
            circuit=circuit,
            timeouts={name: float(seconds) for name, seconds in stack.TIMEOUTS.items()},
            steps=steps.taken,
        )


def _functions(layer: Path, made: stack.Stack, emulator: Emulator, sink: OtlpSink) -> list[FunctionConfig]:
    app = parts.application()
    common = {
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint,
        "HOPTRACE_ALERT_EVENT_BUS": EVENT_BUS,
    }
    return [
        FunctionConfig(
            name=name,
            code=app / name,
            handler="app.handler",
            layers=(layer,),
            environment={**common, **made.environment(name)},
            timeout=stack.TIMEOUTS[name],
            shutdown_timeout=PATIENT_SHUTDOWN,
            memory=MEMORY,
            region=REGION,
            account_id=stack.ACCOUNT,
        )
        for name in stack.FUNCTIONS
    ]


def _counted(host: LambdaHost, name: str) -> Counted:
    stats = host.stats(name)
    return Counted(stats.invocations, stats.cold_starts, stats.errors, stats.timeouts, stats.peak_concurrency)


def _forwarded(console: Console, forward: Forwarder) -> None:
    """Wait for the backend; a trace that it refused is a failure, other signals are a remark."""
    if not forward.drain(50):
        raise RuntimeError("the backend did not take everything in time")
    lost = [failure for failure in forward.failures if failure.signal == "traces"]
    if lost:
        raise RuntimeError(f"{lost[0].url} did not take {len(lost)} of the trace's parts: {lost[0].reason}")
    for signal in sorted({failure.signal for failure in forward.failures}):
        reason = next(failure.reason for failure in forward.failures if failure.signal == signal)
        console.print(f"[yellow]![/] the backend takes no {signal}: {reason}", highlight=False)


def _wait(look: Callable[[], T]) -> T:
    """Look until there is something; the step around it has the limit."""
    while not (found := look()):
        time.sleep(PACE)
    return found


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="hoptrace-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
