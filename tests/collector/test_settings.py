"""Settings: from a mapping to one frozen object, and a complaint for each bad value."""

import subprocess
import sys
import tempfile

import pytest

from hoptrace_collector.settings import Settings, parse_url, read, unquote


def of(**env: str) -> Settings:
    settings, complaints = read(env)
    assert complaints == []
    return settings


def test_the_base_endpoint_gets_the_signals_path() -> None:
    settings = of(OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4318/")
    assert str(settings.traces.url) == "http://collector:4318/v1/traces"
    assert str(settings.metrics.url) == "http://collector:4318/v1/metrics"
    below = of(OTEL_EXPORTER_OTLP_ENDPOINT="https://backend.example/otlp?tenant=1")
    assert str(below.traces.url) == "https://backend.example/otlp/v1/traces?tenant=1"


def test_a_signals_own_endpoint_is_used_as_it_is() -> None:
    settings = of(
        OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4318",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="https://traces.example:8443/in",
    )
    assert str(settings.traces.url) == "https://traces.example:8443/in"
    assert str(settings.metrics.url) == "http://collector:4318/v1/metrics"


def test_headers_are_decoded_and_do_not_show_their_values() -> None:
    settings = of(OTEL_EXPORTER_OTLP_HEADERS="api-key=se%20cret%3D, X-Other = plain ")
    assert [(name, value.reveal()) for name, value in settings.traces.headers] == [
        ("api-key", "se cret="),
        ("x-other", "plain"),
    ]
    assert "se cret" not in repr(settings)
    assert "plain" not in repr(settings)


@pytest.mark.parametrize("headers", ["nonsense", "a b=c", "key=line%0d%0abreak", "=hidden", "key=%E2%82%AC"])
def test_a_bad_header_is_left_out_and_complained_of_without_its_text(headers: str) -> None:
    settings, complaints = read({"OTEL_EXPORTER_OTLP_HEADERS": headers + ",good=1"})
    assert [name for name, _ in settings.traces.headers] == ["good"]
    assert complaints
    assert all(headers not in complaint for complaint in complaints)


def test_a_timeout_is_in_milliseconds() -> None:
    assert of(OTEL_EXPORTER_OTLP_TIMEOUT="2500").traces.timeout == 2.5
    assert of().traces.timeout == 10.0
    assert of(OTEL_EXPORTER_OTLP_TIMEOUT="2500", OTEL_EXPORTER_OTLP_TRACES_TIMEOUT="100").traces.timeout == 0.1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "9" * 40),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("HOPTRACE_QUEUE_BYTES", "ten"),
        ("HOPTRACE_FLUSH_TIMEOUT", "٣"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1.5"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host:99999"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team"),
    ],
)
def test_a_bad_value_is_one_complaint_that_names_the_variable_and_the_default_is_used(name: str, value: str) -> None:
    settings, complaints = read({name: value})
    assert len(complaints) == 1
    assert name in complaints[0]
    assert settings == Settings()


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    settings, complaints = read({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://user:hunter2@host/"})
    assert settings.traces.url is None
    assert len(complaints) == 1
    assert "hunter2" not in complaints[0]


def test_a_signal_can_be_switched_off() -> None:
    settings = of(OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4318", OTEL_METRICS_EXPORTER="none")
    assert settings.metrics.url is None
    assert settings.traces.url is not None


def test_another_protocol_is_complained_of() -> None:
    _, complaints = read({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    assert complaints
    assert "http/protobuf" in complaints[0]


def test_where_alerts_go() -> None:
    assert of().eventbridge is None
    there = of(HOPTRACE_ALERT_EVENT_BUS="ops", AWS_REGION="eu-west-1")
    assert (there.alerting.bus, str(there.eventbridge)) == ("ops", "https://events.eu-west-1.amazonaws.com/")
    china = of(HOPTRACE_ALERT_EVENT_BUS="ops", AWS_REGION="cn-north-1")
    assert str(china.eventbridge) == "https://events.cn-north-1.amazonaws.com.cn/"
    both = of(
        HOPTRACE_ALERT_EVENT_BUS="ops",
        AWS_REGION="eu-west-1",
        AWS_ENDPOINT_URL="http://127.0.0.1:4577",
        AWS_ENDPOINT_URL_EVENTBRIDGE="http://127.0.0.1:4578",
    )
    assert both.eventbridge is not None
    assert both.eventbridge.port == 4578


def test_addresses_are_taken_apart() -> None:
    assert tuple(parse_url("HTTPS://[::1]:8443/a?b#c")) == ("https", "::1", 8443, "/a?b")
    assert parse_url("http://host?q=1").target == "/?q=1"
    assert parse_url("http://host").authority == "host"


@pytest.mark.parametrize(
    ("text", "plain"),
    [("%41%7a", "Az"), ("%", "%"), ("%4", "%4"), ("%zz%41", "%zzA"), ("%+1", "%+1"), ("%e2%82%ac", "€")],
)
def test_only_valid_escapes_are_decoded(text: str, plain: str) -> None:
    assert unquote(text) == plain


def test_a_plain_endpoint_loads_nothing_that_only_others_need() -> None:
    code = (
        "import sys; from hoptrace_collector.app import Collector, Counters;"
        "from hoptrace_collector.settings import read;"
        "env = {'OTEL_EXPORTER_OTLP_ENDPOINT': 'https://otlp.example.com', 'OTEL_EXPORTER_OTLP_HEADERS': 'api-key=x',"
        "'AWS_REGION': 'eu-west-1', 'HOPTRACE_RUN_DIR': sys.argv[1]};"
        "made = Collector(read(env)[0], Counters()); print(*sys.modules)"
    )
    with tempfile.TemporaryDirectory() as folder:
        out = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True).stdout
    loaded = set(out.split())
    assert "hoptrace_collector.export.sender" in loaded
    rooms = ("hoptrace_collector.aws", "hoptrace_collector.gateway")
    assert not [name for name in loaded if name.startswith(rooms)]
    others = ("looked_up", "pieces", "json_form", "cloudwatch", "sigv4", "stdout", "file")
    assert not loaded & {f"hoptrace_collector.export.{name}" for name in others}
    assert not loaded & {"hoptrace_collector.proxies", "hoptrace_collector.tunnel", "hoptrace_collector.otlp_json"}
    assert not loaded & {"ssl", "hmac", "hashlib", "urllib.parse", "google.protobuf.json_format"}
