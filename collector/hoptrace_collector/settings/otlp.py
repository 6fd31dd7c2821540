"""Where each signal goes, by the variables of OpenTelemetry's exporters and ours above them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from hoptrace_collector.address import Url
from hoptrace_collector.settings.aws import Aws
from hoptrace_collector.settings.lookup import Lookup, unquote
from hoptrace_collector.settings.secret import Secret

if TYPE_CHECKING:
    from hoptrace_collector.proxies import Proxies

__all__ = ["Otlp", "headers_of", "read_otlp"]


class Otlp(NamedTuple):
    """Where one signal goes and how: to `url`, or into `stream`; neither means nowhere.

    `stream` is `stdout`, the path of a file that ends with `.jsonl`, or that of a folder which ends with `/`, or
    `kinesis:NAME`. `json`: OTLP's JSON instead of protobuf. `auth` is the AWS service that requests are signed for,
    `auto` where the address says which, empty for none. `source` is the variable that the destination came from.
    """

    url: Url | None = None
    headers: tuple[tuple[str, Secret], ...] = ()
    timeout: float = 10.0
    gzip: bool = False
    certificate: str = ""
    client_certificate: str = ""
    client_key: str = ""
    source: str = ""
    stream: str = ""
    json: bool = False
    auth: str = "auto"
    service: str = ""
    aws: Aws = Aws()
    proxies: "Proxies | None" = None

    @property
    def configured(self) -> bool:
        """Whether this signal goes anywhere."""
        return self.url is not None or bool(self.stream)


_GENERAL = ("OTEL_EXPORTER_OTLP_ENDPOINT", "HOPTRACE_EXPORTER_OTLP_ENDPOINT")


def read_otlp(env: Mapping[str, str], get: Lookup, signal: str, aws: Aws, proxies: "Proxies | None") -> Otlp:
    """Apply the rules of the OTLP exporter's specification: a signal's own variable wins over the general one.

    Over both wins ours, for a function whose own exporter sends somewhere else, such as to the collector.
    """

    def either(name: str) -> str:
        for variable in (f"HOPTRACE_EXPORTER_OTLP_{name}", f"OTEL_EXPORTER_OTLP_{signal}_{name}"):
            if env.get(variable, "").strip():
                return variable
        return f"OTEL_EXPORTER_OTLP_{name}"

    exporter = _exporter(get, f"OTEL_{signal}_EXPORTER")
    if exporter == "none":
        return Otlp()
    endpoint = either("ENDPOINT")
    stream = "stdout" if exporter == "console" else _stream(env.get(endpoint, "").strip(), endpoint, get)
    url = None if stream else get.url(endpoint)
    if url is not None and endpoint in _GENERAL:
        path, mark, query = url.target.partition("?")
        url = url._replace(target=f"{path.rstrip('/')}/v1/{signal.lower()}{mark}{query}")
    # The protocol of the user's own exporter, which may send elsewhere, is not ours.
    ours = endpoint.startswith("HOPTRACE_") and not either("PROTOCOL").startswith("HOPTRACE_")
    protocol = "" if ours else env.get(either("PROTOCOL"), "").strip().lower()
    if url is not None and protocol not in ("", "http/protobuf", "http/json"):
        get.complain(
            f"{either('PROTOCOL')}={protocol[:20]!r} is not spoken here; http/protobuf is used. Set it to that or to "
            f"http/json, and {endpoint} to the backend's OTLP/HTTP port, usually 4318"
        )
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
        source=endpoint if url is not None or stream else "",
        stream=stream,
        json=protocol == "http/json",
        auth=_auth(get, signal),
        service=env.get("OTEL_SERVICE_NAME", "") or env.get("AWS_LAMBDA_FUNCTION_NAME", ""),
        aws=aws,
        proxies=proxies,
    )


def _exporter(get: Lookup, name: str) -> str:
    """Return `otlp`, `console` or `none`. Of several, as some SDKs take them, `otlp` counts, by any of its names."""
    if any(each.strip().startswith("otlp") for each in get.text(name).lower().split(",")):
        return "otlp"
    return get.one_of(name, ("otlp", "console", "none"), "otlp")


def _stream(text: str, name: str, get: Lookup) -> str:
    """Return the stream of an endpoint `stdout:` or `file:///path`, as OpenTelemetry's file exporter names them, or
    `kinesis:NAME`; `name` is the variable that it stands in.
    """
    if text.lower().startswith("kinesis:"):
        stream = text.partition(":")[2].removeprefix("//")
        if 0 < len(stream) <= 128 and stream.isascii() and all(c.isalnum() or c in "_.-" for c in stream):
            return f"kinesis:{stream}"
        get.complain(
            f"{name}={text[:40]!r} is not the name of a Kinesis stream: kinesis: and letters, digits, _ . and -"
        )
    if text.lower() in ("stdout", "stdout:", "stdout://"):
        return "stdout"
    scheme, _, path = text.partition("://")
    if scheme.lower() != "file" or not path.startswith("/"):
        return ""
    path = unquote(path)
    return path if path.endswith((".jsonl", "/")) else path + "/"


_SIGNED_FOR = {"TRACES": "xray", "METRICS": "monitoring", "LOGS": "logs"}


def _auth(get: Lookup, signal: str) -> str:
    """Return for which service requests are signed: `sigv4` is CloudWatch's of the signal, `sigv4:osis` another."""
    name = "HOPTRACE_EXPORTER_OTLP_AUTH"
    text = get.text(name).lower()
    if text in ("", "auto"):
        return "auto"
    method, _, service = text.partition(":")
    if method == "sigv4":
        return service or _SIGNED_FOR[signal]
    if text != "none":
        get.complain(f"{name}={text[:40]!r} is none of auto, none, sigv4 and sigv4:SERVICE; auto is used")
        return "auto"
    return ""


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
