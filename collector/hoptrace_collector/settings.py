"""Reads every setting once, into one frozen object.

This is the only module of the collector that knows the environment, so that everything else can be built in a test
from a plain mapping. A bad value never stops the collector: it becomes one complaint and the default.
"""

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from hoptrace_collector.address import Url, is_here, parse_url

__all__ = ["Otlp", "Secret", "Settings", "Url", "from_environment", "parse_url", "read", "unquote"]

MANAGED_INSTANCES = "lambda-managed-instances"

_T = TypeVar("_T")


class Secret:
    """A text that does not show itself when something prints it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(…)"


class Otlp(NamedTuple):
    """Where one signal goes and how; `url` None means nowhere, `source` is the variable that it came from."""

    url: Url | None = None
    headers: tuple[tuple[str, Secret], ...] = ()
    timeout: float = 10.0
    gzip: bool = False
    certificate: str = ""
    client_certificate: str = ""
    client_key: str = ""
    source: str = ""


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
    flush_interval: float = 0.0
    telemetry_port: int = 4319
    otlp_port: int = 4318
    python_path: str = ""
    refused: bool = False
    queue_bytes: int = 8 * 1024 * 1024
    function_logs: bool = False
    alert_bus: str = ""
    eventbridge: Url | None = None
    access_key: str = ""
    secret_key: Secret = Secret("")
    session_token: Secret = Secret("")
    credentials_uri: str = ""
    credentials_token: Secret = Secret("")
    resource: tuple[tuple[str, str], ...] = ()

    @property
    def managed_instances(self) -> bool:
        """Whether this environment is never told of an INVOKE (Lambda Managed Instances)."""
        return self.initialization_type == MANAGED_INSTANCES

    def without_self(self, port: int) -> tuple["Settings", list[str]]:
        """Return these settings without the endpoints that are our own receiver, which listens on `port` here.

        Also the complaint of it. What listens on another port of this machine, such as a collector or a gateway of
        the user's, is none of ours and stays.
        """
        circles = [target for target in (self.traces, self.metrics, self.logs) if is_here(target.url, port)]
        if not circles:
            return self, []
        names = " and ".join(dict.fromkeys(target.source for target in circles))
        line = (
            f"{names} names the collector's own receiver (port {port}): what is sent there would go in a circle, so "
            "nothing is exported. Set HOPTRACE_EXPORTER_OTLP_ENDPOINT to the backend's address; "
            f"{names} may stay for exporters in the function"
        )
        traces, metrics, logs = (
            target._replace(url=None) if target in circles else target
            for target in (self.traces, self.metrics, self.logs)
        )
        return self._replace(traces=traces, metrics=metrics, logs=logs, refused=True), [line]


def from_environment() -> tuple[Settings, list[str]]:
    """Read the settings out of this process's environment; see `read`."""
    return read(os.environ)


