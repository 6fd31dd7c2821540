"""IoT Core: the reserved key in the payload of a message.

Calls: IoT Data Publish.
Written: the member `_hoptrace` in a payload that is exactly one JSON object, no other byte changed; its `via` says
    `iot`, since a rule's output does not tell where it comes from.
Read: `_hoptrace` of the event, where the rule selects it (`SELECT *`).
Limits: 128 kB for the payload.
Without room: first without `baggage`, then without `tracestate`, then nothing.
Default: opt-in `iot-data`
"""

from hoptrace.carriers.attributes import bytes_of
from hoptrace.carriers.json_data import Writer
from hoptrace.spans.context import SpanContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hoptrace.carriers.attributes import Entry

VIA = "iot"
# IoT Core quotas, "message size": "128 KB", which may be either.
PAYLOAD_BYTES = 128_000


def inject(entry: "Entry", context: SpanContext, now_ms: int) -> "Entry":
    """Write `context` into the parameters of Publish; return new ones."""
    if not isinstance(entry, dict):
        return entry
    payload = entry.get("payload")
    longer = Writer(now_ms, VIA).write(payload, context, PAYLOAD_BYTES - bytes_of(payload))
    return entry if longer is payload else {**entry, "payload": longer}
