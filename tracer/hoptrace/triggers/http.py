"""What the HTTP triggers share: the attributes of a request, so that each file only says where its shape has them.

No header is recorded but the user agent, and of a query string the values of keys that look like secrets are taken out
(OTel, `url.query`: "sensitive content SHOULD be scrubbed").
"""

from hoptrace.carriers.headers import extract_headers, extract_headers_root
from hoptrace.settings import SECRET_WORDS, URL_WORDS
from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Hop, Record, from_ms

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"))
_SECRET = URL_WORDS + tuple(word.replace(" ", "") for word in SECRET_WORDS)
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$'()*,;:@/?%")
_LONGEST = 2048


class Request:
    """One HTTP request; what is not known stays "" or None. `started_ms` is when the service in front received it."""

    __slots__ = ("client", "headers", "host", "method", "path", "protocol", "query", "route", "scheme", "started_ms")

    def __init__(self, headers: Shape, method: str, path: str) -> None:
        self.headers = headers
        self.method = method
        self.path = path
        self.route = ""
        self.query = ""
        self.scheme = headers.header("x-forwarded-proto") or "https"
        self.host = headers.header("host").partition(":")[0]
        self.client = headers.header("x-forwarded-for").partition(",")[0].strip()
        self.protocol = ""
        self.started_ms: int | float | None = None


def arrive(name: str, request: Request, front: str = "", system: str = "") -> Arrival:
    """Make the arrival; `front` ("API Gateway") and `system` name the hop for services that say when they began."""
    method = request.method.upper()
    known = method if method in _METHODS else "_OTHER"
    # Low cardinality, as the conventions ask: a path with an id in it never becomes a span's name.
    title = f"{known if known != '_OTHER' else 'HTTP'} {request.route}".rstrip()
    values = (
        ("http.request.method", known),
        ("http.request.method_original", request.method if known != request.method else ""),
        ("http.route", request.route),
        ("url.path", request.path),
        ("url.scheme", request.scheme),
        ("url.query", redact_query(request.query)),
        ("server.address", request.host),
        ("client.address", request.client),
        ("network.protocol.version", request.protocol.rpartition("/")[2]),
        ("user_agent.original", request.headers.header("user-agent")),
    )
    arrival = Arrival(name, "http", title if request.route else None, is_http=True)
    arrival.attributes = {key: value[:_LONGEST] for key, value in values if value}
    record = Record(
        context=extract_headers(request.headers),
        carrier="traceparent",
        root=extract_headers_root(request.headers),
    )
    started = from_ms(request.started_ms)
    if front and started is not None:
        record.hops = [Hop(f"{front} {title}", system, started)]
    arrival.records = [record]
    return arrival


def headers_of(event: Shape) -> Shape:
    """Return the request's headers; some senders have `multiValueHeaders` only."""
    return event.get("headers") if event.is_object("headers") else event.get("multiValueHeaders")


def redact_query(query: str) -> str:
    """Take the values out of a query string whose keys look like secrets."""
    if not query:
        return ""
    return "&".join(_redact_pair(pair) for pair in query[:_LONGEST].split("&"))


def _redact_pair(pair: str) -> str:
    key, equals, _value = pair.partition("=")
    lowered = _unescaped(key).lower() if "%" in key else key.lower()
    return f"{key}=REDACTED" if equals and any(word in lowered for word in _SECRET) else pair


def _unescaped(key: str) -> str:
    """Undo `%6b`; what is no escape, or no ASCII, stays."""
    first, *rest = key.split("%")
    for piece in rest:
        digits = piece[:2]
        is_escape = len(digits) == 2 and not digits.strip("0123456789abcdefABCDEF") and int(digits, 16) < 128
        first += chr(int(digits, 16)) + piece[2:] if is_escape else "%" + piece
    return first


def join_query(many: Shape, single: Shape, decoded: bool) -> str:
    """Rebuild a query string from the objects that v1 events have instead; `decoded` says that they are decoded."""
    pairs = ((key, value) for key, values in many.pairs() for value in values.items())
    spell = _percent if decoded else str
    found: list[str] = []
    length = 0
    for key, value in pairs if many.raw else single.pairs():
        found.append(f"{spell(key)}={spell(value.text())}")
        length += len(found[-1]) + 1
        if length > 2 * _LONGEST:
            break
    return "&".join(found)[: 2 * _LONGEST]


def _percent(text: str) -> str:
    if text.isalnum() and text.isascii():
        return text
    return "".join(
        chr(byte) if byte in _SAFE and byte != 0x25 else f"%{byte:02X}"
        for byte in text[:_LONGEST].encode("utf-8", "surrogatepass")
    )
