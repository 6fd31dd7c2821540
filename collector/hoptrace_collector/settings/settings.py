"""Reads every setting once, into one frozen object.

This is the only module of the collector that knows the environment, so that everything else can be built in a test
from a plain mapping. A bad value never stops the collector: it becomes one complaint and the default.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from hoptrace_collector.address import Url, is_here
from hoptrace_collector.settings.alerting import Alerting, read_alerting
from hoptrace_collector.settings.aws import Aws, read_aws
from hoptrace_collector.settings.destinations import Targets, read_destinations
from hoptrace_collector.settings.lookup import Lookup, unquote
from hoptrace_collector.settings.measuring import Measuring, read_measuring
from hoptrace_collector.settings.otlp import Otlp, read_otlp
from hoptrace_collector.settings.strategy import FlushStrategy, read_strategy

if TYPE_CHECKING:
    from hoptrace_collector.proxies import Proxies
    from hoptrace_collector.settings.sampling import Sampling

__all__ = ["Settings", "from_environment", "read"]

MANAGED_INSTANCES = "lambda-managed-instances"
SNAP_START = "snap-start"


class Settings(NamedTuple):
    """Everything that can be set; times in seconds, sizes in bytes."""

    runtime_api: str = ""
    function_name: str = ""
    function_version: str = ""
    region: str = ""
    memory: int = 0
    initialization_type: str = "on-demand"
    run_dir: str = "/tmp/.hoptrace"
    traces: Otlp = Otlp()
    metrics: Otlp = Otlp()
    logs: Otlp = Otlp()
    metric_interval: float = 60.0
    flush_timeout: float = 2.0
    strategy: FlushStrategy = FlushStrategy()
    destinations: tuple[Targets, ...] = ()
    telemetry_port: int = 4319
    otlp_port: int = 4318
    python_path: str = ""
    refused: bool = False
    queue_bytes: int = 8 * 1024 * 1024
    function_logs: bool = False
    alerting: Alerting = Alerting()
    eventbridge: Url | None = None
    aws: Aws = Aws()
    proxies: "Proxies | None" = None
    resource: tuple[tuple[str, str], ...] = ()
    measuring: Measuring = Measuring()
    sampling: "Sampling | None" = None

    @property
    def managed_instances(self) -> bool:
        """Whether this environment is never told of an INVOKE (Lambda Managed Instances)."""
        return self.initialization_type == MANAGED_INSTANCES

    @property
    def snap_start(self) -> bool:
        """Whether a snapshot is taken of this environment, of which others are made."""
        return self.initialization_type == SNAP_START

    def without_self(self, port: int) -> tuple["Settings", list[str]]:
        """Return these settings without the endpoints that are our own receiver, which listens on `port` here.

        Also the complaint of it. What listens on another port of this machine, such as a collector or a gateway of
        the user's, is none of ours and stays.
        """
        circles = [
            target
            for each in (Targets("", self.traces, self.metrics, self.logs), *self.destinations)
            for target in (each.traces, each.metrics, each.logs)
            if is_here(target.url, port)
        ]
        if not circles:
            return self, []
        names = " and ".join(dict.fromkeys(target.source for target in circles))
        line = (
            f"{names} names the collector's own receiver (port {port}): what is sent there would go in a circle, so "
            "nothing is exported. Set HOPTRACE_EXPORTER_OTLP_ENDPOINT to the backend's address; "
            f"{names} may stay for exporters in the function"
        )

        def cut(target: Otlp) -> Otlp:
            return target._replace(url=None) if target in circles else target

        cleared = self._replace(
            traces=cut(self.traces),
            metrics=cut(self.metrics),
            logs=cut(self.logs),
            destinations=tuple(
                Targets(each.name, cut(each.traces), cut(each.metrics), cut(each.logs)) for each in self.destinations
            ),
            refused=True,
        )
        return cleared, [line]


def from_environment() -> tuple[Settings, list[str]]:
    """Read the settings out of this process's environment; see `read`."""
    return read(os.environ)


