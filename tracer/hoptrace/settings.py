"""Every knob of the tracer as one frozen object, and all of its access to the environment.

Built once from a mapping at the start; what Lambda changes for each invocation (`_X_AMZN_TRACE_ID`) is read by
`trace_header()`. A wrong value gives one clear line and the default.
"""

from __future__ import annotations

import os
import sys

from .guard import say
from .version import __version__

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Mapping


DEFAULT_RUN_DIR = "/tmp/.hoptrace"

OUR_HANDLER = "hoptrace.entry.handler"
"""The handler's name for where nothing attaches on its own; `HOPTRACE_HANDLER` then names the user's."""

OPT_IN = ("kinesis", "firehose", "stepfunctions", "s3", "iot-data", "dynamodb", "authorizer")
"""What gets a context into the user's own data, and so only where it is asked for."""

_SAMPLERS = (
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
    "always_on",
    "always_off",
    "traceidratio",
)
_PROPAGATORS = ("tracecontext", "baggage", "xray", "b3", "b3multi", "datadog")
_TRUE = frozenset(("true", "1", "yes", "on"))
_CAPTURES = ("event", "response", "aws", "http", "locals")
_HTTP_METHODS = "CONNECT,DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT,QUERY,TRACE"

SECRET_WORDS = (
    "passw",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "credential",
    "authorization",
    "bearer",
    "cookie",
    "csrf",
    "xsrf",
    "jwt",
    "saml",
    "signature",
    "api key",
    "access key",
    "account key",
    "auth key",
    "private key",
    "signing key",
    "encryption key",
    "shared key",
    "session id",
    "connection string",
    "card number",
    "credit card",
    "cvv",
    "cvc",
    "iban",
    "social security",
)
"""Parts of a name by which what stands under it is taken for a secret; a space stands for any separator, or none."""

URL_WORDS = ("auth", "code", "key", "otp", "pass", "session", "sig")
"""Further parts by which this is so in a URL's query, where nothing else says what a name means."""


