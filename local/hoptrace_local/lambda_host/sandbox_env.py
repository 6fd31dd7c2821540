"""The environment variables that Lambda gives to the runtime and to extensions.

Source: AWS Lambda developer guide, "Defined runtime environment variables", and the open runtime interface emulator for
what extensions are not given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import container_credentials
from .config import FunctionConfig
from .var_runtime import Interpreter

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_SESSION_TOKEN": "local",
}
#: What there is no telling in a snapshot, of which many environments are made.
_NOT_IN_A_SNAPSHOT = ("AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME")
#: What extensions never see, besides every name that begins with an underscore.
_RUNTIME_ONLY = (
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_XRAY_CONTEXT_MISSING",
    "AWS_XRAY_DAEMON_ADDRESS",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
)


@dataclass(frozen=True)
class Sandbox:
    """The places of one environment that its processes are told about."""

    config: FunctionConfig
    interpreter: Interpreter
    opt: Path
    var_runtime: Path
    lang_bin: Path
    home: Path
    tmp_dir: Path
    run_dir: Path
    telemetry_port: int
    log_stream: str
    api: str
    credentials_token: str


def runtime_environment(sandbox: Sandbox) -> dict[str, str]:
    """What the runtime's process is started with."""
    config = sandbox.config
    snap_start = config.initialization_type == "snap-start"
    task = config.code
    libraries = [sandbox.var_runtime, sandbox.var_runtime / "lib", task, task / "lib", sandbox.opt / "lib"]
    made = {
        **(CREDENTIALS if not snap_start else {}),
        "PATH": f"{sandbox.lang_bin}:/usr/local/bin:/usr/bin:/bin:{sandbox.opt}/bin",
        "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "HOME": str(sandbox.home),
        # Environments share one desk's loopback: a function that wants the collector's OTLP port says which.
        "HOPTRACE_OTLP_PORT": "0",
        **config.environment,
        "_HANDLER": config.handler,
        "_HOPTRACE_LOCAL_OPT": str(sandbox.opt),
        "LAMBDA_TASK_ROOT": str(task),
        "LAMBDA_RUNTIME_DIR": str(sandbox.var_runtime),
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{sandbox.interpreter.name}",
        "AWS_REGION": config.region,
        "AWS_DEFAULT_REGION": config.region,
        "AWS_LAMBDA_FUNCTION_NAME": config.name,
        "AWS_LAMBDA_FUNCTION_VERSION": config.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.memory),
        "AWS_LAMBDA_INITIALIZATION_TYPE": config.initialization_type,
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{config.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": sandbox.log_stream,
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "169.254.79.129:2000",
        "AWS_LAMBDA_RUNTIME_API": sandbox.api,
        **_places(sandbox),
    }
    if snap_start:
        made |= container_credentials.variables(sandbox.api, sandbox.credentials_token)
        for name in _NOT_IN_A_SNAPSHOT:
            del made[name]
    return made


def extension_environment(sandbox: Sandbox) -> dict[str, str]:
    """What every extension's process is started with."""
    whole: Mapping[str, str] = runtime_environment(sandbox)
    return {k: v for k, v in whole.items() if not k.startswith("_") and k not in _RUNTIME_ONLY}


def _places(sandbox: Sandbox) -> dict[str, str]:
    """Environments share one desk, so each has its own /tmp and port, unlike in Lambda."""
    return {
        "TMPDIR": str(sandbox.tmp_dir),
        "HOPTRACE_RUN_DIR": str(sandbox.run_dir),
        "HOPTRACE_TELEMETRY_PORT": str(sandbox.telemetry_port),
    }
