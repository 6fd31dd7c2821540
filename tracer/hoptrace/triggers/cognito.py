"""Cognito: a user pool's trigger, or an identity pool's sync trigger; only identified, no data of a user is recorded.

Recognised by: `triggerSource` and `userPoolId`; `eventType` `SyncTrigger` and `identityPoolId`.
Context: `traceparent` in `request.clientMetadata`, which the caller of Cognito's API may have put there.
Hops: none (the event has no time)
Pointers: none
"""

from hoptrace.propagation import extract
from hoptrace.shape import Shape
from hoptrace.triggers.arrival import Arrival, Record


def read(event: Shape, name: str) -> Arrival:
    """Read which trigger of which pool it is."""
    context = extract(event.get("request", "clientMetadata").text)
    arrival = Arrival(name, records=[Record(context=context, carrier="traceparent")])
    for key, value in (
        ("hoptrace.cognito.trigger_source", event.text("triggerSource") or event.text("eventType")),
        ("hoptrace.cognito.user_pool_id", event.text("userPoolId")),
        ("hoptrace.cognito.identity_pool_id", event.text("identityPoolId")),
        ("cloud.region", event.text("region")),
    ):
        if value:
            arrival.attributes[key] = value
    return arrival
