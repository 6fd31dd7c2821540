"""Where the spans go: the rules of OpenTelemetry's OTLP exporter, and one line for each value that is none."""

import pytest

from hoptrace.direct.settings import read

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


@pytest.mark.parametrize(
    ("environ", "address", "path"),
    [
        ({ENDPOINT: "http://h:4318"}, "http://h:4318", "/v1/traces"),
        ({ENDPOINT: "http://h:4318/"}, "http://h:4318", "/v1/traces"),
        ({ENDPOINT: "https://h/otlp/"}, "https://h:443", "/otlp/v1/traces"),
        ({ENDPOINT: "http://h?key=v"}, "http://h:80", "/v1/traces?key=v"),
        ({ENDPOINT: "http://[::1]:9/x"}, "http://[::1]:9", "/x/v1/traces"),
        ({TRACES: "http://h/own"}, "http://h:80", "/own"),
        ({TRACES: "http://h"}, "http://h:80", "/"),
        ({ENDPOINT: "http://a", TRACES: "http://b/x"}, "http://b:80", "/x"),
        ({ENDPOINT: "http://a", TRACES: " "}, "http://a:80", "/v1/traces"),
        ({TRACES: "http://a", "HOPTRACE_EXPORTER_OTLP_ENDPOINT": "http://b"}, "http://b:80", "/v1/traces"),
    ],
)
def test_an_endpoint_is_taken_by_the_specifications_rules(environ, address, path):
    target, lines = read(environ)
    assert (target.address, target.path, lines) == (address, path, [])


@pytest.mark.parametrize(
    "text",
    ["h:4318", "ftp://h", "http://", "http://u:hush@h", "http://h:0", "http://h:x", "http://h:99999", "http://h /"],
)
def test_an_endpoint_that_is_none_is_said_without_being_quoted(text):
    target, (line,) = read({ENDPOINT: text})
    assert target.host == ""
    assert line.startswith(f"{ENDPOINT} is not an address that can be used (")
    assert "hush" not in line


def test_without_an_endpoint_one_line_says_what_to_set():
    target, (line,) = read({})
    assert target.host == ""
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is not set, so nothing is sent" in line


def test_defaults_are_the_specifications():
    target, _ = read({ENDPOINT: "http://h"})
    assert (target.timeout, target.gzip, target.protobuf, target.headers) == (10.0, False, True, {})
    assert (target.flush_timeout, target.queue_bytes) == (2.0, 8 << 20)


def test_a_signals_own_value_wins_and_headers_are_percent_decoded():
    target, lines = read(
        {
            ENDPOINT: "http://h",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "9000",
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "1500",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
            "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "gzip",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
            "OTEL_EXPORTER_OTLP_HEADERS": "a=b",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS": " Api-Key = x%3Dy%2C , b = 2 ,",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": "/ca.pem",
            "HOPTRACE_FLUSH_TIMEOUT": "700",
            "HOPTRACE_QUEUE_BYTES": "100000",
        }
    )
    assert lines == []
    assert (target.timeout, target.gzip, target.protobuf, target.certificate) == (1.5, True, False, "/ca.pem")
    assert target.headers == {"api-key": "x=y,", "b": "2"}
    assert (target.flush_timeout, target.queue_bytes) == (0.7, 100000)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1s"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ("HOPTRACE_QUEUE_BYTES", "12"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hush"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=hush"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=hush%0D%0Ab: c"),
    ],
)
def test_a_wrong_value_gives_one_line_and_the_default(name, value):
    usual, _ = read({ENDPOINT: "http://h"})
    target, (line,) = read({ENDPOINT: "http://h", name: value})
    assert name in line
    assert "hush" not in line
    for slot in target.__slots__:
        assert getattr(target, slot) == getattr(usual, slot)


def test_how_the_users_own_exporter_speaks_says_nothing_about_ours():
    environ = {"HOPTRACE_EXPORTER_OTLP_ENDPOINT": "http://h", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    target, lines = read(environ)
    assert (target.protobuf, lines) == (True, [])