def read(env: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Build the settings from `env`; return them and one complaint for each value that was not usable."""
    complaints: list[str] = []
    get = _Getter(env, complaints)
    region = env.get("AWS_REGION", "") or env.get("AWS_DEFAULT_REGION", "")
    bus = env.get("HOPTRACE_ALERT_EVENT_BUS", "").strip()
    settings = Settings(
        runtime_api=env.get("AWS_LAMBDA_RUNTIME_API", ""),
        function_name=env.get("AWS_LAMBDA_FUNCTION_NAME", ""),
        function_version=env.get("AWS_LAMBDA_FUNCTION_VERSION", ""),
        region=region,
        memory=get.whole("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", 0) * 1024 * 1024,
        initialization_type=env.get("AWS_LAMBDA_INITIALIZATION_TYPE", "") or "on-demand",
        run_dir=env.get("HOPTRACE_RUN_DIR", "") or "/tmp/.hoptrace",
        traces=_otlp(env, get, "TRACES"),
        metrics=_otlp(env, get, "METRICS"),
        logs=_otlp(env, get, "LOGS"),
        metric_interval=get.milliseconds("OTEL_METRIC_EXPORT_INTERVAL", 60_000),
        flush_timeout=get.milliseconds("HOPTRACE_FLUSH_TIMEOUT", 2_000),
        flush_interval=get.milliseconds("HOPTRACE_FLUSH_INTERVAL", 0, least=0),
        telemetry_port=get.whole("HOPTRACE_TELEMETRY_PORT", 4319, least=1, most=65_535),
        otlp_port=get.whole("HOPTRACE_OTLP_PORT", 4318, most=65_535),
        python_path=env.get("PYTHONPATH", ""),
        function_logs=get.function_logs("HOPTRACE_LOGS"),
        queue_bytes=get.whole("HOPTRACE_QUEUE_BYTES", 8 * 1024 * 1024, least=64 * 1024),
        alert_bus=bus,
        eventbridge=_eventbridge(env, get, region) if bus else None,
        access_key=env.get("AWS_ACCESS_KEY_ID", ""),
        secret_key=Secret(env.get("AWS_SECRET_ACCESS_KEY", "")),
        session_token=Secret(env.get("AWS_SESSION_TOKEN", "")),
        credentials_uri=env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", ""),
        credentials_token=Secret(env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")),
        resource=_resource(env, complaints),
    )
    # The signals share variables: each is complained of once.
    return settings, list(dict.fromkeys(complaints))


def unquote(text: str) -> str:
    """Decode %XX as UTF-8. What is no valid escape stays as it is."""
    if "%" not in text:
        return text
    first, *rest = text.encode("utf-8", "replace").split(b"%")
    out = [first]
    for part in rest:
        digits = part[:2]
        escape = len(digits) == 2 and all(digit in b"0123456789abcdefABCDEF" for digit in digits)
        out += [bytes([int(digits, 16)]), part[2:]] if escape else [b"%", part]
    return b"".join(out).decode("utf-8", "replace")


class _Getter:
    """Typed look-ups that complain once and fall back."""

    def __init__(self, env: Mapping[str, str], complaints: list[str]) -> None:
        self._env = env
        self._complaints = complaints

    def _parsed(self, name: str, default: _T, parse: Callable[[str], _T], wanted: str) -> _T:
        text = self._env.get(name, "").strip()
        if not text:
            return default
        try:
            return parse(text)
        except ValueError:
            self._complaints.append(f"{name}={text[:40]!r} is not {wanted}; the default is used")
            return default

    def whole(self, name: str, default: int, least: int = 0, most: int = 2**53) -> int:
        def parse(text: str) -> int:
            if not (text.isascii() and text.isdigit() and len(text) < 19 and least <= int(text) <= most):
                raise ValueError
            return int(text)

        return self._parsed(name, default, parse, f"a whole number from {least} to {most}")

    def milliseconds(self, name: str, default: int, least: int = 1) -> float:
        """Return seconds; the variable is a whole number of milliseconds, as OpenTelemetry says of every duration."""
        return self.whole(name, default, least=least, most=2**31 - 1) / 1000.0

    def url(self, name: str) -> Url | None:
        text = self._env.get(name, "").strip()
        if not text:
            return None
        try:
            return parse_url(text)
        except ValueError as error:
            self._complaints.append(f"{name} is not an address that can be used: {error}")
            return None

    def function_logs(self, name: str) -> bool:
        def parse(text: str) -> bool:
            if text.lower() not in ("otlp", "none"):
                raise ValueError
            return text.lower() == "otlp"

        return self._parsed(name, False, parse, "otlp or none")

    def complain(self, line: str) -> None:
        self._complaints.append(line)


def _otlp(env: Mapping[str, str], get: _Getter, signal: str) -> Otlp:
    """Apply the rules of the OTLP exporter's specification: a signal's own variable wins over the general one.

    Over both wins ours, for a function whose own exporter sends somewhere else, such as to the collector.
    """

    def either(name: str) -> str:
        for variable in (f"HOPTRACE_EXPORTER_OTLP_{name}", f"OTEL_EXPORTER_OTLP_{signal}_{name}"):
            if env.get(variable, "").strip():
                return variable
        return f"OTEL_EXPORTER_OTLP_{name}"

    if env.get(f"OTEL_{signal}_EXPORTER", "").strip().lower() == "none":
        return Otlp()
    endpoint = either("ENDPOINT")
    url = get.url(endpoint)
    if url is not None and endpoint in ("OTEL_EXPORTER_OTLP_ENDPOINT", "HOPTRACE_EXPORTER_OTLP_ENDPOINT"):
        path, mark, query = url.target.partition("?")
        url = url._replace(target=f"{path.rstrip('/')}/v1/{signal.lower()}{mark}{query}")
    protocol = env.get(either("PROTOCOL"), "").strip().lower()
    ours = endpoint.startswith("HOPTRACE_") and not either("PROTOCOL").startswith("HOPTRACE_")
    if url is not None and protocol not in ("", "http/protobuf") and not ours:
        get.complain(f"{either('PROTOCOL')}={protocol[:20]!r} is not spoken here; http/protobuf is used")
    compression = env.get(either("COMPRESSION"), "").strip().lower()
    if compression not in ("", "none", "gzip"):
        get.complain(f"{either('COMPRESSION')}={compression[:20]!r} is neither gzip nor none; none is used")
    return Otlp(
        url=url,
        headers=_headers(env.get(either("HEADERS"), ""), either("HEADERS"), get),
        timeout=get.milliseconds(either("TIMEOUT"), 10_000),
        gzip=compression == "gzip",
        certificate=env.get(either("CERTIFICATE"), ""),
        client_certificate=env.get(either("CLIENT_CERTIFICATE"), ""),
        client_key=env.get(either("CLIENT_KEY"), ""),
        source=endpoint if url is not None else "",
    )


def _headers(text: str, name: str, get: _Getter) -> tuple[tuple[str, Secret], ...]:
    headers = []
    for at, pair in enumerate(text.split(","), 1):
        if not pair.strip():
            continue
        key, equals, value = pair.partition("=")
        key, value = unquote(key.strip()), unquote(value.strip())
        if not equals or not _is_token(key) or not _fits_a_header(value):
            # Never quoted: it is likely to hold a password.
            get.complain(f"{name}: entry {at} is not key=value; it is left out")
            continue
        headers.append((key.lower(), Secret(value)))
    return tuple(headers)


def _is_token(text: str) -> bool:
    return bool(text) and text.isascii() and all(c.isalnum() or c in "!#$%&'*+-.^_`|~" for c in text)


def _fits_a_header(text: str) -> bool:
    return all(c == "\t" or " " <= c <= "~" or "\xa0" <= c <= "\xff" for c in text)


def _eventbridge(env: Mapping[str, str], get: _Getter, region: str) -> Url | None:
    for name in ("AWS_ENDPOINT_URL_EVENTBRIDGE", "AWS_ENDPOINT_URL"):
        if env.get(name, "").strip() and (url := get.url(name)) is not None:
            return url
    if not region:
        get.complain("HOPTRACE_ALERT_EVENT_BUS is set but AWS_REGION is not; alerts are off")
        return None
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return parse_url(f"https://events.{region}.{suffix}/")


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
