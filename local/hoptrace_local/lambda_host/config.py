"""What a function is and what became of it: the types that callers of the Lambda on the desk hold in their hands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: Longest initialisation of anything that is not on-demand, seconds (AWS: "Lambda execution environment lifecycle").
LONG_INIT_TIMEOUT = 130.0


@dataclass(frozen=True)
class AsyncConfig:
    """What becomes of asynchronous invocations, as PutFunctionEventInvokeConfig and DeadLetterConfig say.

    All times are seconds. A function error is retried `retries` times, after `retry_delays` in turn (the last one
    again, if there are more retries); a throttled event after pauses that double from the first of `throttle_delays`
    to the second, and no event is kept longer than `maximum_age`. `on_success`, `on_failure` and `dead_letter` are
    ARNs: a queue, a topic, an event bus, a bucket (`on_failure` only) or, for a destination, a function of this host.
    Source: "How Lambda handles errors and retries with asynchronous invocation".
    """

    retries: int = 2
    retry_delays: tuple[float, ...] = (60.0, 120.0)
    throttle_delays: tuple[float, float] = (1.0, 300.0)
    maximum_age: float = 21_600.0
    on_success: str | None = None
    on_failure: str | None = None
    dead_letter: str | None = None


#: A `shutdown_timeout` for runs whose result must not depend on what else a desk is busy with. Lambda's two seconds are
#: on CPUs that nobody else uses; a collector at nice 19 beside somebody's build may not have started by then.
PATIENT_SHUTDOWN = 10.0


@dataclass(frozen=True)
class FunctionConfig:
    """One function as Lambda's CreateFunction would describe it.

    `timeout`, `init_timeout` and `shutdown_timeout` are seconds, `memory` is MiB: what all processes of an environment
    may hold, more is killed. With `cpu_quota` the environment gets the share of a CPU that Lambda gives for `memory`,
    where the kernel's control groups may be written; a line in the log says where not. `max_environments` is the
    reserved concurrency: what comes beyond it is throttled. With the `initialization_type` `provisioned-concurrency`
    the environments that `LambdaHost.initialize` makes are the provisioned ones; what they cannot take spills over to
    on-demand ones.
    `layers` are zip files or folders, laid over each other in order as `/opt`. `python` is the interpreter that runs
    the function; by default the one this process was made from. With `check_handler` a handler whose file exists
    neither in `code` nor in a layer is refused at once; without it Lambda's own error comes back from the first
    invocation. `recursive_loop` is what PutFunctionRecursionConfig sets, `Terminate` or `Allow`: with either, the trace
    header tells the function's part in its chain of requests; `None` leaves the header as it comes.
    """

    name: str
    code: Path
    handler: str
    layers: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 3.0
    memory: int = 128
    python: Path | None = None
    initialization_type: str = "on-demand"
    region: str = "us-east-1"
    account_id: str = "123456789012"
    version: str = "$LATEST"
    init_timeout: float = 10.0
    shutdown_timeout: float = 2.0
    max_environments: int = 1000
    check_handler: bool = True
    cpu_quota: bool = False
    asynchronous: AsyncConfig = AsyncConfig()
    recursive_loop: str | None = None

    @property
    def arn(self) -> str:
        """The unqualified ARN."""
        return f"arn:aws:lambda:{self.region}:{self.account_id}:function:{self.name}"

    @property
    def longest_init(self) -> float:
        """Seconds that an initialisation may take: only on-demand ones are cut at `init_timeout`."""
        if self.initialization_type == "on-demand":
            return self.init_timeout
        return max(self.init_timeout, self.timeout, LONG_INIT_TIMEOUT)


@dataclass(frozen=True)
class InvokeResult:
    """What one invocation came to. Times are seconds on the monotonic clock since the invocation was dispatched.

    `function_error` is `None` or `"Unhandled"`, `status_code` 200, 429 for a throttled invocation, or 400 for
    one that a recursive loop made. `cold_start` says
    that this invocation waited for an initialisation (a new environment, or one that was reset); `init_seconds` is then
    the time from the environment's first process to the runtime's first `/next`. `response_seconds` ends when the
    caller had its answer, `released_seconds` when the environment was free again.
    """

    request_id: str
    payload: bytes
    function_error: str | None
    status_code: int
    environment_id: str
    cold_start: bool
    init_seconds: float | None
    response_seconds: float
    released_seconds: float
    log: str


@dataclass(frozen=True)
class FunctionStats:
    """What the host itself counted for one function since it was added.

    `errors` are invocations answered with a function error, timeouts and crashes included; `peak_concurrency` is the
    largest number of invocations between dispatch and response at one moment; `environments` are those alive now;
    `spillovers` are invocations that found no provisioned environment free, `recursions_dropped` those that were not
    run because a loop had come by too often.
    """

    invocations: int
    cold_starts: int
    errors: int
    timeouts: int
    crashes: int
    throttles: int
    peak_concurrency: int
    environments: int
    spillovers: int = 0
    recursions_dropped: int = 0


@dataclass(frozen=True)
class EnvironmentInfo:
    """One execution environment at this moment; `state` is starting, busy, idle (no process), frozen or gone."""

    id: str
    run_dir: Path
    tmp_dir: Path
    runtime_pid: int | None
    extension_pids: Mapping[str, int]
    state: str
