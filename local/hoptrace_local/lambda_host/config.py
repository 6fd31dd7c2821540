"""What a function is and what became of it: the types that callers of the Lambda on the desk hold in their hands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: Longest initialisation of anything that is not on-demand, seconds (AWS: "Lambda execution environment lifecycle").
LONG_INIT_TIMEOUT = 130.0


@dataclass(frozen=True)
class FunctionConfig:
    """One function as Lambda's CreateFunction would describe it.

    `timeout`, `init_timeout` and `shutdown_timeout` are seconds, `memory` is MiB (told to the function, not enforced).
    `layers` are zip files or folders, laid over each other in order as `/opt`. `python` is the interpreter that runs
    the function; by default the one this process was made from. With `check_handler` a handler whose file exists
    neither in `code` nor in a layer is refused at once; without it Lambda's own error comes back from the first
    invocation.
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

    `function_error` is `None` or `"Unhandled"`, `status_code` 200, or 429 for a throttled invocation. `cold_start` says
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
    largest number of invocations between dispatch and response at one moment; `environments` are those alive now.
    """

    invocations: int
    cold_starts: int
    errors: int
    timeouts: int
    crashes: int
    throttles: int
    peak_concurrency: int
    environments: int


@dataclass(frozen=True)
class EnvironmentInfo:
    """One execution environment at this moment; `state` is starting, busy, idle (no process), frozen or gone."""

    id: str
    run_dir: Path
    tmp_dir: Path
    runtime_pid: int | None
    extension_pids: Mapping[str, int]
    state: str