def read(env: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Build the settings from `env`; return them and one complaint for each value that was not usable."""
    complaints: list[str] = []
    get = Lookup(env, complaints)
    aws = read_aws(env, get)
    proxies = _proxies(env, get)
    alerting = read_alerting(env, get)
    settings = Settings(
        runtime_api=env.get("AWS_LAMBDA_RUNTIME_API", ""),
        function_name=env.get("AWS_LAMBDA_FUNCTION_NAME", ""),
        function_version=env.get("AWS_LAMBDA_FUNCTION_VERSION", ""),
        region=aws.region,
        memory=get.whole("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", 0) * 1024 * 1024,
        initialization_type=env.get("AWS_LAMBDA_INITIALIZATION_TYPE", "") or "on-demand",
        run_dir=env.get("HOPTRACE_RUN_DIR", "") or "/tmp/.hoptrace",
        traces=read_otlp(env, get, "TRACES", aws, proxies),
        metrics=read_otlp(env, get, "METRICS", aws, proxies),
        logs=read_otlp(env, get, "LOGS", aws, proxies),
        metric_interval=get.milliseconds("OTEL_METRIC_EXPORT_INTERVAL", 60_000),
        flush_timeout=get.milliseconds("HOPTRACE_FLUSH_TIMEOUT", 2_000),
        strategy=read_strategy(env, get),
        destinations=read_destinations(env, get, aws, proxies),
        telemetry_port=get.whole("HOPTRACE_TELEMETRY_PORT", 4319, least=1, most=65_535),
        otlp_port=get.whole("HOPTRACE_OTLP_PORT", 4318, most=65_535),
        python_path=env.get("PYTHONPATH", ""),
        function_logs=get.function_logs("HOPTRACE_LOGS"),
        queue_bytes=get.whole("HOPTRACE_QUEUE_BYTES", 8 * 1024 * 1024, least=64 * 1024),
        alerting=alerting,
        eventbridge=_eventbridge(aws, get) if alerting.bus else None,
        aws=aws,
        proxies=proxies,
        resource=_resource(env, complaints),
        measuring=read_measuring(get),
        sampling=_sampling(env, get),
    )
    # The signals share variables: each is complained of once.
    return settings, list(dict.fromkeys(complaints))


def _sampling(env: Mapping[str, str], get: Lookup) -> "Sampling | None":
    if not any(env.get(name, "").strip() for name in ("HOPTRACE_SAMPLING_RATIO", "HOPTRACE_SAMPLING_KEEP")):
        return None
    # Only for who sets it.
    from hoptrace_collector.settings.sampling import read_sampling

    return read_sampling(env, get)


def _eventbridge(aws: Aws, get: Lookup) -> Url | None:
    if not aws.region and not aws.endpoints:
        get.complain("HOPTRACE_ALERT_EVENT_BUS is set but AWS_REGION is not; alerts are off")
        return None
    return aws.endpoint("events")


def _proxies(env: Mapping[str, str], get: Lookup) -> "Proxies | None":
    """Return the proxies; in small letters they win, as with curl."""

    def text(name: str) -> str:
        return env.get(name.lower(), "").strip() or env.get(name, "").strip()

    http, https = text("HTTP_PROXY"), text("HTTPS_PROXY")
    if not http and not https:
        return None
    # Only for who has one.
    from hoptrace_collector.proxies import parse_proxies

    proxies, complaints = parse_proxies(http, https, text("NO_PROXY"))
    for line in complaints:
        get.complain(line)
    return proxies


def _resource(env: Mapping[str, str], complaints: list[str]) -> tuple[tuple[str, str], ...]:
    attributes: dict[str, str] = {}
    for pair in env.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        key, equals, value = pair.partition("=")
        if key.strip() and equals:
            attributes[unquote(key.strip())] = unquote(value.strip())
        elif pair.strip():
            complaints.append("OTEL_RESOURCE_ATTRIBUTES holds an entry that is not key=value; it is left out")
    if env.get("OTEL_SERVICE_NAME", ""):
        attributes["service.name"] = env["OTEL_SERVICE_NAME"]
    return tuple(attributes.items())
