"""A span of a trace that is not sampled: who it is travels, with the flags 00, and what it does is told to nobody.

Of an invocation's own span is kept what metrics, alerts and the invocation's life cycle are made of, since those are
made before any sampling: it is written as every other, and its flags say that it is not to be exported. So is an AWS
call that was throttled.
"""

from __future__ import annotations

from .span import Span, hand_over

TYPE_CHECKING = False  # importing typing costs milliseconds that a cold start does not have
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .context import SpanContext

_KEPT = ("error.type", "http.response.status_code")
_KEPT_ROOMS = ("aws.lambda.", "cloud.", "faas.", "hoptrace.")
_THROTTLES = "hoptrace.aws.throttle_count"
_OF_A_CALL = ("rpc.system.name", "rpc.method", _THROTTLES)


class Unsampled(Span):
    """What is recorded nowhere, and yet can be current."""

    __slots__ = ()

    @property
    def recording(self) -> bool:
        """Never."""
        return False

    def set_attribute(self, key: str, value: object) -> None:
        """Keep what is a fact about an invocation, or about throttling; nothing else is looked at."""
        if type(key) is not str:
            return
        if key in _OF_A_CALL or (self._silent and (key in _KEPT or key.startswith(_KEPT_ROOMS))):
            super().set_attribute(key, value)

    def add_event(self, name: str, attributes: Mapping[str, object] | None = None, when: int | None = None) -> None:
        """Nobody will read it."""

    def record_exception(self, error: BaseException, escaped: bool = False) -> None:
        """Nobody will read it."""

    def add_link(self, context: SpanContext, attributes: Mapping[str, object] | None = None) -> None:
        """Nobody will read it."""

    def set_status(self, code: int, message: str = "") -> None:
        """That of an invocation is what an alert says."""
        if self._silent:
            super().set_status(code, message)

    def end(self, end: int | None = None) -> None:
        """It is over, and nothing is handed on but what is counted."""
        if self.end_time:
            return
        self.end_time = max(end or self.start, self.start)
        if _THROTTLES in self.attributes and not self._silent:
            hand_over(self)
