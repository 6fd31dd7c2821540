"""Payloads of an invocation, of AWS calls and of HTTP, recorded where a setting asks for it, without their secrets.

Nothing here is loaded where none does. What is recorded is an attribute of the span that it belongs to: JSON, or the
text that a payload is, with `….truncated` beside it where there was more. A payload is read, never changed, and never
consumed: what can be read only once is told by its type's name.
"""

import re

from ..guard import swallowed
from ..settings import Settings, settings
from ..spans import Span
from ..spans.exceptions import on_locals, on_text
from .paths import Where
from .redaction import REDACTED, redaction
from .writer import MARGIN, Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EVENT = "hoptrace.event"
RESPONSE = "hoptrace.response"
AWS_REQUEST = "hoptrace.aws.request"
AWS_RESPONSE = "hoptrace.aws.response"
HTTP_REQUEST = "hoptrace.http.request.body"
HTTP_RESPONSE = "hoptrace.http.response.body"
LOCALS = "hoptrace.exception.locals"

_OURS = frozenset((EVENT, RESPONSE, AWS_REQUEST, AWS_RESPONSE, HTTP_REQUEST, HTTP_RESPONSE, LOCALS))
_CONVENTIONS = (
    "aws.",
    "cloud.",
    "db.",
    "exception.",
    "faas.",
    "gen_ai.",
    "hoptrace.",
    "http.",
    "messaging.",
    "network.",
)

GUARDED = frozenset(
    (
        "acm",
        "acm-pca",
        "apigateway",
        "cloudhsm",
        "cloudhsmv2",
        "codeartifact",
        "cognito-identity",
        "cognito-idp",
        "cognito-sync",
        "ecr",
        "ecr-public",
        "iam",
        "kms",
        "payment-cryptography",
        "payment-cryptography-data",
        "rolesanywhere",
        "secretsmanager",
        "ssm",
        "sso",
        "sso-oidc",
        "sts",
    )
)
"""Services of secrets, by botocore's names: of their calls no payload is ever recorded."""

_GUARDED_TRIGGERS = ("cognito",)
_GUARDED_HOST = re.compile(
    rf"(?:[\w-]+\.)*(?:api\.)?(?:{'|'.join(sorted(GUARDED))})(?:-fips)?\.(?:[\w-]+\.)*(?:amazonaws|api\.aws|vpce)",
    re.IGNORECASE,
)
_SECRETS_EXTENSION = ":2773"  # "AWS Parameters and Secrets Lambda Extension": its port on the loopback
_MOST_BYTES, _MOST_DEPTH, _MOST_COUNT = 65_536, 50, 10_000
_NO_METADATA = frozenset(("ResponseMetadata",))
_limits: tuple[Settings, int, int, int] | None = None


def install() -> None:
    """Have secrets taken out of what is recorded, and local variables put in, as the settings say."""
    knobs = settings()
    on_text(_scrub if knobs.redact else None)
    on_locals(_locals if "locals" in knobs.capture else None)


def record_event(span: Span, trigger: str, event: object) -> None:
    """What woke the function."""
    if "event" in settings().capture and trigger not in _GUARDED_TRIGGERS:
        _record(span, EVENT, event)


def record_response(span: Span, trigger: str, result: object) -> None:
    """What the handler returned."""
    if "response" in settings().capture and trigger not in _GUARDED_TRIGGERS:
        _record(span, RESPONSE, result)


def record_call(span: Span, model: "Any", operation: str, params: object) -> None:
    """The parameters of an AWS call; `model` is botocore's, of the service."""
    if span.recording and model.service_name not in GUARDED:
        from .sensitive import marked

        secret = marked(model, operation, answer=False)
        if secret is not None:
            _record(span, AWS_REQUEST, params, secret=secret)


def record_answer(span: Span, model: "Any", operation: str, answer: object) -> None:
    """The answer to one, its metadata left out; a body that is a stream is not read."""
    if span.recording and model.service_name not in GUARDED:
        from .sensitive import marked

        secret = marked(model, operation, answer=True)
        if secret is not None:
            _record(span, AWS_RESPONSE, answer, omit=_NO_METADATA, secret=secret)


def record_body(span: Span, name: str, url: str, body: object) -> None:
    """A body of HTTP, where it is there as a whole: a text, bytes, or a document that is about to become JSON."""
    for kind in (str, bytes, bytearray, dict, list):
        if issubclass(type(body), kind) and kind.__len__(body) and not _is_guarded(url):  # type: ignore[arg-type]
            _record(span, name, body)


def written(value: object, most: int = -1) -> tuple[str, bool]:
    """A value as it is recorded, and whether there was more; `most` bytes, by default what the settings say."""
    size, depth, count = limits()
    writer = Writer(redaction(), size if most < 0 else min(most, size), depth, count)
    return writer.document(value), writer.truncated


def limits() -> tuple[int, int, int]:
    """Bytes, depth and count."""
    global _limits
    knobs = settings()
    if _limits is None or _limits[0] is not knobs:
        size = min(knobs.whole("HOPTRACE_CAPTURE_BYTES", default=4096), _MOST_BYTES, knobs.attribute_length_limit)
        depth = min(knobs.whole("HOPTRACE_CAPTURE_DEPTH", default=10), _MOST_DEPTH)
        _limits = (knobs, size, depth, min(knobs.whole("HOPTRACE_CAPTURE_COUNT", default=100), _MOST_COUNT))
    return _limits[1:]


def _record(span: Span, name: str, value: object, *, omit: frozenset[str] = frozenset(), secret: Where = ()) -> None:
    if not span.recording:
        return  # of a trace that is not sampled
    size, depth, count = limits()
    writer = Writer(redaction(), size, depth, count, omit=omit, secret=secret)
    text = writer.document(value)
    if text:
        span.set_attribute(name, text)
    if writer.truncated:
        span.set_attribute(name + ".truncated", True)


def _is_guarded(url: str) -> bool:
    host = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    return host.endswith(_SECRETS_EXTENSION) or _GUARDED_HOST.match(host) is not None


def _scrub(key: str, text: str, most: int) -> str:
    """What may be told of a text under this name (empty: none), in so many characters at most; never raises."""
    if key in _OURS:
        return text[:most]
    try:
        rules = redaction()
        if key and not key.startswith(_CONVENTIONS) and rules.hides(key):
            return REDACTED[:most]
        told, _ = rules.clean(text[: most + MARGIN], most)
        return told[:most]
    except Exception as error:
        swallowed("capture.scrub", error)
        return REDACTED[:most]


def _locals(error: BaseException) -> str:
    """The local variables of the frames that an exception passed, or empty; never raises."""
    try:
        from .frames import told

        found = told(error)
        return written(found)[0] if found else ""
    except Exception as failure:
        swallowed("capture.locals", failure)
        return ""
