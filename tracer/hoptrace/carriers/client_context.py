"""Lambda's client context: what a synchronous Invoke passes to the function beside the payload.

Calls: Lambda Invoke and InvokeWithResponseStream, synchronous.
Written: `custom` (every format) and `w3c` (W3C's own) in `ClientContext`; never the payload.
Read: `context.w3c()`, then `custom`.
Limits: 3,583 bytes of base64.
Without room: first without `w3c`, then without `baggage`, then without `tracestate`, then nothing.
Default: on.
"""

import json

from hoptrace.carriers.reserved import member
from hoptrace.propagation import (
    BAGGAGE,
    TRACEPARENT,
    TRACESTATE,
    choices,
    extract,
    has_context,
    no_room,
    without_passed_on,
)
from hoptrace.shape import Shape
from hoptrace.spans.context import SpanContext

# Lambda Invoke, ClientContext: "up to 3,583 bytes of base64-encoded data".
CLIENT_CONTEXT_BYTES = 3_583
_W3C = frozenset((TRACEPARENT, TRACESTATE, BAGGAGE))


def inject_client_context(encoded: str | None, context: SpanContext) -> str | None:
    """Write `context` into the ClientContext of a synchronous Invoke: base64 of JSON; return the new one.

    Into `custom`, which every runtime hands to the function, and into `w3c`, which newer runtime clients offer as
    `context.w3c()`. What cannot be read, has a context already, or would grow over the limit is returned as it is.
    """
    import binascii

    if encoded is not None and type(encoded) is not str:
        return encoded
    try:
        document = json.loads(binascii.a2b_base64(encoded)) if encoded else {}
        if not isinstance(document, dict):
            return encoded
        theirs = {part: {} if document.get(part) is None else document[part] for part in ("custom", "w3c")}
        if any(not isinstance(part, dict) for part in theirs.values()):
            return encoded
        theirs = {name: without_passed_on(part, context) for name, part in theirs.items()}
        if any(has_context(part) for part in theirs.values()):
            return encoded
        found = choices(context)
        for ours in found:
            parts = {"custom": {**theirs["custom"], **ours}}
            of_w3c = {name: value for name, value in ours.items() if name in _W3C}
            # Once rather than not at all.
            for more in ({"w3c": {**theirs["w3c"], **of_w3c}}, {}) if of_w3c else ({},):
                text = json.dumps({**document, **parts, **more}, separators=(",", ":"), allow_nan=False)
                longer = binascii.b2a_base64(text.encode("ascii"), newline=False).decode("ascii")
                if len(longer) <= CLIENT_CONTEXT_BYTES:
                    return longer
        if found:
            no_room()
    except (ValueError, RecursionError):
        pass
    return encoded


def extract_client_context(context: object) -> SpanContext | None:
    """Read the context that a caller put into the client context, from the `context` argument of the handler.

    Never raises, whatever `context` is.
    """
    try:
        w3c = getattr(context, "w3c", None)
        found = extract(Shape(w3c()).text) if callable(w3c) else None
        if found is None:
            custom = Shape(getattr(getattr(context, "client_context", None), "custom", None))
            found = extract(lambda name: member(custom, name))
        return found
    except Exception:  # whatever a stand-in for the context does
        return None
