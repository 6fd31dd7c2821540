"""What Lambda tells: the events of the Extensions API, and what the Telemetry API says of an environment."""

from typing import Any, NamedTuple

__all__ = [
    "InitReport",
    "Invoke",
    "Line",
    "Report",
    "RestoreReport",
    "RuntimeDone",
    "Shutdown",
    "Started",
    "Telemetry",
]


class Invoke(NamedTuple):
    """The event INVOKE; `seen` is when it reached us, in nanoseconds since the epoch (0: not known)."""

    request_id: str
    arn: str
    deadline_ms: int
    trace_header: str
    seen: int


class Shutdown(NamedTuple):
    """The event SHUTDOWN; `reason` in lower case."""

    reason: str
    deadline_ms: int


class InitReport(NamedTuple):
    """`platform.initReport`; `duration` in seconds."""

    initialization_type: str
    phase: str
    status: str
    error_type: str
    duration: float


class RestoreReport(NamedTuple):
    """`platform.restoreReport`, of a snapshot; `duration` in seconds, `time`, its end, in nanoseconds (0: unknown)."""

    status: str
    error_type: str
    duration: float
    time: int = 0


class Started(NamedTuple):
    """`platform.start`; `time` in nanoseconds since the epoch, 0 when unknown, `trace_header` as in `Invoke`."""

    request_id: str
    time: int
    tenant_id: str = ""
    trace_header: str = ""


class RuntimeDone(NamedTuple):
    """`platform.runtimeDone`; `time` in nanoseconds since the epoch, 0 when unknown.

    `latency` is the seconds until the response, `produced` the bytes of it; None where Lambda does not say.
    """

    request_id: str
    status: str
    error_type: str
    time: int
    latency: float | None = None
    produced: int | None = None


class Report(NamedTuple):
    """`platform.report`; `memory` (used) and `memory_size` (of the function) in bytes, 0 when unknown.

    `billed` in seconds, 0 when unknown; `overhead`, for which extensions held the environment, and `latency` (Managed
    Instances say it here) in seconds, None when unknown.
    """

    request_id: str
    status: str
    error_type: str
    memory: int
    time: int
    memory_size: int = 0
    billed: float = 0.0
    overhead: float | None = None
    latency: float | None = None


Telemetry = InitReport | RestoreReport | Started | RuntimeDone | Report


class Line(NamedTuple):
    """What the function has logged: a text, or the object of one of Lambda's JSON lines; `time` 0 when unknown."""

    time: int
    record: str | dict[str, Any]