class Settings:
    """What the tracer was told, read-only.

    Attributes:
        disabled: as if never attached (`HOPTRACE_DISABLED`, `OTEL_SDK_DISABLED`).
        run_dir: where tracer and collector meet (`HOPTRACE_RUN_DIR`).
        sampler: what decides which traces are recorded, by name, and the share that it keeps (`OTEL_TRACES_SAMPLER`,
            `OTEL_TRACES_SAMPLER_ARG`); `None` for the default, `parentbased_always_on`.
        propagators: the formats that are read and written (`OTEL_PROPAGATORS`); none of them for `none`.
        inject_disabled: services whose calls get no context, by botocore's names, such as `sqs`
            (`HOPTRACE_INJECT_DISABLED`, comma-separated); `http` for what every HTTP client sends.
        inject_enabled: services whose calls get one though it stands in the user's own data
            (`HOPTRACE_INJECT_ENABLED`, comma-separated).
        hop_spans: whether the time in a queue, a topic, a bus … is a span of its own (`HOPTRACE_HOP_SPANS`).
        link_producers: whether a producer is linked to where it could be the parent (`HOPTRACE_PRODUCER=link`).
        extractor: the user's own reader of contexts, `module.function`, or empty (`HOPTRACE_EXTRACTOR`).
        dynamodb_keys: the attributes that are a table's key, by table, in the order of their names
            (`HOPTRACE_DYNAMODB_KEYS`, `orders:pk,sk;users:id`).
        watch_records: whether plain iteration over `event["Records"]` is followed (`HOPTRACE_WATCH_RECORDS`).
        http_query_keep: whether the values of a URL's query are recorded (`HOPTRACE_HTTP_QUERY=keep`).
        http_known_methods: those that name a span (`OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS`, comma-separated).
        capture: which payloads are recorded (`HOPTRACE_CAPTURE`, comma-separated): `event`, `response`, `aws`, `http`,
            and `locals` of the frames that an exception passed.
        redact: whether secrets are taken out of everything that is recorded (`HOPTRACE_REDACT`; where payloads are).
        policy: what is done about calls that are not allowed: `observe`, `block`, or nothing (`HOPTRACE_POLICY`).
        max_record_bytes: the largest record that is written whole, in bytes.
        max_file_bytes: where writing stops until the collector has shipped, in bytes.
        max_batch_records: of how many records of a batch spans are made (`HOPTRACE_MAX_BATCH_RECORDS`).
        max_batch_links: the producers of how many are read and linked to (`HOPTRACE_MAX_BATCH_LINKS`).
        attribute_count_limit, attribute_length_limit: `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT` and
            `OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT` (or `OTEL_ATTRIBUTE_…`); length in characters.
        event_count_limit: `OTEL_SPAN_EVENT_COUNT_LIMIT`.
        initialization_type: Lambda's word for how the environment was made, such as `on-demand`; empty outside Lambda.
        resource: the resource's attributes, by the OpenTelemetry conventions for AWS Lambda.
        environ: what all of this was read from, for rooms whose own settings a cold start does not need.
    """

    __slots__ = (
        "attribute_count_limit",
        "attribute_length_limit",
        "capture",
        "disabled",
        "dynamodb_keys",
        "environ",
        "event_count_limit",
        "function_name",
        "extractor",
        "hop_spans",
        "http_known_methods",
        "http_query_keep",
        "initialization_type",
        "inject_disabled",
        "inject_enabled",
        "link_producers",
        "max_batch_links",
        "max_batch_records",
        "max_file_bytes",
        "max_record_bytes",
        "function_version",
        "policy",
        "propagators",
        "redact",
        "resource",
        "run_dir",
        "sampler",
        "watch_records",
    )

    disabled: bool
    run_dir: str
    sampler: tuple[str, float] | None
    propagators: tuple[str, ...]
    inject_disabled: frozenset[str]
    inject_enabled: frozenset[str]
    hop_spans: bool
    link_producers: bool
    extractor: str
    dynamodb_keys: dict[str, tuple[str, ...]]
    watch_records: bool
    http_query_keep: bool
    http_known_methods: frozenset[str]
    capture: frozenset[str]
    redact: bool
    policy: str
    max_record_bytes: int
    max_file_bytes: int
    max_batch_records: int
    max_batch_links: int
    attribute_count_limit: int
    attribute_length_limit: int
    event_count_limit: int
    initialization_type: str
    function_name: str
    function_version: str
    resource: dict[str, object]
    environ: Mapping[str, str]

    def __init__(self, environ: Mapping[str, str]) -> None:
        put = object.__setattr__
        put(self, "environ", environ)
        put(self, "disabled", _true(environ, "HOPTRACE_DISABLED") or _true(environ, "OTEL_SDK_DISABLED"))
        put(self, "run_dir", os.path.abspath(environ.get("HOPTRACE_RUN_DIR") or DEFAULT_RUN_DIR))
        put(self, "sampler", _sampler(environ) if environ.get("OTEL_TRACES_SAMPLER") else None)
        put(self, "propagators", _propagators(environ))
        put(self, "inject_disabled", frozenset(_list(environ, "HOPTRACE_INJECT_DISABLED")))
        put(self, "inject_enabled", _some_of(environ, "HOPTRACE_INJECT_ENABLED", OPT_IN))
        put(self, "hop_spans", _choice(environ, "HOPTRACE_HOP_SPANS", ("true", "false")) == "true")
        put(self, "link_producers", _choice(environ, "HOPTRACE_PRODUCER", ("parent", "link")) == "link")
        put(self, "extractor", environ.get("HOPTRACE_EXTRACTOR", "").strip())
        put(self, "dynamodb_keys", _keys(environ, "HOPTRACE_DYNAMODB_KEYS"))
        put(self, "watch_records", _true(environ, "HOPTRACE_WATCH_RECORDS"))
        put(self, "http_query_keep", _choice(environ, "HOPTRACE_HTTP_QUERY", ("redact", "keep")) == "keep")
        methods = environ.get("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", _HTTP_METHODS).split(",")
        put(self, "http_known_methods", frozenset(name.strip() for name in methods if name.strip()))
        put(self, "capture", _some_of(environ, "HOPTRACE_CAPTURE", _CAPTURES))
        put(self, "redact", bool(self.capture) or _true(environ, "HOPTRACE_REDACT"))
        put(self, "policy", _choice(environ, "HOPTRACE_POLICY", ("off", "observe", "block")).replace("off", ""))
        put(self, "max_record_bytes", 1 << 20)
        put(self, "max_file_bytes", 16 << 20)
        put(self, "max_batch_records", _integer(environ, ("HOPTRACE_MAX_BATCH_RECORDS",), 100))
        links = _integer(environ, ("HOPTRACE_MAX_BATCH_LINKS",), 1000)
        put(self, "max_batch_links", max(links, self.max_batch_records))
        counts = ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")
        put(self, "attribute_count_limit", _integer(environ, counts, 128))
        lengths = ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
        put(self, "attribute_length_limit", _integer(environ, lengths, 16384))
        put(self, "event_count_limit", _integer(environ, ("OTEL_SPAN_EVENT_COUNT_LIMIT",), 128))
        put(self, "initialization_type", environ.get("AWS_LAMBDA_INITIALIZATION_TYPE", ""))
        put(self, "function_name", environ.get("AWS_LAMBDA_FUNCTION_NAME", ""))
        put(self, "function_version", environ.get("AWS_LAMBDA_FUNCTION_VERSION", ""))
        put(self, "resource", _resource(environ))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("settings are read-only")

    def whole(self, *names: str, default: int = 128) -> int:
        """A whole number that few need to know: the first of these variables that is set."""
        return _integer(self.environ, names, default)

    def listed(self, name: str) -> list[str]:
        """The comma-separated words of a variable that few need to know, in lower case."""
        return _list(self.environ, name)


