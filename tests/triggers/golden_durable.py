"""What the golden events of durable executions must be read as."""

from hoptrace.spans.context import SpanContext

STARTED_BY = SpanContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1, "vendor=1", remote=True)

EXPECTED = {
    "recorded/durable.json": ("durable", "other", None, [(STARTED_BY, "traceparent", [])]),
    "recorded/durable_replay.json": ("durable", "other", None, [(STARTED_BY, "traceparent", ["aws.lambda"])]),
}
