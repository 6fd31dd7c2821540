"""The `X-Amzn-Trace-Id` header of every AWS call from Lambda: the carrier of services that have no other.

botocore sets it itself, to Lambda's own span, when nobody else has; so ours is registered to run before. Every other
field of Lambda's value stays: without `Lineage` the detection of recursive loops would be off.
"""

from typing import Any
from urllib.parse import quote
from weakref import WeakSet

from ..guard import guard
from ..propagation import aws_headers
from ..settings import settings, trace_header
from ..spans import current_span
from ..spans.context import format_xray
from . import retries

HEADER = "X-Amzn-Trace-Id"

_ID = "hoptrace.trace-header"
_SAFE = "-=;:+&[]{}\"',"  # the characters that botocore leaves as they are in this header
_emitters: "WeakSet[Any]" = WeakSet()


def attend(client: Any) -> None:
    """Have the calls of this client (and of its copies, which share its events) carry the header and tell of their
    retries; once is enough.
    """
    events = client.meta.events
    if events in _emitters:
        return
    # Registered, then remembered: a second thread at worst registers again, which the id makes harmless.
    if settings().function_name:
        events.register_first("before-call", _add, unique_id=_ID)
    retries.attend(events)
    _emitters.add(events)


def leave() -> None:
    """Take the handler back from every client."""
    while _emitters:
        events = _emitters.pop()
        with guard("clients.headers"):
            events.unregister("before-call", unique_id=_ID)
            retries.leave(events)


def _add(params: Any, model: Any = None, **_others: Any) -> None:
    with guard("clients.headers"):
        span = current_span()
        headers = params["headers"]
        if span is None or not span.open or HEADER in headers or not aws_headers():
            return
        if model is not None and model.service_model.service_name in settings().inject_disabled:
            return
        headers[HEADER] = quote(format_xray(span.context, trace_header()), safe=_SAFE)