_current: Settings | None = None


def settings() -> Settings:
    """This process's settings, read from the environment the first time."""
    global _current
    if _current is None:
        _current = Settings(os.environ)
    return _current


def use(replacement: Settings | None) -> None:
    """Put other settings in place, or with `None` have them read again; for tests."""
    global _current
    _current = replacement


def trace_header() -> str:
    """What Lambda says of this invocation's X-Ray trace (`_X_AMZN_TRACE_ID`), empty where it says nothing."""
    return os.environ.get("_X_AMZN_TRACE_ID", "")


def named_handler(asked: str) -> str:
    """The user's handler behind a handler's name: `HOPTRACE_HANDLER` where the name is our own."""
    return os.environ.get("HOPTRACE_HANDLER", "") if asked == OUR_HANDLER else asked


def is_the_handler(arguments: list[str]) -> bool:
    """Whether the runtime client was asked to load our own handler's name, by `_HANDLER` or on its command line."""
    return os.environ.get("_HANDLER") == OUR_HANDLER or OUR_HANDLER in arguments


def collector_here() -> bool:
    """Whether Lambda runs our extension beside this process: it starts every file of `/opt/extensions`.

    A layer's folder is on the path; on a desk it may be another than `/opt`.
    """
    for folder in ("/opt/python", *sys.path):
        if folder.endswith("/python") and os.path.exists(folder[:-6] + "extensions/hoptrace-collector"):
            return True
    return False


def in_lambda() -> bool:
    """Whether this process is a Lambda function's: Lambda sets the Runtime API's address there."""
    return "AWS_LAMBDA_RUNTIME_API" in os.environ


