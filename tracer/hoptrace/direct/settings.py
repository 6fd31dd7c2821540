"""Where the spans go and how, by the rules of OpenTelemetry's "OTLP exporter" specification.

A room of its own beside the tracer's settings, because a function with a collector never needs it. Not one secret is
shown: values of headers are named by their place.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Mapping

_PORTS = {"http": 80, "https": 443}
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_PROTOCOLS = ("http/protobuf", "http/json")
_NOWHERE = (
    "there is no collector here and OTEL_EXPORTER_OTLP_ENDPOINT is not set, so nothing is sent; "
    "set it to the OTLP/HTTP address of your backend, or attach the layer"
)


class Target:
    """The endpoint for one signal; `host` is empty when there is none.

    Attributes:
        off: whether there is none by the user's own choice (`OTEL_TRACES_EXPORTER=none`).
        path: with its query, as it goes into the request line.
        timeout: seconds for one export (`OTEL_EXPORTER_OTLP_TIMEOUT`).
        flush_timeout: seconds that one invocation may be held up at most (`HOPTRACE_FLUSH_TIMEOUT`).
        queue_bytes: of records that may wait for the backend (`HOPTRACE_QUEUE_BYTES`).
        protobuf: whether it is `http/protobuf` or `http/json` (`OTEL_EXPORTER_OTLP_PROTOCOL`).
        certificate, client_certificate, client_key: names of files, or empty.
    """

    __slots__ = (
        "certificate",
        "client_certificate",
        "client_key",
        "flush_timeout",
        "gzip",
        "headers",
        "host",
        "off",
        "path",
        "port",
        "protobuf",
        "queue_bytes",
        "secure",
        "timeout",
    )

    def __init__(self) -> None:
        self.host = ""
        self.off = False
        self.port = 0
        self.path = "/"
        self.secure = False
        self.headers: dict[str, str] = {}
        self.timeout = 10.0
        self.flush_timeout = 2.0
        self.queue_bytes = 8 << 20
        self.gzip = False
        self.protobuf = True
        self.certificate = ""
        self.client_certificate = ""
        self.client_key = ""

    @property
    def address(self) -> str:
        """For people: scheme, host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}"


def read(environ: Mapping[str, str], signal: str = "traces") -> tuple[Target, list[str]]:
    """The target, and one line for each value that could not be used, or for the endpoint that is missing.

    Args:
        signal: `traces`, `metrics` or `logs`.
    """
    return _Reader(environ, signal).read()


