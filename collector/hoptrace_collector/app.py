"""Starts the collector: reads arguments and settings, registers if nobody has, and runs until SHUTDOWN."""

import json
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from hoptrace_collector.collector import Collector
from hoptrace_collector.counters import Counters
from hoptrace_collector.extension.client import Client, ExtensionsApiError, parse_event
from hoptrace_collector.extension.lifecycle import Lifecycle
from hoptrace_collector.receive.bell import Bell, prepare
from hoptrace_collector.receive.cursor import write_atomically
from hoptrace_collector.receive.otlp_listener import OtlpListener
from hoptrace_collector.receive.telemetry import TelemetryListener
from hoptrace_collector.settings import Settings, from_environment
from hoptrace_collector.told import Invoke, Shutdown

__all__ = ["main"]

# Between two flushes where no event tells that an invocation is over, in seconds.
IDLE_EVERY = 1.0


class Arguments(NamedTuple):
    """What the shell hands over."""

    name: str = "hoptrace-collector"
    extension_id: str = ""
    events: tuple[str, ...] = ()
    rung: bool = False
    unattached: bool = False
    untold: bool = False
    registration: str = ""
    telemetry_port: int = 0
    bell_fd: int | None = None
    records_fd: int | None = None


def main(argv: Sequence[str]) -> int:
    """Run the collector until SHUTDOWN; returns 0 and never raises an Exception.

    Arguments: `--name NAME`, `--extension-id ID` (absent: it registers itself), `--event JSON` (received already, may
    be repeated in the order of receipt; the last one is still open), `--rung` (that event's invocation is over),
    `--unattached` (the user has been told that the function is not traced), `--untold` (there is no Telemetry API),
    `--registration JSON`, `--telemetry-port N`, `--bell-fd N` and `--records-fd N` (what the shell has open).
    """
    counters = Counters()
    settings, complaints = from_environment()
    arguments = _arguments(argv)
    if not arguments.telemetry_port:
        arguments = arguments._replace(telemetry_port=settings.telemetry_port)
    if arguments.unattached:
        settings = settings._replace(python_path="")
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
    idle_every = (settings.strategy.every or IDLE_EVERY) if settings.managed_instances else None
    life = Lifecycle(client, bell, collector, counters, idle_every=idle_every, snap_start=settings.snap_start)
    life.run(events[-1] if events else None, rung=arguments.rung)
    return 0


class _Nothing:
    """Stands in for a collector that could not be made: the events are answered all the same."""

    attached = True

    def started(self, event: Invoke | Shutdown | None) -> None: ...
    def invoked(self, event: Invoke) -> None: ...
    def running(self, deadline: float) -> None: ...
    def gone(self) -> None: ...
    def over(self, event: Invoke, /) -> None: ...
    def drain(self, deadline: float) -> None: ...
    def flush(self, deadline: float) -> None: ...
    def released(self) -> None: ...
    def snapshot(self, deadline: float) -> None: ...
    def restored(self) -> None: ...
    def shutdown(self, event: Shutdown, deadline: float) -> None: ...

    def unfinished(self, _: Invoke) -> bool:
        return False


def _collector(
    settings: Settings, arguments: Arguments, missed: list[Invoke | Shutdown], counters: Counters
) -> tuple[Collector | _Nothing, Bell | None]:
    bell = None
    try:
        bell = _bell(settings.run_dir, arguments.bell_fd)
    except Exception as error:  # a collector that cannot work still answers
        counters.failed("bell", error)
    try:
        telemetry = None if arguments.untold else _listen(arguments.telemetry_port, counters, settings)
        receiver = _receive(settings, counters)
        if receiver is not None:
            settings, complaints = settings.without_self(receiver.port)
            for complaint in complaints:
                counters.say("self", complaint)
        collector = Collector(
            settings,
            counters,
            missed=missed,
            telemetry=telemetry,
            registration=_json(arguments.registration),
            records=arguments.records_fd,
        )
        if receiver is not None:
            receiver.start(collector.inbox)
        return collector, bell
    except Exception as error:
        counters.failed("start", error)
        return _Nothing(), None


def _bell(run_dir: str, descriptor: int | None) -> Bell:
    if descriptor is not None:
        try:
            return Bell(os.path.join(run_dir, "bell"), descriptor)
        except OSError:
            pass  # not open after all
    path = prepare(run_dir)
    # A tracer whose files were wiped goes on with these.
    os.close(os.open(os.path.join(run_dir, "records.jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    return Bell(path)


def _listen(port: int, counters: Counters, settings: Settings) -> TelemetryListener | None:
    log_bytes = settings.queue_bytes // 2 if settings.function_logs else 0
    try:
        listener = TelemetryListener(port, counters, log_bytes=log_bytes)
        listener.start()
        return listener
    except OSError as error:
        counters.failed("telemetry", error)
        return None


def _receive(settings: Settings, counters: Counters) -> OtlpListener | None:
    """Open the port for anyone's OTLP, and write down which it is where others can find it."""
    if not settings.otlp_port:
        return None
    try:
        receiver = OtlpListener(settings.otlp_port, counters)
    except OSError as error:
        counters.failed("otlp receiver", error)
        return None
    if receiver.port != settings.otlp_port:
        counters.say(
            "otlp port",
            f"port {settings.otlp_port} is taken by another process; OTLP is received on port {receiver.port} instead. "
            "Set HOPTRACE_OTLP_PORT to a free port, or to 0 for none",
        )
    try:
        write_atomically(os.path.join(settings.run_dir, "otlp_port"), b"%d\n" % receiver.port)
    except OSError:
        pass  # whoever listens where he always does is found without
    return receiver


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
    flags, rest = set(), iter(argv)
    for word in rest:
        if word in ("--rung", "--unattached", "--untold"):
            flags.add(word)
        elif word.startswith("--"):
            values.setdefault(word, []).append(next(rest, ""))

    def last(name: str, default: str) -> str:
        return values.get(name, [default])[-1]

    port = last("--telemetry-port", "")
    return Arguments(
        name=last("--name", "hoptrace-collector"),
        extension_id=last("--extension-id", ""),
        events=tuple(values.get("--event", ())),
        rung="--rung" in flags,
        unattached="--unattached" in flags,
        untold="--untold" in flags,
        registration=last("--registration", ""),
        telemetry_port=_number(port) or 0,
        bell_fd=_number(last("--bell-fd", "")),
        records_fd=_number(last("--records-fd", "")),
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _event(text: str) -> Invoke | Shutdown | None:
    return parse_event(_json(text))


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
