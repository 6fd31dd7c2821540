"""Where each signal goes, by the variables of OpenTelemetry's exporters and ours above them."""

from collections.abc import Mapping
from typing import NamedTuple

from hoptrace_collector.address import Url
from hoptrace_collector.settings.lookup import Lookup, unquote
from hoptrace_collector.settings.secret import Secret

__all__ = ["Otlp", "headers_of", "read_otlp"]


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


def read_otlp(env: Mapping[str, str], get: Lookup, signal: str) -> Otlp:
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
        headers=headers_of(env.get(either("HEADERS"), ""), either("HEADERS"), get),
        timeout=get.milliseconds(either("TIMEOUT"), 10_000),
        gzip=compression == "gzip",
        certificate=env.get(either("CERTIFICATE"), ""),
        client_certificate=env.get(either("CLIENT_CERTIFICATE"), ""),
        client_key=env.get(either("CLIENT_KEY"), ""),
        source=endpoint if url is not None else "",
    )


def headers_of(text: str, name: str, get: Lookup) -> tuple[tuple[str, Secret], ...]:
    """Take `key=value,key=value` (percent-encoded) apart; `name` is the variable that it stands in."""
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
