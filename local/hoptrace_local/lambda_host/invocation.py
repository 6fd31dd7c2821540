"""One invocation on its way: dispatched, answered, released."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from .config import InvokeResult
from .signals import Signal


@dataclass(eq=False)
class Invocation:
    """A request of a caller and what became of it so far; belongs to the host's loop."""

    request_id: str
    payload: bytes
    function_arn: str
    trace_header: str
    client_context: str | None = None
    tenant_id: str = ""
    dispatched: float = field(default_factory=time.monotonic)
    responded: Signal = field(default_factory=Signal)
    released: Signal = field(default_factory=Signal)
    answer: bytes = b""
    function_error: str | None = None
    status_code: int = 200
    environment_id: str = ""
    cold_start: bool = False
    init_seconds: float | None = None
    response_seconds: float = 0.0
    released_seconds: float = 0.0
    fault_type: str | None = None
    lines: list[str] = field(default_factory=list)

    def again(self) -> Invocation:
        """Another attempt at the same event, under the same request id."""
        return Invocation(
            self.request_id,
            self.payload,
            self.function_arn,
            self.trace_header,
            self.client_context,
            self.tenant_id,
        )

    def respond(self, answer: bytes, function_error: str | None = None) -> None:
        """Give the caller its answer; only the first one counts."""
        if not self.responded.is_set():
            self.answer = answer
            self.function_error = function_error
            self.response_seconds = time.monotonic() - self.dispatched
            self.responded.set()

    def release(self) -> None:
        """The environment is free for the next one."""
        self.released_seconds = time.monotonic() - self.dispatched
        self.released.set()

    def result(self) -> InvokeResult:
        """What it came to, for the host's caller."""
        return InvokeResult(
            request_id=self.request_id,
            payload=self.answer,
            function_error=self.function_error,
            status_code=self.status_code,
            environment_id=self.environment_id,
            cold_start=self.cold_start,
            init_seconds=self.init_seconds,
            response_seconds=self.response_seconds,
            released_seconds=self.released_seconds,
            log="\n".join(self.lines),
        )


def complete_trace_header(given: str | None) -> str:
    """The trace header that the function sees: there always is one, unsampled when the caller sent none."""
    if given:
        return given
    epoch = int(time.time())
    return f"Root=1-{epoch:08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled=0"


def epoch_ms(seconds_from_now: float = 0.0) -> int:
    """The moment `seconds_from_now` in milliseconds since the epoch."""
    return int((time.time() + seconds_from_now) * 1000)


def iso_time(epoch_seconds: float | None = None) -> str:
    """A time as Lambda writes it in telemetry: `2026-10-21T14:05:05.764Z`."""
    moment = datetime.fromtimestamp(time.time() if epoch_seconds is None else epoch_seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