def _true(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").strip().lower() in _TRUE


def _list(environ: Mapping[str, str], name: str) -> list[str]:
    """Comma-separated names, in lower case."""
    return [part for part in (part.strip() for part in environ.get(name, "").lower().split(",")) if part]


def _keys(environ: Mapping[str, str], name: str) -> dict[str, tuple[str, ...]]:
    """Tables with one or two names each: `table:name,name;table:name`."""
    found = {}
    for part in environ.get(name, "").split(";"):
        table, _, names = part.partition(":")
        listed = sorted(one.strip() for one in names.split(",") if one.strip())
        if table.strip() and 1 <= len(listed) <= 2:
            found[table.strip()] = tuple(listed)
        elif part.strip():
            say(f"{name}: {part.strip()[:40]!r} is not a table with one or two names; it is left out")
    return found


def _propagators(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The formats by OpenTelemetry's names, each once; `datadog` (read only) is ours."""
    listed = _list(environ, "OTEL_PROPAGATORS")
    if not listed:
        return ("tracecontext", "baggage")
    known = [name for name in dict.fromkeys(listed) if name in _PROPAGATORS]
    unknown = [name for name in listed if name not in _PROPAGATORS and name != "none"]
    if unknown:
        say(f"OTEL_PROPAGATORS: {unknown[0][:40]!r} is none of {', '.join(_PROPAGATORS)}, none; it is left out")
        if not known:
            return ("tracecontext", "baggage")
    return () if "none" in listed else tuple(known)


def _sampler(environ: Mapping[str, str]) -> tuple[str, float] | None:
    """A sampler and its share; a wrong one gives one line, and what OpenTelemetry's default is."""
    name = _choice(environ, "OTEL_TRACES_SAMPLER", _SAMPLERS)
    if name == _SAMPLERS[0]:
        return None
    if not name.endswith("traceidratio"):
        return name, 1.0
    text = environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip()
    try:
        share = float(text) if text else 1.0
        if not 0 <= share <= 1:
            raise ValueError
    except ValueError:
        say(f"OTEL_TRACES_SAMPLER_ARG={text[:40]!r} is not a number from 0 to 1; using 1, which keeps everything")
        share = 1.0
    return name, share


def _some_of(environ: Mapping[str, str], name: str, known: tuple[str, ...]) -> frozenset[str]:
    """Those of the known names that are listed."""
    listed = _list(environ, name)
    for each in listed:
        if each not in known:
            say(f"{name}: {each[:40]!r} is none of {', '.join(known)}; it is left out")
    return frozenset(listed).intersection(known)


def _choice(environ: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    """One of the choices; the first is the default."""
    text = environ.get(name, "").strip().lower()
    if text and text not in choices:
        say(f"{name}={text[:40]!r} is none of {', '.join(choices)}; using {choices[0]}")
    return text if text in choices else choices[0]


def _integer(environ: Mapping[str, str], names: tuple[str, ...], default: int) -> int:
    for name in names:
        text = environ.get(name, "").strip()
        if not text:
            continue
        try:
            value = int(text)
            if value < 0:
                raise ValueError
        except ValueError:
            say(f"{name}={text!r} is not a whole number of 0 or more; using {default}")
            return default
        return value
    return default


def _resource(environ: Mapping[str, str]) -> dict[str, object]:
    """The resource by OpenTelemetry's "AWS Lambda" and "Cloud" resource conventions."""
    found: dict[str, object] = {
        "telemetry.sdk.name": "hoptrace",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": __version__,
    }
    function = environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
    if function:
        found["cloud.provider"] = "aws"
        found["cloud.platform"] = "aws_lambda"
        found["faas.name"] = function
        for key, variable in (
            ("cloud.region", "AWS_REGION"),
            ("faas.version", "AWS_LAMBDA_FUNCTION_VERSION"),
            ("faas.instance", "AWS_LAMBDA_LOG_STREAM_NAME"),
        ):
            if environ.get(variable):
                found[key] = environ[variable]
        memory = environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
        if memory.isdigit():
            found["faas.max_memory"] = int(memory) * 1_048_576
        if environ.get("AWS_LAMBDA_LOG_GROUP_NAME"):
            found["aws.log.group.names"] = [environ["AWS_LAMBDA_LOG_GROUP_NAME"]]
    for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        key, equals, value = pair.partition("=")
        if key.strip() and equals:
            found[key.strip()[:256]] = _unquoted(value.strip())[:1024]
    service = environ.get("OTEL_SERVICE_NAME") or found.get("service.name") or function or "unknown_service:python"
    found["service.name"] = service
    return found


def _unquoted(value: str) -> str:
    """Percent-decoding, which the specification asks for in `OTEL_RESOURCE_ATTRIBUTES`."""
    if "%" not in value:
        return value
    from urllib.parse import unquote  # not loaded in a cold start, and seldom needed

    return unquote(value)
