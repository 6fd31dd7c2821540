"""Addresses whose calls are nobody's work: Lambda's own interfaces, credentials' endpoints, and where traces go.

The runtime client polls the Runtime API, extensions register there, SDKs fetch credentials, exporters post: a span of
any of them would be noise in each trace, and a span of an export would be exported in turn.
"""

from ..settings import Settings, settings

_LINK_LOCAL = ("169.254.169.254", "169.254.170.2", "169.254.170.23", "[fd00:ec2::254]", "[fd00:ec2::23]")
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_SIGNALS = ("/v1/traces", "/v1/metrics", "/v1/logs")
_INTERFACES = ("AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_METADATA_API")
_EXPORTERS = ("HOPTRACE_EXPORTER_OTLP", "OTEL_EXPORTER_OTLP")

_known: tuple[Settings, frozenset[str], frozenset[str]] | None = None


def is_plumbing(url: str) -> bool:
    """Whether a call to this address is left alone."""
    global _known
    knobs = settings()
    if _known is None or _known[0] is not knobs:
        _known = (knobs, *_addresses(knobs))
    host, path = _split(url)
    if host in _known[1]:
        return True
    return host in _known[2] and path.endswith(_SIGNALS)


def _addresses(knobs: Settings) -> tuple[frozenset[str], frozenset[str]]:
    """Hosts of which everything is left alone, and those of which what exporters post is."""
    found = {*_LINK_LOCAL, *(_split(knobs.environ.get(name, ""))[0] for name in _INTERFACES)}
    port = knobs.environ.get("HOPTRACE_OTLP_PORT", "").strip() or "4318"
    exporters = {f"{host}:{port}" for host in _LOOPBACK}
    for prefix in _EXPORTERS:
        for signal in ("", "_TRACES", "_METRICS", "_LOGS"):
            exporters.add(_split(knobs.environ.get(f"{prefix}{signal}_ENDPOINT", ""))[0])
    return frozenset(found - {""}), frozenset(exporters - {""})


def _split(url: str) -> tuple[str, str]:
    """Host with port, and path; of an address with or without its scheme."""
    scheme, mark, rest = url.strip().partition("://")
    host, _, path = (rest if mark else scheme).partition("?")[0].partition("#")[0].partition("/")
    host = host.rpartition("@")[2].lower()
    default = {"http": ":80", "https": ":443"}.get(scheme.lower(), ":80") if mark else ":80"
    return host.removesuffix(default), "/" + path
