"""A Lambda on the desk: runs a function folder with the unmodified runtime client in real processes.

It speaks the Runtime, Extensions and Telemetry APIs at wire level, freezes processes between invocations, keeps true
deadlines and resets what fails, so that a layer can be tried and measured where nothing of AWS is at hand.
"""

from .aws_clients import AwsEndpoint
from .config import PATIENT_SHUTDOWN, AsyncConfig, EnvironmentInfo, FunctionConfig, FunctionStats, InvokeResult
from .errors import LambdaHostError
from .host import LambdaHost
from .sqs_source import SqsEventSource

__all__ = [
    "PATIENT_SHUTDOWN",
    "AsyncConfig",
    "AwsEndpoint",
    "SqsEventSource",
    "EnvironmentInfo",
    "FunctionConfig",
    "FunctionStats",
    "InvokeResult",
    "LambdaHost",
    "LambdaHostError",
]