class _Reader:
    def __init__(self, environ: Mapping[str, str], signal: str) -> None:
        self._environ = environ
        self._signal = signal
        self.lines: list[str] = []

    def read(self) -> tuple[Target, list[str]]:
        target = Target()
        if self._text(f"OTEL_{self._signal.upper()}_EXPORTER").lower() == "none":
            target.off = True
            return target, []
        endpoint = self._either("ENDPOINT")
        text = self._text(endpoint)
        if not text:
            return target, [_NOWHERE]
        try:
            self._locate(target, text, signals_own=endpoint == f"OTEL_EXPORTER_OTLP_{self._signal.upper()}_ENDPOINT")
        except ValueError as error:
            return target, [f"{endpoint} is not an address that can be used ({error}), so nothing is sent"]
        target.headers = self._headers(self._either("HEADERS"))
        target.timeout = self._whole(self._either("TIMEOUT"), 10_000, 1) / 1000
        target.flush_timeout = self._whole("HOPTRACE_FLUSH_TIMEOUT", 2_000, 1) / 1000
        target.queue_bytes = self._whole("HOPTRACE_QUEUE_BYTES", 8 << 20, 64 << 10)
        target.gzip = self._choice(self._either("COMPRESSION"), ("none", "gzip")) == "gzip"
        target.protobuf = self._protocol(endpoint) == "http/protobuf"
        target.certificate = self._text(self._either("CERTIFICATE"))
        target.client_certificate = self._text(self._either("CLIENT_CERTIFICATE"))
        target.client_key = self._text(self._either("CLIENT_KEY"))
        return target, self.lines

    def _text(self, name: str) -> str:
        return self._environ.get(name, "").strip()

    def _either(self, name: str) -> str:
        """The variable that counts: ours, for those whose own exporter sends elsewhere; the signal's; the general."""
        for variable in (f"HOPTRACE_EXPORTER_OTLP_{name}", f"OTEL_EXPORTER_OTLP_{self._signal.upper()}_{name}"):
            if self._text(variable):
                return variable
        return f"OTEL_EXPORTER_OTLP_{name}"

    def _locate(self, target: Target, text: str, *, signals_own: bool) -> None:
        """Take an address apart; a general one gets `v1/traces` or its like appended, a signal's own is taken as it is.

        Raises ValueError, whose text quotes nothing of it.
        """
        scheme, separator, rest = text.partition("://")
        scheme = scheme.lower()
        if not separator or scheme not in _PORTS:
            raise ValueError("it must begin with http:// or https://")
        rest = rest.partition("#")[0]
        cut = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
        authority, path = rest[:cut], rest[cut:]
        if "@" in authority:
            raise ValueError("it must not hold a user name; use headers")
        if any(not "!" <= character <= "~" for character in authority + path):
            raise ValueError("it holds a character that an address cannot have")
        target.host, target.port = _host_and_port(authority, _PORTS[scheme])
        path, mark, query = path.partition("?")
        if not signals_own:
            path = path.rstrip("/") + f"/v1/{self._signal}"
        target.path = (path if path.startswith("/") else "/" + path) + mark + query
        target.secure = scheme == "https"

    def _protocol(self, endpoint: str) -> str:
        name = self._either("PROTOCOL")
        if endpoint.startswith("HOPTRACE_") and not name.startswith("HOPTRACE_"):
            return _PROTOCOLS[0]  # it says how the user's own exporter speaks with its endpoint
        return self._choice(name, _PROTOCOLS)

    def _choice(self, name: str, choices: tuple[str, ...]) -> str:
        text = self._text(name).lower()
        if text and text not in choices:
            self.lines.append(f"{name}={text[:40]!r} is none of {', '.join(choices)}; {choices[0]} is used")
        return text if text in choices else choices[0]

    def _whole(self, name: str, default: int, least: int) -> int:
        text = self._text(name)
        if not text:
            return default
        if text.isascii() and text.isdigit() and len(text) < 12 and int(text) >= least:
            return int(text)
        self.lines.append(f"{name}={text[:40]!r} is not a whole number of {least} or more; {default} is used")
        return default

    def _headers(self, name: str) -> dict[str, str]:
        if not self._text(name):
            return {}
        from urllib.parse import unquote  # not loaded in a cold start

        found: dict[str, str] = {}
        for number, pair in enumerate(self._text(name).split(","), 1):
            if not pair.strip():
                continue
            key, equals, value = pair.partition("=")
            key, value = unquote(key.strip()), unquote(value.strip())
            fits = all(c == "\t" or " " <= c <= "~" or "\xa0" <= c <= "\xff" for c in value)
            if not equals or not key or not _TOKEN.issuperset(key) or not fits:
                # Never quoted: it is likely to hold a password.
                self.lines.append(f"{name}: entry {number} is not key=value; it is left out")
                continue
            found[key.lower()] = value
        return found


def _host_and_port(authority: str, default: int) -> tuple[str, int]:
    if authority.startswith("["):
        host, _, tail = authority[1:].partition("]")
    else:
        host, colon, number = authority.partition(":")
        tail = colon + number
    if not host:
        raise ValueError("it names no host")
    if tail in ("", ":"):
        return host, default
    if tail[0] != ":" or not (tail[1:].isascii() and tail[1:].isdigit() and 0 < int(tail[1:]) < 65_536):
        raise ValueError("its port is not a number from 1 to 65535")
    return host, int(tail[1:])
