"""Who a span is, as it travels: the ids, and their two spellings on the wire, W3C `traceparent` and X-Ray's header.

Everything that carries context (carriers), reads it (triggers) or makes spans needs this one type, so it lies below all
of them and imports nothing of ours. The parsers take whatever came over the wire and never raise: a header that breaks
the rules is no header.
"""

# Compiling regular expressions for this would be the dearest part of importing the tracer.
# `text.strip(digits)` is empty exactly when every character is one of them.
_LOWER_HEX = "0123456789abcdef"
_HEX = "0123456789abcdefABCDEF"
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16
# Far above what any sender of either header writes (EventBridge refuses a TraceHeader over 500 characters).
_LONGEST = 2048
# W3C Trace Context level 2 defines `sampled` and `random`; "vendors MUST set the other bits to zero".
_KNOWN_FLAGS = 0x03
# A tracestate over 512 characters may be dropped by anybody on the way (W3C Trace Context, "tracestate limits").
_LONGEST_TRACE_STATE = 512

SAMPLED = 0x01


class SpanContext:
    """The identity of one span.

    `trace_id` is 32 and `span_id` 16 lower-case hex digits, never all zeros; `flags` are the W3C trace flags;
    `trace_state` is the W3C `tracestate` value and `baggage` the W3C `baggage` value that go on to whoever is called,
    "" when there is none; `remote` says that it came over a wire.
    """

    __slots__ = ("baggage", "flags", "remote", "span_id", "trace_id", "trace_state")

    def __init__(
        self,
        trace_id: str,
        span_id: str,
        flags: int = SAMPLED,
        trace_state: str = "",
        remote: bool = False,
        baggage: str = "",
    ) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.flags = flags
        self.trace_state = trace_state
        self.remote = remote
        self.baggage = baggage

    def child(self, span_id: str) -> "SpanContext":
        """Return the context of a span below this one: what travels goes on with it, sampled or not."""
        return SpanContext(self.trace_id, span_id, self.flags, self.trace_state, baggage=self.baggage)

    @property
    def sampled(self) -> bool:
        """Whether the `sampled` flag is set."""
        return bool(self.flags & SAMPLED)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SpanContext):
            return NotImplemented
        return (
            self.trace_id == other.trace_id
            and self.span_id == other.span_id
            and self.flags == other.flags
            and self.trace_state == other.trace_state
            and self.remote == other.remote
            and self.baggage == other.baggage
        )

    def __hash__(self) -> int:
        return hash((self.trace_id, self.span_id))

    def __repr__(self) -> str:
        return (
            f"SpanContext({self.trace_id!r}, {self.span_id!r}, flags={self.flags},"
            f" trace_state={self.trace_state!r}, remote={self.remote}, baggage={self.baggage!r})"
        )


def parse_traceparent(header: object, trace_state: object = "") -> SpanContext | None:
    """Read a `traceparent` (and the `tracestate` beside it) by W3C Trace Context; None when it breaks the rules.

    Version `ff`, all-zero ids, upper-case digits and a version 00 with more than four fields are refused; a version
    that is newer than 00 is read as far as 00 goes, as the recommendation asks.
    """
    if type(header) is not str or len(header) > _LONGEST:
        return None
    text = header.strip(" \t")
    version, trace_id, span_id, flags, more = text[:2], text[3:35], text[36:52], text[53:55], text[55:]
    if text[2:3] + text[35:36] + text[52:53] != "---" or (more and (version == "00" or more[0] != "-")):
        return None
    digits = version + trace_id + span_id + flags
    if len(digits) != 52 or digits.strip(_LOWER_HEX):
        return None
    if version == "ff" or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return SpanContext(trace_id, span_id, int(flags, 16), _trace_state(trace_state), remote=True)


def format_traceparent(context: SpanContext) -> str:
    """Write `context` as a version 00 `traceparent`: 55 ASCII characters."""
    return f"00-{context.trace_id}-{context.span_id}-{context.flags & _KNOWN_FLAGS:02x}"


def ids(trace_id: str, span_id: str) -> tuple[str, str] | None:
    """Return the two ids in lower case, None when they are not 32 and 16 hex digits, or all zeros."""
    if len(trace_id) != 32 or len(span_id) != 16 or (trace_id + span_id).strip(_HEX):
        return None
    return None if trace_id == _NO_TRACE or span_id == _NO_SPAN else (trace_id.lower(), span_id.lower())


def parse_xray(header: object) -> SpanContext | None:
    """Read an `X-Amzn-Trace-Id` / `AWSTraceHeader` that has both a Root and a Parent; None otherwise.

    `Sampled=1` becomes the sampled flag. Everything else, a missing `Sampled` included, does not: whether to believe
    that is the reader's decision, since a Lambda function without X-Ray always sends `Sampled=0`.
    """
    fields = _fields(header)
    trace_id = _root(fields.get("root", ""))
    parent = fields.get("parent", "")
    if trace_id is None or len(parent) != 16 or parent.strip(_HEX) or parent == _NO_SPAN:
        return None
    return SpanContext(trace_id, parent.lower(), SAMPLED if fields.get("sampled") == "1" else 0, "", remote=True)


def parse_xray_root(header: object) -> str | None:
    """Read the trace id alone, as 32 hex digits: what API Gateway and ALB send has a Root and no Parent."""
    return _root(_fields(header).get("root", ""))


def format_xray(context: SpanContext, existing_header: str | None = None) -> str:
    """Write `context` as an X-Ray trace header, keeping every other field of `existing_header` in its order.

    Lambda's recursive loop detection lives in `Lineage`, load balancers add `Self`: a header that loses them switches
    things off silently, so only Root, Parent and Sampled are ours to replace.
    """
    trace_id = context.trace_id
    ours = f"Root=1-{trace_id[:8]}-{trace_id[8:]};Parent={context.span_id};Sampled={context.flags & SAMPLED}"
    if not existing_header or type(existing_header) is not str or len(existing_header) > _LONGEST:
        return ours
    kept = []
    for field in existing_header.split(";"):
        name = field.partition("=")[0].strip().lower()
        if field.strip() and name not in {"root", "parent", "sampled"}:
            kept.append(field.strip())
    return ";".join([ours, *kept])


def _trace_state(value: object) -> str:
    # Printable ASCII only: a control character would make SQS refuse the message that carries it on.
    if type(value) is not str or len(value) > _LONGEST_TRACE_STATE or not (value.isascii() and value.isprintable()):
        return ""
    return value.strip()


def _fields(header: object) -> dict[str, str]:
    if type(header) is not str or len(header) > _LONGEST:
        return {}
    fields: dict[str, str] = {}
    for field in header.split(";"):
        name, equals, value = field.partition("=")
        if equals:
            fields.setdefault(name.strip().lower(), value.strip())
    return fields


def _root(value: str) -> str | None:
    # "1-", eight digits of time, "-", twenty-four of chance.
    trace_id = value[2:10] + value[11:]
    if value[:2] != "1-" or value[10:11] != "-" or len(trace_id) != 32 or trace_id.strip(_HEX):
        return None
    return None if trace_id == _NO_TRACE else trace_id.lower()
