"""What an alert can be looked into by: the invocation, span or number that made its rule hold."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from hoptrace_collector.model import Invocation, Span

__all__ = ["Cause"]

_LONGEST = 1_000


class Cause(NamedTuple):
    """What was observed at `at` (nanoseconds); ids in hex, empty where there is no trace.

    `observed` are the fields that the rule asked for. `duration` in seconds, `deadline_ms` 0 when unknown.
    """

    at: int
    ident: str
    trace_id: str = ""
    span_id: str = ""
    flags: int = 0
    request_id: str = ""
    function: str = ""
    arn: str = ""
    version: str = ""
    outcome: str = ""
    error_type: str = ""
    message: str = ""
    duration: float = 0.0
    coldstart: bool = False
    deadline_ms: int = 0
    trigger: str = ""
    observed: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def of_span(cls, span: Span, invocation: Invocation | None, function: str) -> "Cause":
        """Make one of a span, with what is known of its invocation, if it has one."""
        cause = cls(
            at=span.end or span.start,
            ident=span.span_id.hex(),
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            flags=span.flags & 1,
            function=function,
            message=span.status_message[:_LONGEST],
            duration=max(0, span.end - span.start) / 1e9,
        )
        error_type = span.attributes.get("error.type")
        if invocation is None:
            return cause._replace(error_type=error_type if isinstance(error_type, str) else "")
        failed = invocation.failed
        return cause._replace(
            request_id=invocation.request_id,
            arn=invocation.attribute("aws.lambda.invoked_arn"),
            version=invocation.attribute("faas.version"),
            outcome=invocation.outcome,
            error_type=(invocation.error_type or invocation.outcome) if failed else "",
            message=(invocation.message or span.status_message)[:_LONGEST],
            coldstart=span.attributes.get("faas.coldstart") is True,
            deadline_ms=invocation.deadline_ms,
            trigger=invocation.attribute("hoptrace.trigger") or invocation.attribute("faas.trigger") or "other",
        )

    @classmethod
    def from_json(cls, value: object) -> "Cause | None":
        """Read what JSON has made of one; None for what is none."""
        if not isinstance(value, list) or len(value) != len(cls._fields):
            return None
        kinds = (int, str, str, str, int, str, str, str, str, str, str, str, float, bool, int, str, dict)
        if not all(
            isinstance(part, (int, float) if kind is float else kind) for part, kind in zip(value, kinds, strict=True)
        ):
            return None
        return cls(*value)

    def to_json(self) -> list[Any]:
        """Return it as JSON can hold it."""
        return [*self[:-1], dict(self.observed)]
