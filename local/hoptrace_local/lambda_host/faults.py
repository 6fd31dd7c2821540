"""What can go wrong with an environment, in the types and words that Lambda's callers see."""

from __future__ import annotations

import json


class Fault(Exception):
    """The first thing that condemned an environment.

    `message` follows `RequestId: … Error: ` in what the caller gets, unless the runtime itself gave a whole `payload`.
    """

    #: The type in telemetry and reports, where it is another than the caller's.
    reported_type: str

    def __init__(self, error_type: str, message: str, payload: bytes | None = None) -> None:
        super().__init__(f"{error_type}: {message}")
        self.reported_type = error_type
        self.error_type = error_type
        self.message = message
        self.payload = payload

    def payload_for(self, request_id: str) -> bytes:
        """The body of the caller's answer."""
        if self.payload is not None:
            return self.payload
        text = f"RequestId: {request_id} Error: {self.message}"
        return json.dumps({"errorType": self.error_type, "errorMessage": text}, separators=(",", ":")).encode()


class TimedOut(Fault):
    """The deadline passed; the seconds are the function's timeout."""

    def __init__(self, seconds: float) -> None:
        super().__init__("Sandbox.Timedout", f"Task timed out after {seconds:.2f} seconds")


def runtime_exit(exit_text: str) -> Fault:
    """The runtime's process ended while the environment needed it."""
    message = f"Runtime exited with error: {exit_text}" if exit_text else "Runtime exited without providing a reason"
    return Fault("Runtime.ExitError", message)


def out_of_memory() -> Fault:
    """The runtime was killed for the memory it held: a crash to the caller, with a type of its own in reports."""
    fault = runtime_exit("signal: killed")
    fault.reported_type = "Runtime.OutOfMemory"
    return fault


def extension_crash(exit_text: str) -> Fault:
    """An extension's process ended, with whatever code, before SHUTDOWN."""
    return Fault("Extension.Crash", exit_text or "exit code 0")


def extension_launch(path: str, reason: str) -> Fault:
    """A file in `/opt/extensions` cannot be executed."""
    return Fault("Extension.LaunchError", f"fork/exec {path}: {reason}")
