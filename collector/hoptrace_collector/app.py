"""Starts the collector: reads arguments and settings, registers if nobody has, and runs until SHUTDOWN."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from hoptrace_collector.collector import Collector
from hoptrace_collector.counters import Counters
from hoptrace_collector.extension.client import Client, ExtensionsApiError, parse_event
from hoptrace_collector.extension.lifecycle import Lifecycle
from hoptrace_collector.model import Invoke, Shutdown
from hoptrace_collector.receive.bell import Bell, prepare
from hoptrace_collector.receive.telemetry import TelemetryListener
from hoptrace_collector.settings import Settings, from_environment

__all__ = ["main"]

# Between two flushes where no event tells that an invocation is over, in seconds.
IDLE_EVERY = 1.0


class Arguments(NamedTuple):
    """What the shell hands over."""

    name: str = "hoptrace-collector"
    extension_id: str = ""
    events: tuple[str, ...] = ()
    rung: bool = False
    registration: str = ""
    telemetry_port: int = 0


def main(argv: Sequence[str]) -> int:
    """Run the collector until SHUTDOWN; returns 0 and never raises an Exception.

    Arguments: `--name NAME`, `--extension-id ID` (absent: it registers itself), `--event JSON` (received already, may
    be repeated in the order of receipt; the last one is still open), `--rung` (that event's invocation is over),
    `--registration JSON`, `--telemetry-port N`.
    """
    counters = Counters()
    settings, complaints = from_environment()
    arguments = _arguments(argv)
    if not arguments.telemetry_port:
        arguments = arguments._replace(telemetry_port=settings.telemetry_port)
    for complaint in complaints:
        counters.say(complaint, complaint)
    try:
        client = Client(settings, arguments.extension_id)
    except ValueError as error:
        counters.say("runtime api", f"AWS_LAMBDA_RUNTIME_API is not usable ({error}); this is no Lambda")
        return 0
    if not client.extension_id:
        _register(client, arguments, counters)
    events = [event for event in map(_event, arguments.events) if event is not None]
    collector, bell = _collector(settings, arguments, events[:-1], counters)
    idle_every = (settings.flush_interval or IDLE_EVERY) if settings.managed_instances else None
    life = Lifecycle(client, bell, collector, counters, idle_every=idle_every)
    life.run(events[-1] if events else None, rung=arguments.rung)
    return 0


class _Nothing:
    """Stands in for a collector that could not be made: the events are answered all the same."""

    def started(self, event: Invoke | Shutdown | None) -> None: ...
    def invoked(self, event: Invoke) -> None: ...
    def gone(self) -> None: ...
    def drain(self, deadline: float) -> None: ...
    def flush(self, deadline: float) -> None: ...
    def shutdown(self, event: Shutdown, deadline: float) -> None: ...

    def unfinished(self, _: Invoke) -> bool:
        return False


def _collector(
    settings: Settings, arguments: Arguments, missed: list[Invoke | Shutdown], counters: Counters
) -> tuple[Collector | _Nothing, Bell | None]:
    bell = None
    try:
        bell = Bell(prepare(settings.run_dir))
    except Exception as error:  # a collector that cannot work still answers
        counters.failed("bell", error)
    try:
        telemetry = _listen(arguments.telemetry_port, counters)
        registration = _json(arguments.registration)
        return (
            Collector(settings, counters, missed=missed, telemetry=telemetry, registration=registration),
            bell,
        )
    except Exception as error:
        counters.failed("start", error)
        return _Nothing(), None


def _listen(port: int, counters: Counters) -> TelemetryListener | None:
    try:
        listener = TelemetryListener(port, counters)
        listener.start()
        return listener
    except OSError as error:
        counters.failed("telemetry", error)
        return None


def _register(client: Client, arguments: Arguments, counters: Counters) -> None:
    """Do what the shell would have done."""
    try:
        client.register(arguments.name)
    except ExtensionsApiError as error:
        counters.say("register", f"registering the extension failed ({error})")
        return
    try:
        client.subscribe(arguments.telemetry_port)
    except ExtensionsApiError as error:
        counters.add("telemetry_skipped", "not_subscribed")
        counters.say("subscribe", f"no Telemetry API here ({error}); memory use and causes of crashes stay unknown")


def _arguments(argv: Sequence[str]) -> Arguments:
    """Read the arguments; unknown ones are left out, since shell and Python may be of two versions."""
    values: dict[str, list[str]] = {}
    rung, rest = False, iter(argv)
    for word in rest:
        if word == "--rung":
            rung = True
        elif word.startswith("--"):
            values.setdefault(word, []).append(next(rest, ""))

    def last(name: str, default: str) -> str:
        return values.get(name, [default])[-1]

    port = last("--telemetry-port", "")
    return Arguments(
        name=last("--name", "hoptrace-collector"),
        extension_id=last("--extension-id", ""),
        events=tuple(values.get("--event", ())),
        rung=rung,
        registration=last("--registration", ""),
        telemetry_port=int(port) if port.isascii() and port.isdigit() else 0,
    )


def _event(text: str) -> Invoke | Shutdown | None:
    return parse_event(_json(text))


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
