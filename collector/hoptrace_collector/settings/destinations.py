"""Further destinations: each has a name, and all the variables of OpenTelemetry's exporters under that name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from hoptrace_collector.settings.aws import Aws
from hoptrace_collector.settings.lookup import Lookup
from hoptrace_collector.settings.otlp import Otlp, read_otlp

if TYPE_CHECKING:
    from hoptrace_collector.proxies import Proxies

__all__ = ["Targets", "read_destinations"]

_SIGNALS = ("traces", "metrics", "logs")
_PLAIN = "OTEL_EXPORTER_OTLP_"
# Of the first destination only: what they say is not said of another.
_FIRST = (_PLAIN, "HOPTRACE_EXPORTER_", "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER")
# What has another name for the first.
_OTHER = {"AUTH": "HOPTRACE_EXPORTER_OTLP_AUTH"}
_MOST = 8


class Targets(NamedTuple):
    """Where the signals go at the destination `name`."""

    name: str
    traces: Otlp = Otlp()
    metrics: Otlp = Otlp()
    logs: Otlp = Otlp()


def read_destinations(env: Mapping[str, str], get: Lookup, aws: Aws, proxies: "Proxies | None") -> tuple[Targets, ...]:
    """Read HOPTRACE_DESTINATIONS, the names, and of each HOPTRACE_DESTINATION_<NAME>_…."""
    found = []
    names = [name.strip() for name in env.get("HOPTRACE_DESTINATIONS", "").split(",") if name.strip()]
    for name in list(dict.fromkeys(names))[:_MOST]:
        if not (name.replace("_", "").isalnum() and name.isascii()):
            get.complain("HOPTRACE_DESTINATIONS holds a name that is not made of letters, digits and _; it is left out")
            continue
        found.append(_destination(env, get, name, aws, proxies))
    if len(set(names)) > _MOST:
        get.complain(f"HOPTRACE_DESTINATIONS names more than {_MOST} destinations; the first {_MOST} are used")
    return tuple(found)


def _destination(env: Mapping[str, str], get: Lookup, name: str, aws: Aws, proxies: "Proxies | None") -> Targets:
    prefix = f"HOPTRACE_DESTINATION_{name.upper()}_"
    own = {variable: value for variable, value in env.items() if not variable.startswith(_FIRST)}
    for variable, value in env.items():
        if variable.startswith(prefix):
            own[_OTHER.get(variable.removeprefix(prefix), _PLAIN + variable.removeprefix(prefix))] = value
    wanted = [each.strip().lower() for each in own.get(_PLAIN + "SIGNALS", "").split(",") if each.strip()]
    if any(each not in _SIGNALS for each in wanted):
        get.complain(f"{prefix}SIGNALS holds something that is neither traces, metrics nor logs; that is left out")
    complaints: list[str] = []
    look = Lookup(own, complaints)
    targets = {
        signal: read_otlp(own, look, signal.upper(), aws, proxies)
        for signal in _SIGNALS
        if not wanted or signal in wanted
    }
    for line in complaints:
        get.complain(line.replace(_OTHER["AUTH"], prefix + "AUTH").replace(_PLAIN, prefix))
    if not any(target.configured for target in targets.values()):
        get.complain(f"{prefix}ENDPOINT is not set: nothing goes to destination {name}")
    return Targets(
        name,
        **{signal: target._replace(source=target.source.replace(_PLAIN, prefix)) for signal, target in targets.items()},
    )
