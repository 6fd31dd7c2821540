"""Makes the span of an invocation of which only Lambda knows: no tracer of ours runs in the function's process.

So it is where a web server is the function (Lambda Web Adapter), where the runtime is another language's, and where
the layer's `.pth` file is not read. Lambda's event says who it is and until when, its telemetry from when to when. The
trace is that of the event's X-Ray header, which the adapter passes on to the server: what that sends by OTLP is of the
same one.
"""

import os
from collections.abc import Callable

from hoptrace_collector.closing import arn_attributes, function_name, xray_root
from hoptrace_collector.fit import Attributes
from hoptrace_collector.model import SERVER, Invocation, Origin, Span
from hoptrace_collector.told import Invoke, RuntimeDone, Started

__all__ = ["Unattached", "sends_itself"]

_MOST = 64
_INVOCATION_ID = b"faas.invocation_id"


def sends_itself(run_dir: str) -> bool:
    """Whether a tracer of ours is in the function that knows of no collector: its files lie in the run directory."""
    try:
        with os.scandir(run_dir) as entries:
            return any(entry.name.startswith("direct-") for entry in entries)
    except OSError:
        return False


class Unattached:
    """The invocations of a function that has never written a record; `new_id` gives that many random bytes."""

    def __init__(self, new_id: Callable[[int], bytes]) -> None:
        self._new_id = new_id
        self._invoked: dict[str, Invoke] = {}
        self._started: dict[str, Started] = {}

    def invoked(self, event: Invoke) -> None:
        """Note an event; harmless to repeat."""
        self._invoked[event.request_id] = event
        _bound(self._invoked)

    def started(self, event: Started) -> None:
        """Note when an invocation really began, and for whom."""
        self._started[event.request_id] = event
        _bound(self._started)

    @property
    def waits(self) -> bool:
        """Whether there is an invocation of which Lambda has not said how it ended."""
        return bool(self._invoked)

    def told_by_others(self, spans: bytes) -> None:
        """Leave out what somebody else's instrumentation has a span of: these encoded ones name the invocation."""
        if _INVOCATION_ID in spans:
            for request_id in [each for each in self._invoked if each.encode() in spans]:
                del self._invoked[request_id]

    def attached(self) -> None:
        """The tracer has written something: it tells of its invocations itself."""
        self._invoked.clear()
        self._started.clear()

    def done(self, event: RuntimeDone, origin: Origin) -> tuple[list[Span], Invocation] | None:
        """Return the span of an invocation that came back; None for one that is unknown here, or that did not.

        What Lambda broke off is closed with everything else that it breaks off.
        """
        invoke = self._invoked.get(event.request_id)
        if invoke is None or event.status != "success" or not event.time:
            return None
        del self._invoked[event.request_id]
        started = self._started.pop(event.request_id, None)
        start = (started.time if started is not None else 0) or invoke.seen
        if not start:
            return None
        attributes: Attributes = {
            "faas.invocation_id": event.request_id,
            "faas.trigger": "other",
            "hoptrace.closed_by": "collector",
            **arn_attributes(invoke.arn),
        }
        if started is not None and started.tenant_id:
            attributes["aws.lambda.tenant_id"] = started.tenant_id
        span = Span(
            xray_root(invoke.trace_header) or self._new_id(16),
            self._new_id(8),
            function_name(origin, invoke.arn),
            SERVER,
            start,
            max(start, event.time),
            attributes=attributes,
        )
        return [span], Invocation(event.request_id, "ok", "", "", span, origin, invoke.deadline_ms)


def _bound(kept: dict[str, Invoke] | dict[str, Started]) -> None:
    while len(kept) > _MOST:
        del kept[next(iter(kept))]
