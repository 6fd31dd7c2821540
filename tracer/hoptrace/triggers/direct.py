"""A direct invocation: the caller's span stands in the client context, or in the event itself.

Recognised by: nothing else fits. With a client context, which only an Invoke has, it is called `lambda`, else `other`.
Context: the client context (`context.w3c()`, then `custom`), which wins over what any single event says; then an object
    `headers`, the reserved key, or the same texts at the top of the event.
Hops: none.
Pointers: none.
"""

from hoptrace.carriers.client_context import extract_client_context
from hoptrace.carriers.headers import extract_headers
from hoptrace.carriers.reserved import extract_reserved
from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Record


def add_caller(arrival: Arrival, event: Shape, context: object) -> None:
    """Make the caller the producer of the arrival's only record.

    The client context wins over what the event says: somebody who forwards an HTTP event to another function is that
    function's caller. An event of no known shape may have headers all the same, or be a detail that a rule's input
    path cut out of an EventBridge event.
    """
    caller, carrier = extract_client_context(context), "client_context"
    if caller is None and arrival.name in ("other", "lambda"):
        caller, carrier = extract_headers(event.get("headers")) or extract_reserved(event), "traceparent"
    if caller is None:
        return
    if not arrival.records:
        arrival.records.append(Record())
    if arrival.name == "durable":
        # One invocation of many, and nothing says that the others are told of this caller as well.
        arrival.records[0].links.append((caller, {}))
        return
    arrival.records[0].context = caller
    arrival.records[0].carrier = carrier
