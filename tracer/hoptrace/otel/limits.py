"""Limits of events and links, which only spans made through the API come near (`OTEL_*`, by the SDK's names)."""

from ..settings import Settings, settings


class Limits:
    """How many attributes an event or a link keeps, how long they may be, and how many links a span has."""

    __slots__ = ("event_attributes", "knobs", "length", "link_attributes", "links")

    def __init__(self, knobs: Settings) -> None:
        self.knobs = knobs
        self.event_attributes = knobs.whole("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")
        self.link_attributes = knobs.whole("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")
        self.length = knobs.whole("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", default=knobs.attribute_length_limit)
        self.links = knobs.whole("OTEL_SPAN_LINK_COUNT_LIMIT")


_limits: Limits | None = None


def limits() -> Limits:
    """Those of the settings that are in place."""
    global _limits
    knobs = settings()
    if _limits is None or _limits.knobs is not knobs:
        _limits = Limits(knobs)
    return _limits
