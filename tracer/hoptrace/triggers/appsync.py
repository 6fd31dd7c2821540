"""AppSync: a direct Lambda resolver's field, or a batch of one field's resolutions.

Recognised by: `info.fieldName` and `info.parentTypeName`, of the event or of its first member.
Context: header `traceparent` of `request.headers`; of a batch, which is one request's, its first member's.
Hops: none (the event has no time)
Pointers: none
"""

from hoptrace.carriers.headers import extract_headers, extract_headers_root
from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Record

_OPERATIONS = ("query", "mutation", "subscription")


def read(event: Shape, name: str) -> Arrival:
    """Read the field; its arguments, the identity and the document are the user's."""
    batch = event.items()
    first = batch[0] if batch else event
    headers = first.get("request", "headers")
    parent, field = first.text("info", "parentTypeName"), first.text("info", "fieldName")
    # Type and field are words of the schema, so there are few of them.
    arrival = Arrival(name, "http", f"{parent}.{field}")
    kind = parent.lower()
    for key, value in (
        ("graphql.operation.type", kind if kind in _OPERATIONS else ""),
        ("hoptrace.graphql.parent_type", parent),
        ("hoptrace.graphql.field", field),
        ("server.address", headers.header("host")),
        ("client.address", headers.header("x-forwarded-for").partition(",")[0].strip()),
        ("user_agent.original", headers.header("user-agent")),
    ):
        if value:
            arrival.attributes[key] = value[:2048]
    if batch:
        arrival.attributes["hoptrace.graphql.batch_size"] = len(batch)
    context = extract_headers(headers)
    arrival.records = [Record(context=context, carrier="traceparent", root=extract_headers_root(headers))]
    return arrival
