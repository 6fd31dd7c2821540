"""A completer with a clock that stands, told of what the tracer and Lambda say."""

import json
from typing import Any

from hoptrace_collector.complete import Completer, Finished
from hoptrace_collector.model import Begin, End, Followed, Origin, SpanBegun, SpanEnded
from hoptrace_collector.receive.decode import decode
from hoptrace_collector.told import Invoke, Shutdown

from .support import ARN, NOW, TRACE, begin

SECOND = 10**9
DEADLINE_MS = NOW // 10**6 + 3000
FALLBACK = Origin((("faas.name", "fallback"),), ("hoptrace", ""))


class Scene:
    """A completer and a clock that stands at `now`."""

    def __init__(self, *, managed: bool = False) -> None:
        self.now = NOW + SECOND
        self.ids = iter(range(1000, 2000))
        self.completer = Completer(
            FALLBACK, managed=managed, now=lambda: self.now, new_id=lambda size: next(self.ids).to_bytes(size)
        )

    def record(self, value: dict[str, Any], *, seen: bool = False) -> list[Finished]:
        record = decode(json.loads(json.dumps(value)))
        if isinstance(record, SpanBegun):
            return self.completer.begun(record, seen=seen)
        if isinstance(record, Invoke):
            return self.completer.handed_out(record, seen=seen)
        if isinstance(record, Begin):
            return self.completer.begin(record, seen=seen)
        if isinstance(record, End):
            return self.completer.end(record, seen=seen)
        if isinstance(record, SpanEnded):
            return self.completer.span(record)
        if isinstance(record, Followed):
            return self.completer.followed(record, seen=seen)
        assert record is not None
        return self.completer.init_error(record, seen=seen)  # type: ignore[arg-type]

    def invoked(self, request_id: str = "r1", deadline_ms: int = DEADLINE_MS, seen: int = NOW) -> None:
        header = f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent=00000000000000aa;Sampled=0"
        self.completer.invoked(Invoke(request_id, ARN, deadline_ms, header, seen))

    def begin(self, number: int = 1, request_id: str = "r1", **more: Any) -> list[Finished]:
        return self.record(begin(number, request_id, deadline_ms=DEADLINE_MS, **more))

    def shutdown(self, reason: str) -> list[Finished]:
        return self.completer.shutdown(Shutdown(reason, 0))
