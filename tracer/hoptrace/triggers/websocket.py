"""WebSocket: an API's connection being opened, a message on it, and its end.

Recognised by: `requestContext.connectionId` and `requestContext.eventType`.
Context: `_hoptrace` or `traceparent` at the top of a message's JSON body; header `traceparent` of CONNECT; for what
follows on the connection, CONNECT's, where this environment has seen it.
Hops: API Gateway, from `requestContext.requestTimeEpoch`
Pointers: `aws.apigateway`, `requestContext.connectionId`, which all events of a connection have in common; for CONNECT
behind a Lambda authorizer also `requestContext.requestId`.
"""

import threading

from hoptrace.carriers.headers import extract_headers, extract_headers_root
from hoptrace.carriers.reserved import extract_text
from hoptrace.shape import Shape
from hoptrace.spans.context import SpanContext
from hoptrace.triggers.arrival import Arrival, Hop, Record, from_ms
from hoptrace.triggers.gateway import GATEWAY, behind_authorizer, point_at
from hoptrace.triggers.http import headers_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hoptrace.triggers.arrival import Attributes

_MOST = 1_000

_lock = threading.Lock()
_connections: dict[str, SpanContext] = {}
"""Who opened the connections that this environment saw being opened, the oldest first."""


def read(event: Shape, name: str) -> Arrival:
    """Read what happens on the connection; no text of a message is recorded."""
    context = event.get("requestContext")
    kind, connection, route = context.text("eventType"), context.text("connectionId"), context.text("routeKey")
    # Route keys are the author's, so there are few of them; the status in the function's answer is HTTP's.
    arrival = Arrival(name, "http", f"WebSocket {route}" if route else None, attributes_of(context), is_http=True)
    headers = headers_of(event)
    said = extract_text(event.text("body")) if kind == "MESSAGE" else extract_headers(headers)
    record = Record(context=said, carrier="traceparent", root=extract_headers_root(headers))
    behind_authorizer(record, context, asked_now=kind == "CONNECT")
    if kind == "CONNECT":
        _opened(connection, record)
    else:
        _go_on(connection, record, over=kind == "DISCONNECT")
    point_at(record, connection)
    record.hops = hops_of(context)
    arrival.records = [record]
    return arrival


def attributes_of(context: Shape) -> "Attributes":
    """Say which connection of whom it is, and what happens on it."""
    values = (
        ("network.protocol.name", "websocket"),
        ("server.address", context.text("domainName")),
        ("client.address", context.text("identity", "sourceIp")),
        ("user_agent.original", context.text("identity", "userAgent")),
        ("hoptrace.websocket.event", context.text("eventType")),
        ("hoptrace.websocket.route", context.text("routeKey")),
        ("hoptrace.websocket.connection_id", context.text("connectionId")),
    )
    return {key: value[:2048] for key, value in values if value}


def hops_of(context: Shape) -> list[Hop]:
    """Make the hop from when API Gateway had the request, or the message."""
    start = from_ms(context.number("requestTimeEpoch"))
    route = context.text("routeKey")
    return [] if start is None else [Hop(f"API Gateway {route}".rstrip(), GATEWAY, start)]


def _opened(connection: str, record: Record) -> None:
    """Remember who opened it. What follows elsewhere, where nobody does, points at the connection, and so must this."""
    if record.context is None:
        return
    record.shared = True
    with _lock:
        _connections.pop(connection, None)
        while len(_connections) >= _MOST:
            del _connections[next(iter(_connections))]
        _connections[connection] = record.context


def _go_on(connection: str, record: Record, over: bool) -> None:
    with _lock:
        opener = _connections.pop(connection, None) if over else _connections.get(connection)
    if record.context is None and opener is not None:
        record.context, record.carrier = opener, "connection"
