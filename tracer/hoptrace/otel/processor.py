"""Our processor in a provider of the user's: hands what ends there to the collector."""

from typing import Any

from opentelemetry.sdk.trace import SpanProcessor

from ..guard import guard
from ..spans import current_span
from ..spans.span import hand_over, tell_open
from . import sdk

_MOST = 4_096
"""Of spans that have begun and not ended: what is beyond is handed over without knowing its invocation."""


class Processor(SpanProcessor):
    """One for a provider."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self._looked: tuple[Any, bool] = (None, False)
        self._begun: dict[int, tuple[Any, str]] = {}

    def on_start(self, span: Any, parent_context: Any = None) -> None:  # noqa: ARG002
        """Note which invocation it belongs to, and have it told that it is open."""
        with guard("otel.processor"):
            around = current_span()
            if around is not None and len(self._begun) < _MOST:
                belongs = self._begun[span.context.span_id] = (around.course, around.request_id)
                if sdk.on() and span.context.trace_flags.sampled and not self._silent():
                    tell_open(sdk.record_of(span, *belongs))

    def on_end(self, span: Any) -> None:
        """Hand it over, if the user's sampler wants it exported."""
        with guard("otel.processor"):
            belongs = self._begun.pop(span.context.span_id, (None, ""))
            if sdk.on() and span.context.trace_flags.sampled and not self._silent():
                hand_over(sdk.record_of(span, *belongs))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002
        """Nothing waits here."""
        return True

    def _silent(self) -> bool:
        processors = getattr(getattr(self._provider, "_active_span_processor", None), "_span_processors", None)
        if self._looked[0] is not processors:
            self._looked = (processors, sdk.sends_to_us(self._provider))
        return self._looked[1]
